using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>A Pod that has worked for years. A slice of the million entries runs always; how long it takes is a row of docs/performance.md.</summary>
public sealed class LongLifeTests(ITestOutputHelper output) : IAsyncDisposable
{
    private static readonly int Entries = Slice.Of(100_000, 1_000_000);

    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "G12")]
    public async Task A_Pod_with_a_long_life_comes_back_holds_none_of_it_in_memory_and_works_on()
    {
        _room.Write("obeys.json", """{ "pods": { "*": { "commands": true } } }""");
        foreach (var name in (string[])["young", "old"]) (await _room.RunAsync("start", name, "--read", ".", "--model", "scripted:../obeys.json")).Expect(0);
        var before = (await _room.PodsAsync())["old"];
        using (var process = Process.GetProcessById(before.GetProperty("pid").GetInt32()))
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        var journal = $"{_room.Directories.Pod("old", before.GetProperty("id").GetString()!)}/{PodFiles.Journal}";
        var runs = LongJournal.Append(journal, Entries);

        var began = Stopwatch.GetTimestamp();
        (await _room.RunAsync("restore", "old")).Expect(0);
        output.WriteLine($"{Entries} entries: restored after {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms");

        var pods = await _room.PodsAsync();
        Assert.Equal(2 * runs, pods["old"].GetProperty("turns").GetInt32());
        var (young, old) = (Held(pods["young"]), Held(pods["old"]));
        output.WriteLine($"memory: {young >> 20} MiB without a history, {old >> 20} MiB with one of {new FileInfo(journal).Length >> 20} MiB");
        output.WriteLine($"processor time of its process: {OnProcessor(pods["old"]).TotalMilliseconds:0} ms, of one without a history {OnProcessor(pods["young"]).TotalMilliseconds:0} ms");
        Assert.InRange(old - young, long.MinValue, 16L << 20);

        (await _room.RunAsync("send", "old", "CALL Glob {\"pattern\":\"*.none\"}")).Expect(0);
        (await _room.RunAsync("wait", "old")).Expect(0);
        output.WriteLine($"memory after a run: {Held(pods["old"]) >> 20} MiB");
        Assert.Equal("done", (await _room.RunAsync("read", "old", "--since", $"{Entries + 5}")).Expect(0).Out.Trim());
        (await _room.RunAsync("stop", "old", "young")).Expect(0);
    }

    private static TimeSpan OnProcessor(System.Text.Json.JsonElement pod)
    {
        using var process = Process.GetProcessById(pod.GetProperty("pid").GetInt32());
        return process.TotalProcessorTime;
    }

    /// <summary>Bytes of memory that are the process's own.</summary>
    private static long Held(System.Text.Json.JsonElement pod) => 1024 * long.Parse(
        File.ReadLines($"/proc/{pod.GetProperty("pid").GetInt32()}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture);
}
