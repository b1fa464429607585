using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>
/// What may go: decides whether a Pod's files may be removed, and removes them; a tombstone stays. For <c>rm</c>, where a human names Pods,
/// and <c>gc</c>, which looks for them. Holds what it has read for the length of one verb.
/// </summary>
internal sealed class Retention(Surroundings s)
{
    private readonly IReadOnlyList<KnownPod> _pods = s.Registry.All();
    /// <summary>No trial of a sandbox takes so long.</summary>
    private static readonly TimeSpan TrialLimit = TimeSpan.FromHours(1);

    /// <summary>So many listings may come between while a Pod's last files go.</summary>
    private const int MostListings = 10;

    private readonly Dictionary<string, ChildBook> _books = new(StringComparer.Ordinal);
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);

    internal IReadOnlyList<KnownPod> Pods => _pods;

    /// <summary>Why a Pod's files stay; null if they may go: for those that are asked about later it counts as gone.</summary>
    internal string? WhyNot(KnownPod pod)
    {
        try
        {
            var why = Needed(pod);
            if (why is null) _gone.Add(pod.PodId);
            return why;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"the files of {pod.Name} cannot be looked at: {e.Message}"; // The others' can.
        }
    }

    private string? Needed(KnownPod pod)
    {
        if (pod.IsStarting) return Starting(pod);
        if (pod.IsAlive) return $"{pod.Name} is alive; `yoi stop {pod.Name}` first";
        if (s.Table.Read().Pods.Any(row => row.PodId == pod.PodId)) return $"{pod.Name} still holds paths in the scope table; `yoi stop {pod.Name}` gives them back";
        if (new PodTree(s.Registry, s.Table).LivingBelow(pod) is [.., var below]) return $"{below.Name}, below {pod.Name}, is alive; `yoi stop {pod.Name}` stops what is left of its tree";
        if (pod.Journal.First()?.Entry is not Entry.PodCreated created) return null;
        if (pod.Journal.Last()?.Entry is not Entry.PodEnded) return $"the end of {pod.Name} is not recorded; `yoi stop {pod.Name}` verifies and records it";
        return Reader(pod, created) is not { } reader ? null
            : $"{reader.Name}, {(created.Spawner!.PodId == reader.PodId ? "which spawned" : "which took over")} {pod.Name}, "
                + (reader.IsAlive ? $"is alive and has not read it to its end; `yoi stop {reader.Name}` first"
                    : $"has not read it to its end and can come back; `yoi restore {reader.Name}`, or `yoi rm {reader.Name}` first");
    }

    /// <summary>Who has yet to read what an ended Pod said: its spawner, or whoever above took it over. Null if one of them has, or none ever will.</summary>
    private KnownPod? Reader(KnownPod pod, Entry.PodCreated created)
    {
        KnownPod? reader = null;
        var by = created.Spawner?.PodId;
        for (var steps = 0; steps < _pods.Count && _pods.FirstOrDefault(other => other.PodId == by) is { } above; by = above.Created?.Spawner?.PodId, steps++)
        {
            var known = BookOf(above).WithId(pod.PodId);
            if (known is not null && !HasUnread(known, pod)) return null;
            if (reader is null && (known is not null || steps == 0) && MayRead(above)) reader = above;
        }
        return reader;
    }

    /// <summary>True if it lives, or can come back: what crashed or went with the machine does, what ended on purpose only by its own name.</summary>
    private bool MayRead(KnownPod pod) =>
        pod.IsAlive || (!_gone.Contains(pod.PodId) && pod.Created is not null && !LaunchRecord.IsOnPurpose(EndRecord.Of(pod)));

    /// <summary>
    /// Leaves a tombstone, whole and on disk before anything goes, then removes the files. The right to its journal is held meanwhile, so
    /// that it cannot come back while its files go.
    /// </summary>
    /// <returns>Null, or why nothing was removed: since it was looked at, it came back, or somebody works on it.</returns>
    internal string? Remove(KnownPod pod)
    {
        try
        {
            if (pod.IsStarting) return Starting(pod); // The right to its journal would be in its way.
            using var right = PodLock.TryTakeJournalOfDead(pod.Directory);
            if (right is null) return $"{pod.Name} is being restored or repaired this moment";
            if (WhyNot(pod) is { } why) return why;
            RemoveFiles(pod);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _gone.Remove(pod.PodId);
            return $"the files of {pod.Name} cannot all be removed: {e.Message}"; // The others' can.
        }
    }

    private static string Starting(KnownPod pod) => $"{pod.Name} is being started this moment";

    private void RemoveFiles(KnownPod pod)
    {
        var last = pod.Journal.Last();
        var end = last?.Entry is Entry.PodEnded ended ? EntryText.EndText(ended.Reason, ended.By, ended.Detail) : null;
        var grave = $"{Graves}/{pod.Name}.{pod.PodId}.json";
        PrivateFile.CreateDirectory(Graves);
        // Without a journal it is what an earlier removal left, which has said all that there was to say.
        if (last is not null || !File.Exists(grave))
            PrivateFile.Replace(grave, JsonSerializer.SerializeToUtf8Bytes(new Tombstone(pod.PodId, pod.Name, end, last?.Seq ?? 0, s.Time.GetUtcNow()), TerminalJson.Default.Tombstone), durable: true);
        EndRecord.RemoveRuntimeFiles(pod, s.Directories);
        // What commands filled goes first: what fails there leaves a Pod, not half of one. Then the journal, without which none comes back: the lock
        // file, by which we keep it from that, goes with the rest.
        DeepTree.Remove(pod.Directory + "/sandbox");
        DeepTree.Remove($"{pod.Directory}/{PodFiles.Journal}");
        RemoveLast(pod.Directory);
    }

    /// <summary>A listing that has read the journal may put its verdict beside it this moment. Once the journal is gone, none begins to.</summary>
    private static void RemoveLast(string directory)
    {
        for (var again = 0; ; again++)
        {
            try
            {
                DeepTree.Remove(directory);
                return;
            }
            catch (LinuxException e) when (e.Errno is Errno.NotEmpty or Errno.NoEnt && again < MostListings)
            {
                // What came, or went to its name, after the directory was listed.
            }
        }
    }

    /// <summary>Bytes of a file, or of all files below a directory; links are not followed.</summary>
    internal static long Bytes(string path) => DeepTree.Bytes(path);

    /// <summary>
    /// What processes that are gone left behind, and no verb needs: sockets, tokens, files half written, private places of commands. Each is
    /// judged anew when its turn comes: Pods start meanwhile.
    /// </summary>
    /// <param name="remove">Removes each.</param>
    internal IEnumerable<GcLeftover> Leftovers(bool remove)
    {
        foreach (var path in Files(s.Directories.Runtime))
        {
            if (Path.GetFileName(path).Split('.') is not [{ Length: 32 } id, "sock" or "token" or "new", ..]) continue;
            // A Pod's directory is there before its socket.
            if (!s.Registry.All().Any(pod => pod.PodId == id && (pod.IsStarting || pod.IsAlive))) yield return Leftover(path, remove);
        }
        foreach (var path in Files(s.Directories.State))
        {
            var words = Path.GetFileName(path).Split('.', '-');
            if ((words is ["scopes", "lock", "tmp", var pid, ..] || words is ["", "lock", "test", _, ..] && (pid = words[3]) is not null) && !Path.Exists("/proc/" + pid)) yield return Leftover(path, remove);
        }
        var old = s.Time.GetUtcNow().UtcDateTime - TrialLimit;
        foreach (var path in Directory.GetDirectories(System.IO.Path.GetTempPath(), SandboxTrial.Scratch + "*"))
            if (Directory.GetLastWriteTimeUtc(path) < old && Libc.Identify(path, out var trial) == 0 && trial.Owner == Libc.Geteuid()) yield return Leftover(path, remove);
        foreach (var pod in s.Registry.All().Where(pod => !pod.IsStarting && !pod.IsAlive))
        {
            using var right = PodLock.TryTakeJournalOfDead(pod.Directory);
            if (right is null) continue; // It comes back this moment, and what it left with it.
            foreach (var name in (string[])[PodFiles.Journal + ".new", PodFiles.Verdict + ".new", "killed.txt.new", "sandbox"])
                if (Path.Exists($"{pod.Directory}/{name}")) yield return Leftover($"{pod.Directory}/{name}", remove);
        }
    }

    /// <summary>What is left of Pods that were removed before that.</summary>
    /// <param name="remove">Removes each.</param>
    internal IEnumerable<GcLeftover> Tombstones(DateTimeOffset before, bool remove) =>
        Files(Graves).Where(path => File.GetLastWriteTimeUtc(path) < before.UtcDateTime).Select(path => Leftover(path, remove));

    private string Graves => s.Directories.State + "/tombstones";

    private static GcLeftover Leftover(string path, bool remove)
    {
        var leftover = new GcLeftover(path, Bytes(path));
        if (remove) DeepTree.Remove(path);
        return leftover;
    }

    private static string[] Files(string directory) => Directory.Exists(directory) ? Directory.GetFiles(directory) : [];

    /// <summary>What a Pod's journal says of its children; read once.</summary>
    private ChildBook BookOf(KnownPod pod)
    {
        if (!_books.TryGetValue(pod.PodId, out var book))
        {
            _books[pod.PodId] = book = new ChildBook();
            foreach (var record in pod.Journal.Each()) book.Apply(record.Entry);
        }
        return book;
    }

    /// <summary>True if the journal that knows the ended child so does not tell all that it said.</summary>
    private static bool HasUnread(KnownChild known, KnownPod child) => child.Journal.Each().Any(record =>
        (record.Entry is Entry.PodEnded && known.Ended is null && record.Seq > (known.News?.Seq ?? 0)) || (TranscriptText.Of(record) is not null && record.Seq > (known.Output?.Seq ?? 0)));
}
