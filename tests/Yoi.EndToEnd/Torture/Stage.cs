using System.Diagnostics;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Shared;
using Yoi.Shared.Invariants;

namespace Yoi.EndToEnd.Torture;

/// <summary>What one scenario came to.</summary>
/// <param name="Struck">The faults that happened; a failpoint that nothing passed so often did not.</param>
/// <param name="Passed">Names of the failpoints that were passed.</param>
/// <param name="Root">Kept when there are violations; null otherwise.</param>
internal sealed record Outcome(Scenario Scenario, IReadOnlyList<string> Struck, IReadOnlySet<string> Passed, IReadOnlyList<string> Violations, int Tables, int Entries, string? Root);

/// <summary>
/// Plays one scenario on a root of its own: the tree works, the fault strikes, what is left is waited for, judged, stopped, judged
/// again, removed. Nothing may be left then.
/// </summary>
internal sealed class Stage : IAsyncDisposable
{
    /// <summary>Several times what a scenario writes.</summary>
    private const int SmallDiskMib = 8;

    /// <summary>A fault strikes once in a process: whoever is asked that often has had both.</summary>
    private const int MostTries = 3;

    /// <summary>Longer than any pause after which a Pod tries again by itself.</summary>
    private static readonly TimeSpan RetryLimit = TimeSpan.FromSeconds(20);

    private readonly Scenario _scenario;
    private readonly YoiRoom _room;
    private readonly GrowingTree _tree;
    private readonly SmallDisk? _disk;
    private readonly TableWatch _table;
    private readonly Processes _processes;
    private readonly string _log;
    private readonly List<Violation> _violations = [];
    private readonly List<Acknowledged> _inputs = [];
    private readonly List<string> _struck = [];
    private readonly ModelServer _server;
    private int _requests, _entries;

    private bool HasDiskFault => _scenario.Faults.Any(fault => fault is Fault.Fill or Fault.At { Action: "eio" or "enospc" });

    private Stage(Scenario scenario, SmallDisk? disk, YoiRoom room, Func<Func<ReceivedRequest, Answer>, ModelServer> start)
    {
        (_scenario, _disk, _room) = (scenario, disk, room);
        _tree = new GrowingTree(scenario.Seed, _room.Project);
        _table = new TableWatch(_room.Directories);
        _processes = new Processes(_room, new Random(scenario.Seed));
        _log = _room.Root + "/passed";
        _server = start(Answer);
    }

    /// <summary>Plays it to its end.</summary>
    internal static async Task<Outcome> PlayAsync(Scenario scenario, CancellationToken ct)
    {
        Func<ReceivedRequest, Answer> answer = _ => throw new InvalidOperationException("nobody is there yet");
        var server = await ModelServer.StartAsync(request => answer(request));
        var room = new YoiRoom();
        await using var stage = new Stage(scenario, await SettleAsync(room, scenario), room, mine =>
        {
            answer = mine;
            return server;
        });
        try
        {
            await stage.PlayAsync(ct);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            stage._violations.Add(new("commands answer", e.ToString()));
        }
        if (stage is { _violations.Count: > 0, _disk: { } disk }) await disk.CopyOutAsync();
        return stage.Outcome();
    }

    /// <summary>Makes the state directory, on a small disk of its own if that is to be filled.</summary>
    private static async Task<SmallDisk?> SettleAsync(YoiRoom room, Scenario scenario)
    {
        PrivateFile.CreateDirectory(room.Root + "/y");
        PrivateFile.CreateDirectory(room.Directories.State);
        if (!scenario.Faults.Any(fault => fault is Fault.Fill)) return null;
        var disk = await SmallDisk.MountAsync(room.Directories.State, SmallDiskMib);
        room.Directories = room.Directories with { State = disk.Seen };
        room.Through = (program, args) => disk.Through(room.Project, program, args);
        return disk;
    }

    private async Task PlayAsync(CancellationToken ct)
    {
        _room.UseModel(_server, sandbox: "auto");
        _room.Variable("YOI_FAILPOINT_LOG", _log);
        await StartAsync(Phase.Work);
        await _processes.RestAsync(ct);
        // Who cannot write its journal, or its table, cannot say what it sees: that is judged when it can again.
        JudgeAtRest(await _processes.StatusesAsync(ct), everything: !HasDiskFault);
        _disk?.Free();
        await RestoreAsync(ct);
        await StopAsync(Phase.Stop, mayFail: true);
        await StopAsync(null, mayFail: false);
        await SweepAsync();
        JudgeStopped();
        if (_violations.Count == 0) await RemoveAsync();
    }

