using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Shared.Invariants;

namespace Yoi.EndToEnd.Torture;

/// <summary>The processes of one root: strikes them, frees those that a fault stopped, and knows when all are at rest.</summary>
internal sealed class Processes(YoiRoom room, Random random)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50), AnswerLimit = TimeSpan.FromSeconds(1), RestLimit = TimeSpan.FromSeconds(120);

    private readonly Dictionary<int, int> _heldFor = [];

    /// <summary>Kills or stops one of them now; says which. Null if there is none.</summary>
    internal string? Strike(string signal)
    {
        var all = room.Processes();
        if (all.Count == 0) return null;
        var (pid, line) = all[Next(all.Count)];
        return Libc.Kill(pid, signal == "stop" ? Libc.SigStop : Libc.SigKill) == 0 ? Name(line) : null;
    }

    /// <summary>Lets stopped processes go on, or kills them, until it is cancelled.</summary>
    internal async Task FreeAsync(CancellationToken ct)
    {
        using var ticks = new PeriodicTimer(Tick);
        try
        {
            do Free();
            while (await ticks.WaitForNextTickAsync(ct));
        }
        catch (OperationCanceledException)
        {
            // Nobody needs it any more.
        }
    }

    /// <summary>Waits until nobody works: every living Pod is idle or paused and has told all news, and no journal grows.</summary>
    internal async Task RestAsync(CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        using var ticks = new PeriodicTimer(Tick);
        var before = "";
        for (var quiet = 0; quiet < 8;)
        {
            await ticks.WaitForNextTickAsync(ct);
            Free();
            var now = await RestingAsync(ct);
            quiet = now is not null && now == before ? quiet + 1 : 0;
            before = now ?? "";
            if (Stopwatch.GetElapsedTime(began) > RestLimit) throw new TimeoutException($"no rest within {RestLimit.TotalSeconds} s: {string.Join("; ", room.Processes())}");
        }
    }

    /// <summary>What living Pods say of themselves.</summary>
    internal async Task<IReadOnlyDictionary<string, PodStatus>> StatusesAsync(CancellationToken ct)
    {
        var statuses = new Dictionary<string, PodStatus>(StringComparer.Ordinal);
        foreach (var journal in Evidence.Of(room.Directories).Journals().Where(journal => journal.IsAlive))
            if (await StatusAsync(journal, ct) is { } status) statuses[journal.PodId] = status;
        return statuses;
    }

    /// <summary>Lets paused Pods go on.</summary>
    internal async Task ResumeAsync(CancellationToken ct)
    {
        foreach (var journal in Evidence.Of(room.Directories).Journals().Where(journal => journal.IsAlive))
        {
            if (await StatusAsync(journal, ct) is not { State: PodState.Paused }) continue;
            try
            {
                await using var client = await PodClient.ConnectAsync(room.Directories.Socket(journal.PodId), ct: ct);
                await client.ResumeAsync(ct);
            }
            catch (Exception e) when (e is IOException or SocketException or TimeoutException or PodRefusedException)
            {
                // It ended, or somebody else sent it something to do.
            }
        }
    }

    /// <summary>Gives it something to do; the seq under which it was accepted, null if it was not.</summary>
    internal async Task<long?> SendAsync(string podId, string text, CancellationToken ct)
    {
        try
        {
            await using var client = await PodClient.ConnectAsync(room.Directories.Socket(podId), ct: ct);
            return await client.AskAsync(new Method.Run(text, SendMode.Queue), ct) is ReplyResult.Accepted accepted ? accepted.Seq : null;
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException or PodRefusedException)
        {
            return null; // It ended, or its disk fails once more.
        }
    }

    /// <summary>How far all have come; null while somebody works.</summary>
    private async Task<string?> RestingAsync(CancellationToken ct)
    {
        List<string> all = [];
        foreach (var journal in Evidence.Of(room.Directories).Journals())
        {
            all.Add(string.Create(CultureInfo.InvariantCulture, $"{journal.PodId}:{journal.Records.Count}:{journal.IsAlive}"));
            if (!journal.IsAlive) continue;
            if (await StatusAsync(journal, ct) is not { } status) return null;
            if (status.State is not (PodState.Idle or PodState.Paused) || (status.State == PodState.Idle && status.WaitingFor is null && status.UnreadNews + status.QueuedInputs > 0)) return null;
        }
        return string.Join(' ', all);
    }

    private async Task<PodStatus?> StatusAsync(PodJournal journal, CancellationToken ct)
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(AnswerLimit);
            await using var client = await PodClient.ConnectAsync(room.Directories.Socket(journal.PodId), limit: AnswerLimit, ct: limit.Token);
            return await client.StatusAsync(limit.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException or PodRefusedException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return null; // Starting, ending or stopped.
        }
    }

    private void Free()
    {
        foreach (var (pid, _) in room.Processes().Where(process => IsHeld(process.Pid)))
        {
            lock (_heldFor)
            {
                _heldFor[pid] = _heldFor.GetValueOrDefault(pid) + 1;
                if (_heldFor[pid] <= Next(20)) continue;
                _heldFor.Remove(pid);
            }
            _ = Libc.Kill(pid, Next(2) == 0 ? Libc.SigKill : 18 /* SIGCONT */);
        }
    }

    private int Next(int bound)
    {
        lock (random) return random.Next(bound);
    }

    private static string Name(string line) => line.Contains("bwrap", StringComparison.Ordinal) ? "command" : line.Contains("serve", StringComparison.Ordinal) ? "pod" : Path.GetFileName(line.Split(' ')[0]);

    private static bool IsHeld(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat.AsSpan(stat.LastIndexOf(')') + 1).TrimStart() is ['T' or 't', ..];
        }
        catch (IOException)
        {
            return false; // It has gone meanwhile.
        }
    }
}
