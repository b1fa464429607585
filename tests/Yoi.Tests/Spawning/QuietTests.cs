using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>A Pod to which nothing happens does nothing: it waits for events and never looks by the clock.</summary>
public sealed partial class QuietTests : IAsyncLifetime
{
    /// <summary>Threads of the runtime that work when a timer is due: it wakes one, that starts workers, and the gate looks after these twice a second until they end.</summary>
    private static readonly string[] Woken = [".NET Timer", ".NET TP Worker", ".NET TP Gate", ".NET Tiered Compilation Worker"];

    /// <summary>A runtime that has just worked tidies up for a while: each timer that was cancelled wakes it once when it would have been due.</summary>
    private const int Windows = 16;

    private const string Seconds = "3", Finalizer = ".NET Finalizer";

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
            await SleepAsync(Seconds);
            switches.After = Switches(pids);
            if (switches.Before == switches.After) calls = await CallsAsync(pids);
        }

        Assert.Empty(calls);
        Assert.Equal(switches.Before, switches.After);
        if (Slice.IsFull) await AMinuteHasItsRecoveryReadAndNothingElseAsync(root, [pids[0], pids[2]]);
        switches.After = Switches(pids);
        await root.Client.StatusAsync(_room.Ct); // The control: what happens is seen.
        Assert.NotEqual(switches.After, Switches(pids));
    }

    /// <summary>
    /// 70 s, which takes as long: the Pod that waits reads on in its child's journal, looks whether the child has synced it, and sleeps until the next minute. The others do not
    /// wake at all. 30 s before, because that is the longest time limit of what was asked before; cancelled, it wakes the Pod once more.
    /// </summary>
    private async Task AMinuteHasItsRecoveryReadAndNothingElseAsync(RoomPod waiting, int[] others)
    {
        await SleepAsync("31");
        var (directory, slept) = (waiting.Child("a").Directory, Switches(others));
        var (calls, names) = await TraceAsync([waiting.Launched.Pid], "70");
        Assert.Equal(slept, Switches(others));

        List<List<Call>> bursts = [];
        foreach (var call in calls.Where(call => names[call.Thread] != Finalizer))
        {
            Assert.True(Woken.Any(name => IsNamed(names[call.Thread], name)), $"{names[call.Thread]}: {call.Text}");
            if (bursts.Count == 0 || call.Time - bursts[^1][^1].Time > 3) bursts.Add([]);
            bursts[^1].Add(call);
        }
        Assert.InRange(bursts.Count, 1, 2);
        Assert.All(bursts.Skip(1), burst => Assert.InRange(burst[0].Time - bursts[0][0].Time, 59, 70));
        string[] read = [$"{directory}/{PodFiles.Journal}", $"{directory}/{PodFiles.Lock}"];
        Assert.All(bursts, burst =>
        {
            Assert.Equal(read, burst.Select(call => Opened().Match(call.Text)).Where(match => match.Success).Select(match => match.Groups[1].Value));
            // No file, socket or pipe but these; the runtime draws a seed for each of its threads.
            Assert.All(burst.SelectMany(call => Descriptor().Matches(call.Text).Select(match => match.Groups[1].Value)), file => Assert.Contains(file, read.Append("/dev/urandom")));
        });
    }

    private async Task SleepAsync(string seconds)
    {
        using var sleep = Process.Start("/usr/bin/sleep", seconds);
        await sleep.WaitForExitAsync(_room.Ct);
    }

    /// <summary>The kernel keeps 15 bytes of a name.</summary>
    private static bool IsNamed(string thread, string name) => thread == name[..Math.Min(name.Length, 15)];

    /// <summary>All threads but the runtime's finalizer, which looks around every 20 s by itself.</summary>
    private static IEnumerable<string> Threads(int[] pids) => Tasks(pids).Where(task => NameOf(task) != Finalizer);

    private static IEnumerable<string> Tasks(int[] pids) => pids.SelectMany(pid => Directory.EnumerateDirectories($"/proc/{pid}/task"));

    private static string NameOf(string task) => File.ReadAllText(task + "/comm").Trim();

    /// <summary>How often the threads of these processes ran.</summary>
    private static long Switches(int[] pids) => Threads(pids)
        .SelectMany(task => File.ReadLines(task + "/status"))
        .Where(line => line.Contains("_ctxt_switches:", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(':')[1], CultureInfo.InvariantCulture));

    /// <summary>The system calls of these processes' threads in some seconds.</summary>
    private async Task<string[]> CallsAsync(int[] pids)
    {
        var (calls, _) = await TraceAsync(pids, Seconds);
        var threads = Threads(pids).Select(Path.GetFileName).ToHashSet();
        return [.. calls.Where(call => threads.Contains(call.Thread)).Select(call => $"{call.Thread} {call.Text}")];
    }

    /// <summary>System calls in some seconds, but for those that attaching itself interrupts; and the names of all threads, also of those that began and ended meanwhile.</summary>
    private async Task<(List<Call> Calls, Dictionary<string, string> Names)> TraceAsync(int[] pids, string seconds)
    {
        var file = _room.Path + "/calls";
        var names = Tasks(pids).ToDictionary(task => Path.GetFileName(task), NameOf);
        string[] line = ["-s", "INT", seconds, "strace", "-f", "-y", "-s", "16", "-qq", "-ttt", "-o", file, .. pids.SelectMany(pid => new[] { "-p", pid.ToString(CultureInfo.InvariantCulture) })];
        using var strace = Process.Start(new ProcessStartInfo("/usr/bin/timeout", line) { RedirectStandardError = true })!;
        var words = await strace.StandardError.ReadToEndAsync(_room.Ct);
        await strace.WaitForExitAsync(_room.Ct);
        var seen = (await File.ReadAllLinesAsync(file, _room.Ct)).Select(Parse).ToList();
        Assert.True(seen.Count > pids.Length, "strace saw nothing at all: " + words);
        foreach (var call in seen)
            if (Named().Match(call.Text) is { Success: true } named) names[call.Thread] = named.Groups[1].Value;
        return ([.. seen.Where(call => call.Time > seen[0].Time + 1 && !call.Text.Contains("<detached ...>", StringComparison.Ordinal))], names);
    }

    private static Call Parse(string line)
    {
        var parts = line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries);
        return new(parts[0], double.Parse(parts[1], CultureInfo.InvariantCulture), parts[2]);
    }

    [GeneratedRegex("^prctl\\(PR_SET_NAME, \"([^\"]{1,15})")]
    private static partial Regex Named();

    [GeneratedRegex("^openat\\([^\"]*\"([^\"]+)\"")]
    private static partial Regex Opened();

    [GeneratedRegex("\\b[0-9]+<([^>]+)>")]
    private static partial Regex Descriptor();

    private sealed record Call(string Thread, double Time, string Text);
}
