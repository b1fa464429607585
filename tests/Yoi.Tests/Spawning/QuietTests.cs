using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>A Pod to which nothing happens does nothing: it waits for events and never looks by the clock.</summary>
public sealed class QuietTests : IAsyncLifetime
{
    /// <summary>A runtime that has just worked tidies up for a while: each timer that was cancelled wakes it once when it would have been due.</summary>
    private const int Windows = 16;

    private const string Seconds = "3";

    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_waiting_pod_its_silent_child_and_an_idle_pod_make_no_system_calls_and_do_not_wake()
    {
        Needs.Tracing();
        _room.Variables.Add("DOTNET_ThreadPool_ThreadTimeoutMs=1000"); // Else threads without work end after 20 s, one by one.
        var (idle, root) = (await _room.Root(name: "idle", with: d => d with { Scope = ScopeRules.None }), await _room.Root());
        await root.Spawn("a", "\nSLOW 600000");
        var accepted = await root.Client.RunAsync("""CALL WaitForPods {"names":["a"]}""", ct: _room.Ct);
        await root.Until(entry => entry is Entry.Assistant, accepted.Seq);
        int[] pids = [idle.Launched.Pid, root.Launched.Pid, root.All<Entry.ChildSpawned>()[0].Pid];
        Assert.Equal(PodState.Running, (await root.Client.StatusAsync(_room.Ct)).State);

        string[] calls = ["not looked yet"];
        var switches = (Before: 0L, After: 1L);
        for (var window = 0; window < Windows && (calls.Length > 0 || switches.Before != switches.After); window++)
        {
            switches.Before = Switches(pids);
            await Process.Start("/usr/bin/sleep", Seconds).WaitForExitAsync(_room.Ct);
            switches.After = Switches(pids);
            if (switches.Before == switches.After) calls = await CallsAsync(pids);
        }

        Assert.Empty(calls);
        Assert.Equal(switches.Before, switches.After);
        await root.Client.StatusAsync(_room.Ct); // The control: what happens is seen.
        Assert.NotEqual(switches.After, Switches(pids));
    }

    /// <summary>All threads but the runtime's finalizer, which looks around every 20 s by itself.</summary>
    private static IEnumerable<string> Threads(int[] pids) => pids
        .SelectMany(pid => Directory.EnumerateDirectories($"/proc/{pid}/task"))
        .Where(task => !File.ReadAllText(task + "/comm").StartsWith(".NET Finalizer", StringComparison.Ordinal));

    /// <summary>How often the threads of these processes ran.</summary>
    private static long Switches(int[] pids) => Threads(pids)
        .SelectMany(task => File.ReadLines(task + "/status"))
        .Where(line => line.Contains("_ctxt_switches:", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(':')[1], CultureInfo.InvariantCulture));

    /// <summary>The system calls of these processes in some seconds; those that attaching itself interrupts do not count.</summary>
    private async Task<string[]> CallsAsync(int[] pids)
    {
        var file = _room.Path + "/calls";
        string[] line = ["-s", "INT", Seconds, "strace", "-f", "-qq", "-ttt", "-o", file, .. pids.SelectMany(pid => new[] { "-p", pid.ToString(CultureInfo.InvariantCulture) })];
        using var strace = Process.Start(new ProcessStartInfo("/usr/bin/timeout", line) { RedirectStandardError = true })!;
        var words = await strace.StandardError.ReadToEndAsync(_room.Ct);
        await strace.WaitForExitAsync(_room.Ct);
        var seen = await File.ReadAllLinesAsync(file, _room.Ct);
        Assert.True(seen.Length > pids.Length, "strace saw nothing at all: " + words);
        static double Time(string line) => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
        var threads = Threads(pids).Select(Path.GetFileName).ToHashSet();
        return [.. seen.Where(call => threads.Contains(call.Split(' ')[0]) && Time(call) > Time(seen[0]) + 1 && !call.Contains("<detached ...>", StringComparison.Ordinal))];
    }
}
