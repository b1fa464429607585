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
        string[] yoi = [RealPod.Yoi, "start", "p", "--task", "hello", "--model", "scripted:" + script, "--cwd", _room.Work];
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

    [Fact, Trait("case", "G13")]
    public async Task A_command_begins_after_its_call_and_its_own_entry_are_on_disk()
    {
        if (!File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        if (!File.Exists("/usr/bin/bwrap")) Assert.Skip("needs bubblewrap");
        var (log, script) = (_room.Path + "/log", _room.Path + "/script.json");
        await File.WriteAllTextAsync(script, """{"pods":{"*":{"replies":[{"calls":[{"name":"Bash","arguments":{"command":"/usr/bin/touch made"}}]},{"text":"done"}]}}}""", _room.Ct);
        string[] yoi = [RealPod.Yoi, "start", "p", "--task", "hello", "--model", "scripted:" + script, "--cwd", _room.Work, "--sandbox", "kernel"];
        using var start = Process.Start(new ProcessStartInfo("/usr/bin/strace", ["-f", "-y", "-qq", "-s", "400", "-o", log, "-e", "trace=write,fdatasync,execve", .. yoi])
        {
            Environment = { ["YOI_HOME"] = _room.Path },
        })!;
        await Eventually.Holds(() => _room.Find("p") is { } p && p.Journal.ReadAfter(Cursor.Start, out _).Any(record => record.Entry is Entry.RunEnded), PodRoom.Patience);
        using (var table = _room.Table()) await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(_room.Find("p")!, "human", force: false, _room.Ct);
        await start.WaitForExitAsync(_room.Ct);

        var calls = (await File.ReadAllLinesAsync(log, _room.Ct)).ToList();
        int At(string call, string argument, int from = 0) => calls.FindIndex(Math.Max(0, from), line => line.Contains(call, StringComparison.Ordinal) && line.Contains(argument, StringComparison.Ordinal));
        var intent = At("write(", "\\\"kind\\\":\\\"assistant\\\"");
        var synced = At("fdatasync(", "/journal.jsonl>", intent);
        var started = At("write(", "\\\"kind\\\":\\\"command_started\\\"");
        var startedSynced = At("fdatasync(", "/journal.jsonl>", started);
        var run = At("execve(", "\"/usr/bin/touch\"");
        var result = At("write(", "\\\"kind\\\":\\\"tool_result\\\"");
        Assert.True(intent >= 0 && intent < synced && synced < started && started < startedSynced && startedSynced < run && run < result,
            $"intent {intent}, synced {synced}, started {started}, synced {startedSynced}, run {run}, result {result}:\n{string.Join('\n', calls.Where(line => line.Contains("journal.jsonl", StringComparison.Ordinal) || line.Contains("execve", StringComparison.Ordinal)))}");
        Assert.True(File.Exists(_room.Work + "/made"));
    }

    [Fact, Trait("case", "G08")]
    public async Task A_second_process_for_the_same_journal_is_refused_and_the_first_goes_on()
    {
        var root = await _room.Root();
        var before = root.Journal.Count;
        var refusal = await Assert.ThrowsAsync<LaunchException>(() => _room.Start(root.Document));
        Assert.Contains("served by another process", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(before, root.Journal.Count);
        Assert.False((await root.Call("Glob", """{"pattern":"*"}""")).IsError);
    }
}