    private Outcome Outcome()
    {
        _room.Keep = _violations.Count > 0;
        var log = File.Exists(_log) ? File.ReadAllLines(_log) : [];
        _struck.AddRange(log.Where(line => line.Contains(':', StringComparison.Ordinal)));
        return new Outcome(_scenario, _struck, log.Where(line => !line.Contains(':', StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal),
            [.. _violations.Select(violation => violation.ToString()).Distinct()], _table.Seen.Count, _entries, _room.Keep ? _room.Root : null);
    }

    /// <summary>Arms the faults of a phase for every process that is started from here on.</summary>
    private void Arm(Phase? phase)
    {
        var armed = _scenario.Faults.OfType<Fault.At>().Where(fault => fault.Phase == phase).Select(fault => fault.Armed).ToList();
        _room.Variable("YOI_FAILPOINT", armed.Count == 0 ? null : string.Join(',', armed));
    }

    private async Task StartAsync(Phase phase)
    {
        Arm(phase);
        var started = await RunAsync("start", GrowingTree.Root, "--task", "grow", "--write", ".", "--json");
        if (started.ExitCode == 0)
        {
            var row = started.Json;
            _inputs.Add(new Acknowledged(row.GetProperty("id").GetString()!, row.GetProperty("seq").GetInt64(), "grow"));
        }
        else if (_scenario.Faults.Count == 0 || started.ExitCode == 70)
        {
            _violations.Add(new("commands answer", $"yoi start ended with {started.ExitCode}: {started.Error}"));
        }
    }

    /// <summary>Who died comes back, the second time without a fault; all go on, and rest again.</summary>
    private async Task RestoreAsync(CancellationToken ct)
    {
        foreach (var phase in new Phase?[] { Phase.Restore, null })
        {
            Arm(phase);
            if (phase is not null && !_scenario.Faults.OfType<Fault.At>().Any(fault => fault.Phase == phase)) continue;
            if (Evidence.Of(_room.Directories).Journals().All(journal => journal.IsAlive)) continue;
            await RestoreAsync(phase is null, ct, "--all");
        }
        await _processes.RestAsync(ct); // What was full has space again.
        await _processes.ResumeAsync(ct);
        await _processes.RestAsync(ct);
        for (var tries = 0; tries < MostTries && await HinderedAsync(ct) is { Count: > 0 } hindered; tries++) await GoOnAsync(hindered, ct);
        foreach (var status in await HinderedAsync(ct)) _violations.Add(new("work goes on", $"{status.Name} says \"{status.WaitingFor}\", and nothing is wrong with its disk"));
        if (HasDiskFault) await SettleAsync(ct);
        JudgeAtRest(await _processes.StatusesAsync(ct), everything: true);
    }

    /// <summary>What a disk held up is tried again by whom it concerns, within seconds.</summary>
    private async Task SettleAsync(CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        var statuses = await _processes.StatusesAsync(ct);
        while (Seen() is var evidence && Present.AtRest(evidence, evidence.Journals(), statuses).Any() && Stopwatch.GetElapsedTime(began) < RetryLimit)
        {
            await _processes.RestAsync(ct);
            statuses = await _processes.StatusesAsync(ct);
        }
    }

    private async Task RestoreAsync(bool mustWork, CancellationToken ct, params string[] pods)
    {
        var restored = await RunAsync(["restore", .. pods]);
        // 3: something of it is held by another, who is named.
        if (mustWork && restored.ExitCode is not (0 or 3)) _violations.Add(new("commands answer", $"yoi restore ended with {restored.ExitCode}: {restored.Error}"));
        await _processes.RestAsync(ct);
    }

    /// <summary>Who says that its disk stands in the way.</summary>
    private async Task<IReadOnlyList<PodStatus>> HinderedAsync(CancellationToken ct) =>
        [.. (await _processes.StatusesAsync(ct)).Values.Where(status => status.WaitingFor?.StartsWith("disk", StringComparison.Ordinal) == true)];

    /// <summary>Space is back: new input is worked. Whose disk failed for good, by what it says, is stopped and restored first.</summary>
    private async Task GoOnAsync(IReadOnlyList<PodStatus> hindered, CancellationToken ct)
    {
        string[] broken = [.. hindered.Where(status => status.WaitingFor!.Contains("until this Pod is restarted", StringComparison.Ordinal)).Select(status => status.PodId).Order(StringComparer.Ordinal)];
        if (broken.Length > 0)
        {
            var stopped = await RunAsync(["stop", .. broken]);
            if (stopped.ExitCode != 0) _violations.Add(new("commands answer", $"yoi stop ended with {stopped.ExitCode}: {stopped.Error}"));
            await RestoreAsync(mustWork: true, ct, broken);
            await _processes.ResumeAsync(ct);
        }
        foreach (var status in hindered.Where(status => !broken.Contains(status.PodId)))
            if (await _processes.SendAsync(status.PodId, "there is space again", ct) is { } seq) _inputs.Add(new Acknowledged(status.PodId, seq, "there is space again"));
        await _processes.RestAsync(ct);
    }

    /// <summary>What the dead held is free: another gets all of it, and its start drops rows that only their life-locks tell from the living.</summary>
    private async Task SweepAsync()
    {
        Arm(null);
        var next = await RunAsync("start", "next", "--write", ".");
        if (next.ExitCode != 0) _violations.Add(new("one writer", $"the project is not free again: {next.Error}"));
        else await RunAsync("stop", "next");
    }

    private async Task StopAsync(Phase? phase, bool mayFail)
    {
        Arm(phase);
        if (mayFail && !_scenario.Faults.OfType<Fault.At>().Any(fault => fault.Phase == phase)) return;
        string[] ids = [.. Evidence.Of(_room.Directories).Journals().Select(journal => journal.PodId)];
        if (ids.Length == 0) return;
        var stopped = await RunAsync(["stop", .. ids]);
        if (!mayFail && stopped.ExitCode != 0) _violations.Add(new("commands answer", $"yoi stop ended with {stopped.ExitCode}: {stopped.Error}"));
    }

    private async Task RemoveAsync()
    {
        var ended = Evidence.Of(_room.Directories).Journals();
        if (_scenario.Faults.OfType<Fault.At>().Any(fault => fault.Phase == Phase.Remove))
        {
            Arm(Phase.Remove);
            await RunAsync("rm", "--all-ended");
            Arm(null);
            if ((await RunAsync("ps", "--json")) is { ExitCode: not 0 } listed) _violations.Add(new("commands answer", $"yoi ps ended with {listed.ExitCode}: {listed.Error}"));
        }
        var removed = await RunAsync("rm", "--all-ended");
        if (removed.ExitCode != 0 || (removed.Error.Length > 0 && !removed.Error.Contains("no Pod has ended", StringComparison.Ordinal))) _violations.Add(new("commands answer", $"yoi rm ended with {removed.ExitCode}: {removed.Error}"));
        foreach (var directory in Directory.Exists(_room.Directories.Pods) ? Directory.GetDirectories(_room.Directories.Pods) : []) _violations.Add(new("nothing left", directory));
        _violations.AddRange(ended.SelectMany(Tombstone).Concat(Present.Leftovers(_room.Directories, [])));
        foreach (var (pid, line) in _room.Processes()) _violations.Add(new("nothing left", $"process {pid}: {line}"));
    }

    /// <summary>What is said of a Pod that was removed is what its journal said last, however often that was begun.</summary>
    private IEnumerable<Violation> Tombstone(PodJournal journal)
    {
        var path = $"{_room.Directories.State}/tombstones/{journal.Name}.{journal.PodId}.json";
        if (!File.Exists(path)) yield return new("a tombstone stays", $"{journal} was removed and has none");
        else if (JsonDocument.Parse(File.ReadAllBytes(path)).RootElement is var said && (said.GetProperty("last_seq").GetInt64() != journal.Records[^1].Seq || said.GetProperty("end").ValueKind != JsonValueKind.String))
            yield return new("a tombstone stays", $"{journal} ended with seq {journal.Records[^1].Seq}, and its tombstone says {said}");
    }

    /// <summary>A command of the human. One that a fault stopped is let go on, or killed.</summary>
    private async Task<YoiResult> RunAsync(params string[] args)
    {
        await using var command = _room.Start(args);
        command.EndInput();
        using var done = new CancellationTokenSource();
        var freeing = _processes.FreeAsync(done.Token);
        try
        {
            return await command.EndAsync();
        }
        finally
        {
            await done.CancelAsync();
            await freeing;
        }
    }

    private Answer Answer(ReceivedRequest request)
    {
        var count = Interlocked.Increment(ref _requests);
        foreach (var strike in _scenario.Faults.OfType<Fault.Strike>().Where(strike => strike.AtRequest == count))
            if (_processes.Strike(strike.Signal) is { } victim)
                lock (_struck) _struck.Add($"{strike.Signal}:{victim}");
        foreach (var _ in _scenario.Faults.OfType<Fault.Fill>().Where(fill => fill.AtRequest == count))
        {
            _disk!.Fill();
            lock (_struck) _struck.Add("fill:state");
        }
        return _tree.Minds.Answer(request);
    }

    private Evidence Seen() => new(_room.Directories, _table.Seen, _inputs, [.. _server.Requests.Select(request => new SentRequest(Minds.Read(request.Body).Pod, request.Body))], new OpenAiWire());

    /// <param name="everything">Also what is now, not only what was.</param>
    private void JudgeAtRest(IReadOnlyDictionary<string, PodStatus> statuses, bool everything)
    {
        var evidence = Seen();
        var journals = evidence.Journals();
        _violations.AddRange(Histories.Check(evidence, journals));
        if (everything) _violations.AddRange(Present.AtRest(evidence, journals, statuses));
    }

    private void JudgeStopped()
    {
        var evidence = Seen();
        var journals = evidence.Journals();
        _entries = journals.Sum(journal => journal.Records.Count);
        _violations.AddRange(_table.Unreadable.Concat(Writers.Check(evidence.Tables)).Concat(Histories.Check(evidence, journals))
            .Concat(Present.WhenStopped(evidence, journals)).Concat(Present.Leftovers(_room.Directories, journals, _room.Project)));
    }

    public async ValueTask DisposeAsync()
    {
        _table.Dispose();
        await _server.DisposeAsync();
        await _room.DisposeAsync();
        if (_disk is not null) await _disk.DisposeAsync();
    }
}
