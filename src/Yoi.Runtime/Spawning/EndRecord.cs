using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The end entry of a dead Pod. A Pod that ends in order writes its own; for any other it is written here, once, by whoever
/// verified that the process is gone and holds the right to its journal. Why it was killed is noted before the signal.
/// </summary>
internal static class EndRecord
{
    private const string KillNote = "killed.txt";
    private const int LockTries = 40;
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(25);

    /// <summary>The end that the journal records; null if it records none, or cannot be read.</summary>
    internal static Entry.PodEnded? Of(KnownPod pod) => pod.Said(journal => journal.Last()?.Entry as Entry.PodEnded);

    /// <summary>
    /// Notes who kills and why, before the signal: whoever writes the end entry then knows. A full disk keeps nobody alive:
    /// without the note the end is called what it looks like.
    /// </summary>
    internal static void TryNoteKill(KnownPod pod, string by, string why)
    {
        try
        {
            PrivateDirectories.WriteSecret(Path.Combine(pod.Directory, KillNote), $"{by}\n{why}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The signal matters, not the words.
        }
    }

    /// <summary>To be called by a Pod that begins to be served: what was noted of an earlier process is no longer true.</summary>
    internal static void ForgetKill(string podDirectory) => File.Delete(Path.Combine(podDirectory, KillNote));

    /// <summary>The recorded end, after writing it if it was missing. The Pod's life-lock must be free.</summary>
    /// <param name="exit">How its process ended, if that was seen.</param>
    /// <param name="returned">Rules that went back because of this end.</param>
    /// <exception cref="JournalException">It could not be written.</exception>
    internal static async Task<Entry.PodEnded> CompleteAsync(
        KnownPod pod, ProcessExit? exit, IReadOnlyList<ScopeRule> returned, string writtenBy, TimeProvider time, CancellationToken ct)
    {
        for (var tries = 0; ; tries++)
        {
            // A spawn that its spawner undoes meanwhile takes the Pod's files away: there is nothing to record it in.
            if (!Directory.Exists(pod.Directory)) return Made(pod, exit, returned, writtenBy);
            if (Of(pod) is { } recorded) return recorded;
            using var right = Take(pod);
            if (right is not null) return Of(pod) ?? await WriteAsync(pod, right, Made(pod, exit, returned, writtenBy), time);
            if (tries == LockTries) throw new JournalException($"the journal of pod `{pod.Name}` is held by another process, which should be writing its end");
            await Task.Delay(LockPause, time, ct); // Another is writing it this moment.
        }
    }

    private static PodLock? Take(KnownPod pod)
    {
        try
        {
            return PodLock.TryTakeJournalOfDead(pod.Directory);
        }
        catch (IOException) when (!Directory.Exists(pod.Directory))
        {
            return null;
        }
    }

    /// <summary>
    /// What is left of a Pod whose spawn failed: all of it is removed, unless it had its task or a life before. Then it may have done something: its
    /// journal stays, and says how it ended. Nothing of it runs any more.
    /// </summary>
    internal static async Task RemoveUnbornAsync(
        KnownPod pod, YoiDirectories directories, ProcessExit? exit, IReadOnlyList<ScopeRule> returned, string writtenBy, TimeProvider time)
    {
        directories.RemoveRuntimeFiles(pod.PodId);
        if (!Directory.Exists(pod.Directory)) return;
        if (pod.Journal.Each(typeof(Entry.Input), typeof(Entry.PodEnded)).Any())
            await CompleteAsync(pod, exit, returned, writtenBy, time, CancellationToken.None);
        else
            RemoveNeverBegun(pod.Directory);
    }

    /// <summary>The directory of a Pod that never was, if it is there.</summary>
    internal static void RemoveNeverBegun(string podDirectory)
    {
        if (!Directory.Exists(podDirectory)) return;
        Failpoint.Pass(Failpoints.UnbornRemove);
        Directory.Delete(podDirectory, recursive: true);
    }

    /// <summary>No entry of it was ever whole: killed before its journal said who it is, it never was a Pod.</summary>
    private static bool NeverBegan(KnownPod pod) => pod.Journal.ReadAfter(Cursor.Start, out var health, maxBytes: 1).Count == 0 && health.DamagedLines == 0;

    /// <summary>
    /// The same by its own process, when nobody waits for it any more: its spawner was killed, and the grant is withdrawn.
    /// </summary>
    internal static void RemoveUnborn(KnownPod pod)
    {
        if (!Directory.Exists(pod.Directory) || !NeverBegan(pod)) return;
        using var right = PodLock.TryTakeJournalOfDead(pod.Directory);
        if (right is not null) RemoveNeverBegun(pod.Directory);
    }

    /// <summary>Token and socket of a Pod that is gone: one that was killed leaves them.</summary>
    internal static void RemoveRuntimeFiles(KnownPod pod, YoiDirectories directories) => directories.RemoveRuntimeFiles(pod.PodId);

    private static async Task<Entry.PodEnded> WriteAsync(KnownPod pod, PodLock right, Entry.PodEnded end, TimeProvider time)
    {
        if (NeverBegan(pod))
        {
            RemoveNeverBegun(pod.Directory);
            return end;
        }
        if (pod.Journal.First() is null) return end; // Damaged from its beginning: nothing is added to that.
        var life = new LifeFold();
        await using var journal = JournalWriter.Open(pod.Directory, right, [life], time);
        end = OfLife(end, life.Process, life.Totals);
        var left = CommandMarks.Of(pod.Directory).Where(mark => mark.IsSettled).ToList();
        await journal.AppendAsync(Durability.Synced, [.. Found(left.SelectMany(mark => mark.Told)), end]);
        left.ForEach(mark => mark.Remove());
        return end;
    }

    /// <summary>What was found of a Pod's commands after it had died, as entries.</summary>
    internal static IEnumerable<Entry> Found(IEnumerable<string> told) => told.Distinct().Select(text => new Entry.Notification("warn", "sandbox", text));

    /// <summary>
    /// The end of the process before, for a Pod that is served again and finds none in its own journal, which it holds: who reads it learns that there
    /// was an end between two lives, and what is known of it. To be made before <see cref="ForgetKill"/>.
    /// </summary>
    /// <param name="process">The process that served it last; null if the journal names none.</param>
    internal static Entry.PodEnded OfLifeBefore(KnownPod pod, Entry.ProcessStarted? process, Totals totals) => OfLife(Made(pod, null, [], pod.Name), process, totals);

    private static Entry.PodEnded OfLife(Entry.PodEnded end, Entry.ProcessStarted? process, Totals totals)
    {
        var isOfAnotherBoot = end.Reason == PodEnd.Lost && process is not null && process.BootId != ProcessStat.BootId;
        return end with { Totals = totals, Detail = isOfAnotherBoot ? "the machine was restarted" : end.Detail };
    }

    private static Entry.PodEnded Made(KnownPod pod, ProcessExit? exit, IReadOnlyList<ScopeRule> returned, string writtenBy)
    {
        var note = Path.Combine(pod.Directory, KillNote);
        if (exit is null or { Code: null, Signal: null or Linux.Libc.SigKill } && Noted(note)?.Split('\n', 2) is [var by, var why])
            return new(PodEnd.Killed, by, why, returned, new Totals(), writtenBy);
        var (reason, detail) = (exit ?? new ProcessExit(null, null)).AsEnd();
        return new(reason, null, detail, returned, new Totals(), writtenBy);
    }

    /// <summary>Null if it is not there; nobody waits for words that cannot be read.</summary>
    private static string? Noted(string note)
    {
        try
        {
            return PrivateFile.ReadText(note);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Sums up a journal as it is replayed.</summary>
    private sealed class LifeFold : IJournalFold
    {
        internal Totals Totals { get; private set; } = new();

        internal Entry.ProcessStarted? Process { get; private set; }

        public void Apply(JournalRecord record)
        {
            Totals = Totals.After(record.Entry);
            if (record.Entry is Entry.ProcessStarted started) Process = started;
        }
    }
}
