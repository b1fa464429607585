using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>What the kernel was asked, in which order.</summary>
public sealed class LaunchDurabilityTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "G13")]
    public async Task The_directory_of_a_new_pod_is_durable_before_its_first_input_is_accepted()
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        var (log, script) = (_room.Path + "/log", _room.Path + "/script.json");
        await File.WriteAllTextAsync(script, """{"pods":{"*":{"replies":[{"text":"done"}]}}}""", _room.Ct);
        string[] yoi = [Path.Combine(AppContext.BaseDirectory, "yoi"), "start", "p", "--task", "hello", "--model", "scripted:" + script, "--cwd", _room.Work];
        using var start = Process.Start(new ProcessStartInfo("/usr/bin/strace", ["-f", "-y", "-qq", "-o", log, "-e", "trace=fsync,fdatasync,mkdir", .. yoi])
        {
            Environment = { ["YOI_HOME"] = _room.Path },
        })!;
        await Eventually.Holds(() => _room.Find("p") is { } p && p.Journal.ReadAfter(Cursor.Start, out _).Any(record => record.Entry is Entry.RunEnded), PodRoom.Patience);
        var pod = _room.Find("p")!;
        using (var table = _room.Table()) await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(pod, "human", force: false, _room.Ct);
        await start.WaitForExitAsync(_room.Ct); // strace ends with the last process.

        var calls = (await File.ReadAllLinesAsync(log, _room.Ct)).ToList();
        int At(string call, string argument) => calls.FindIndex(line => line.Contains(call, StringComparison.Ordinal) && line.Contains(argument, StringComparison.Ordinal));
        var made = At("mkdir(", $"\"{pod.Directory}\"");
        var durable = calls.FindIndex(Math.Max(made, 0), line => line.Contains("fsync(", StringComparison.Ordinal) && line.Contains($"<{_room.Directories.Pods}>", StringComparison.Ordinal));
        var first = At("fdatasync(", "/journal.jsonl>");
        Assert.True(made >= 0 && made < durable && durable < first, $"made {made}, durable {durable}, first entries {first}:\n{string.Join('\n', calls)}");
        foreach (var above in (string[])[_room.Path, _room.Directories.State]) Assert.InRange(At("fsync(", $"<{above}>"), 0, first);
    }
}
