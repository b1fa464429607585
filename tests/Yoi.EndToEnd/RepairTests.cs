using System.Diagnostics;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>Files that were damaged, as a user meets them: found, named, repaired, gone on with, and at last removed.</summary>
public sealed class RepairTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "G10")]
    public async Task A_killed_Pod_whose_prompt_and_words_were_damaged_is_repaired_restored_and_works_on()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var started = (await _room.RunAsync("start", "api", "--task", "hello", "--json")).Expect(0).Json;
        (await _room.RunAsync("start", "other", "--task", "hello", "--read", ".")).Expect(0);
        (await _room.RunAsync("wait", "api", "other", "--all")).Expect(0);
        using (var process = Process.GetProcessById(started.GetProperty("pid").GetInt32()))
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        var journal = Path.Combine(Directory.GetDirectories(_room.Directories.Pods, "api.*").Single(), PodFiles.Journal);
        var lines = await File.ReadAllLinesAsync(journal, TestContext.Current.CancellationToken);
        var said = Array.FindIndex(lines, line => line.Contains("\"kind\":\"assistant\"", StringComparison.Ordinal));
        Assert.Contains("\"kind\":\"prompt\"", lines[2], StringComparison.Ordinal);
        lines[2] = lines[2].Replace("Yoi", "Foo", StringComparison.Ordinal).Replace("the", "eht", StringComparison.Ordinal);
        lines[said] = lines[said].Replace("Hello", "Iello", StringComparison.Ordinal); // One bit.
        await File.WriteAllTextAsync(journal, string.Join('\n', lines) + "\n", TestContext.Current.CancellationToken);

        var rows = await _room.PodsAsync();
        Assert.Equal(("damaged", "idle"), (rows["api"].GetProperty("state").GetString(), rows["other"].GetProperty("state").GetString()));
        Assert.Contains("journal.jsonl line 3 (byte ", rows["api"].GetProperty("note").GetString(), StringComparison.Ordinal);
        Assert.Equal(3, (await _room.RunAsync("repair", "other")).ExitCode); // It lives.
        var hurt = (await _room.RunAsync("restore", "api")).Expect(0);
        Assert.Contains("api came back without what is damaged: ", hurt.Error, StringComparison.Ordinal);
        Assert.Contains("line 3", hurt.Error, StringComparison.Ordinal);
        (await _room.RunAsync("stop", "api")).Expect(0);
        var places = (await _room.RunAsync("repair", "api", "--json")).Expect(0).Json[0].GetProperty("places").EnumerateArray().ToList();
        Assert.Equal([(3, false), (said + 1, true)], places.Select(place => (place.GetProperty("line").GetInt32(), place.GetProperty("restored").GetBoolean())));
        Assert.Equal("Hello from the mock.\n", (await _room.RunAsync("read", "api")).Expect(0).Out); // The bit is back.

        var restored = (await _room.RunAsync("restore", "api", "--json")).Expect(0).Json[0];
        Assert.False(restored.TryGetProperty("damaged", out var place) && place.ValueKind != JsonValueKind.Null);
        (await _room.RunAsync("send", "api", "and now?")).Expect(0);
        (await _room.RunAsync("wait", "api")).Expect(0);
        Assert.Equal(3, (await _room.RunAsync("read", "api")).Expect(0).Out.Split("Hello from the mock.").Length); // Twice.
        (await _room.RunAsync("stop", "api", "other")).Expect(0);
        Assert.Contains("would remove api", (await _room.RunAsync("gc", "--older-than", "0m")).Expect(0).Out, StringComparison.Ordinal);
        (await _room.RunAsync("gc", "--older-than", "0m", "--yes")).Expect(0);
        Assert.Empty(await _room.PodsAsync());
    }
}
