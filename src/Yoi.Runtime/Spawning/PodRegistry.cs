using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Spawning;

/// <summary>A Pod whose durable directory exists.</summary>
internal sealed record KnownPod(string Name, string PodId, string Directory)
{
    /// <summary>True while its process holds its life-lock, and where that cannot be known.</summary>
    internal bool IsAlive => PodLock.MayLive(Directory);

    /// <summary>
    /// True while whoever starts it waits for it to be ready, and it does not hold its life-lock yet: the directory comes first and the lock file with the
    /// lock. Of one without lock and journal that nobody starts, the launcher was killed.
    /// </summary>
    internal bool IsStarting =>
        !System.IO.Path.Exists(System.IO.Path.Combine(Directory, PodFiles.Lock)) && !System.IO.Path.Exists(System.IO.Path.Combine(Directory, PodFiles.Journal))
        && LaunchHold.IsHeld(Directory);

    /// <summary>Bytes of its journal; 0 if there is none.</summary>
    internal long JournalLength => new FileInfo(System.IO.Path.Combine(Directory, PodFiles.Journal)) is { Exists: true } journal ? journal.Length : 0;

    internal JournalReader Journal => new(System.IO.Path.Combine(Directory, PodFiles.Journal));

    /// <summary>The same for whoever acts on what it says: only what is on disk.</summary>
    internal JournalReader SyncedJournal => new(System.IO.Path.Combine(Directory, PodFiles.Journal), synced: true);

    /// <summary>
    /// The process that serves it, by pid, start time, boot and pid namespace of its newest record of that; null if it is gone, and for one that
    /// runs <see cref="IsElsewhere">elsewhere</see>.
    /// </summary>
    internal PodProcess? FindProcess()
    {
        static PodProcess? Served(Entry.ProcessStarted? started) => started is null || IsForeign(started) ? null : PodProcess.Open(started.Pid, started.StartTime, started.BootId);

        // A Pod that was never restored has its one record right at the beginning.
        var first = Said(journal => journal.ReadAfter(Cursor.Start, out _, FirstEntries).Select(record => record.Entry).OfType<Entry.ProcessStarted>().LastOrDefault());
        return Served(first) ?? (IsAlive ? Served(LastProcess()) : null);
    }

    /// <summary>The same for its spawner, who wrote down what it started: of a journal whose own record is damaged, too.</summary>
    internal PodProcess? FindProcess(Entry.ChildSpawned child) => FindProcess() ?? (IsElsewhere ? null : PodProcess.Open(child.Pid, child.StartTime, child.BootId));

    /// <summary>True if its process has its number in another pid namespace (a container): here that number is anybody's, so it is never signalled.</summary>
    internal bool IsElsewhere => LastProcess() is { } started && IsForeign(started);

    private static bool IsForeign(Entry.ProcessStarted started) => started.PidNamespace is { } recorded && recorded != PodProcess.PidNamespace;

    /// <summary>The newest record of a process that served it; null if there is none.</summary>
    internal Entry.ProcessStarted? LastProcess() => Said(journal => journal.Each(typeof(Entry.ProcessStarted)).LastOrDefault()?.Entry as Entry.ProcessStarted);

    /// <summary>Who it is, as its journal begins; null if that does not say it.</summary>
    internal Entry.PodCreated? Created => Said(journal => journal.First()?.Entry as Entry.PodCreated);

    /// <summary>
    /// Nothing where the journal cannot be read: one Pod's files keep no other from being stopped or from coming back. Whoever works on that Pod hears
    /// of it.
    /// </summary>
    internal T? Said<T>(Func<JournalReader, T?> ask) where T : class
    {
        try
        {
            return ask(Journal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private const long FirstEntries = 64 * 1024;
}

/// <summary>The Pods of this state root, found by the names of their directories; opens no journal.</summary>
internal sealed class PodRegistry(YoiDirectories directories)
{
    /// <summary>All, oldest first.</summary>
    internal IReadOnlyList<KnownPod> All()
    {
        if (!Directory.Exists(directories.Pods)) return [];
        Enterable(directories.Pods);
        return [.. Directory.EnumerateDirectories(directories.Pods)
            .Select(path => (path, dot: path.LastIndexOf('.'), slash: path.LastIndexOf('/')))
            .Where(p => p.dot > p.slash + 1 && p.path.Length - p.dot == 33)
            .Select(p => new KnownPod(p.path[(p.slash + 1)..p.dot], p.path[(p.dot + 1)..], Enterable(p.path)))
            .OrderBy(pod => pod.PodId, StringComparer.Ordinal)];
    }

    /// <summary>
    /// A command at level partial can take rights on its own Pod's directories from their owner: they are ours, and were 0700. Else one Pod could
    /// keep itself and all others from being seen and stopped.
    /// </summary>
    private static string Enterable(string directory)
    {
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            if ((File.GetUnixFileMode(directory) & owner) != owner) File.SetUnixFileMode(directory, owner);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone, or another user's: what needs it says so.
        }
        return directory;
    }

    /// <summary>A name means the living Pod of that name, else the newest; null if there never was one.</summary>
    internal KnownPod? Newest(string name) => Named(All(), name);

    /// <summary>The same among these, which are ordered by age.</summary>
    internal static KnownPod? Named(IEnumerable<KnownPod> pods, string name)
    {
        List<KnownPod> named = [.. pods.Where(pod => pod.Name == name)];
        return named.Count < 2 ? named.FirstOrDefault() : named.LastOrDefault(pod => pod.IsAlive) ?? named[^1];
    }
}
