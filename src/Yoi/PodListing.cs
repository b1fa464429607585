using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>
/// The rows of <c>yoi ps</c>. A living Pod answers <c>status</c> within a limit; of one that does not live the first and the last record say what
/// it was, and the checksum of every line is looked at, once: not again while the journal stays the same. A directory whose journal cannot be read is shown, never hidden.
/// </summary>
internal static class PodListing
{
    /// <summary>Generous: on a busy machine it is our own start that takes long. A Pod that is held is known without asking.</summary>
    internal static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(3);

    internal static async Task<IReadOnlyList<PodRow>> CollectAsync(Surroundings s, IEnumerable<KnownPod> pods, CancellationToken ct) =>
        await Task.WhenAll(pods.Select(pod => Task.Run(async () => WithDamage(s, pod, await RowAsync(s, pod, ct)), ct)));

    internal static async Task<PodRow> RowAsync(Surroundings s, KnownPod pod, CancellationToken ct)
    {
        try
        {
            return await AskedAsync(s, pod, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new PodRow(pod.PodId, pod.Name, "damaged", Note: e.Message); // One Pod's files keep no other from being listed.
        }
    }

    private static async Task<PodRow> AskedAsync(Surroundings s, KnownPod pod, CancellationToken ct)
    {
        // Listed from the moment its process exists: what it is, its journal has yet to say.
        if (pod.IsStarting) return new PodRow(pod.PodId, pod.Name, "starting");
        if (!pod.IsAlive) return FromJournal(pod, null);
        using var process = pod.FindProcess();
        if (process is { IsHeld: true }) return FromJournal(pod, s.Directories.Socket(pod.PodId)) with { Pid = process.Pid };
        using var limit = new CancellationTokenSource(AnswerLimit, s.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var socket = s.Directories.Socket(pod.PodId);
        try
        {
            return FromStatus(await PodClient.StatusOfAsync(socket, ct: either.Token), socket);
        }
        catch (Exception e) when (e is IOException or TimeoutException or PodRefusedException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            // It may have ended while we asked.
            return pod.IsAlive ? FromJournal(pod, socket) with { Pid = process?.Pid } : FromJournal(pod, null);
        }
    }

    /// <summary>
    /// What lives keeps its state, and its damage is a note: that which it says it found when it opened its journal. Of all others every
    /// line's checksum is looked at, or was before.
    /// </summary>
    private static PodRow WithDamage(Surroundings s, KnownPod pod, PodRow row)
    {
        if (row.State is "idle" or "running" or "paused" or "stopping")
            return row.Note is null ? row : row with { Note = $"{row.Note}; `yoi stop {pod.Name}`, then `yoi repair {pod.Name}`, restores what can be restored" };
        if (PodRepair.LookIfChanged(pod, s.Time) is not { Count: > 0 } found) return row;
        var note = $"{found[0]}{(found.Count > 1 ? $", and {found.Count - 1} more" : "")}; `yoi repair {pod.Name}` restores what can be restored";
        return row with { State = row.State is "ended" or "dead" || found[0].File == PodFiles.Lock ? "damaged" : row.State, Note = note };
    }

    private static PodRow FromStatus(PodStatus status, string socket) => new(
        status.PodId, status.Name, Amounts.Name(status.State), status.Pid, socket, status.Spawner?.PodId, status.Scope, status.SandboxLevel,
        status.Provider == "scripted" ? "scripted" : $"{status.Provider}/{status.Model}", status.Cwd, status.Totals.Turns,
        status.Totals.InputTokens, status.Totals.OutputTokens, status.LastActivity, status.WaitingFor, status.UnreadNews, Last(status.Totals), Note: status.Damaged);

    /// <param name="silentSocket">Socket of a Pod that is alive and does not answer; null if it is gone.</param>
    private static PodRow FromJournal(KnownPod pod, string? silentSocket)
    {
        JournalRecord? first, last;
        try
        {
            (first, last) = (pod.Journal.First(), pod.Journal.Last());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new PodRow(pod.PodId, pod.Name, "damaged", Socket: silentSocket, Note: e.Message);
        }
        if (first is null && silentSocket is not null) return new PodRow(pod.PodId, pod.Name, "starting");
        if (first?.Entry is not Entry.PodCreated created)
            return new PodRow(pod.PodId, pod.Name, "damaged", Socket: silentSocket, Note: $"{PodFiles.Journal} does not begin with who it is");
        var row = new PodRow(
            pod.PodId, pod.Name, silentSocket is null ? "dead" : "not_answering", Socket: silentSocket, Spawner: created.Spawner?.PodId, Scope: created.Scope,
            Model: created.Model.Provider == "scripted" ? "scripted" : EntryText.ModelName(created.Model), Cwd: created.Cwd, LastActivity: last?.Time);
        return last?.Entry is not Entry.PodEnded end || silentSocket is not null ? row : row with
        {
            State = "ended",
            End = EntryText.EndText(end.Reason, end.By, end.Detail),
            Turns = end.Totals.Turns,
            InputTokens = end.Totals.InputTokens,
            OutputTokens = end.Totals.OutputTokens,
            LastRun = Last(end.Totals),
        };
    }

    private static string? Last(Totals totals) => totals.LastRun is { } end ? Amounts.Name(end) : null;
}
