using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>A Pod cannot be repaired now; the message says what helps. Nothing was changed.</summary>
internal sealed class RepairException(string message) : Exception(message);

/// <summary>
/// Finds and mends what is damaged among one Pod's durable files. Nothing is thrown away: what is replaced stays beside it under a name
/// that ends with <c>.damaged-N</c>.
/// </summary>
internal static class PodRepair
{
    /// <summary>What is damaged, the worst first. Changes nothing; costs a pass over the journal.</summary>
    internal static IReadOnlyList<Damage> Look(KnownPod pod) => Look(pod, JournalCheck.Look);

    /// <summary>The same for listings: a journal that was found sound is not read again as long as it is the same.</summary>
    internal static IReadOnlyList<Damage> LookIfChanged(KnownPod pod, TimeProvider time) => Look(pod, directory => JournalCheck.LookIfChanged(directory, time));

    private static List<Damage> Look(KnownPod pod, Func<string, IReadOnlyList<Damage>> look)
    {
        var found = new List<Damage>();
        try
        {
            _ = PodLock.IsAlive(pod.Directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            found.Add(new(PodFiles.Lock, 0, 0, $"whether the Pod lives cannot be known: {e.Message}"));
        }
        try
        {
            found.AddRange(look(pod.Directory));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            found.Add(new(PodFiles.Journal, 0, 0, $"it cannot be read: {e.Message}"));
        }
        return found;
    }

    /// <summary>Mends what can be mended of a Pod that is dead.</summary>
    /// <exception cref="RepairException">It lives, or that cannot be excluded.</exception>
    /// <exception cref="IOException">It failed; what was not told is as it was.</exception>
    internal static RepairReport Run(KnownPod pod, TimeProvider time)
    {
        if (pod.IsStarting) throw new RepairException($"{pod.Name} is being started this moment");
        List<Mended> places = [];
        List<string> kept = [];
        using var right = Take(pod, places, kept);
        if (Misplaced(pod, PodFiles.Journal) is { } damage)
        {
            kept.Add(PutAside(pod, PodFiles.Journal));
            places.Add(new(damage, false, "lost: put aside as it is; what this Pod did is not known"));
        }
        if (JournalRepair.Run(right, time) is { } report)
        {
            places.AddRange(report.Places);
            kept.AddRange(report.Kept);
        }
        return new(places, kept);
    }

    private static PodLock Take(KnownPod pod, List<Mended> places, List<string> kept)
    {
        try
        {
            if (!PodLock.IsAlive(pod.Directory) && PodLock.TryTakeJournalOfDead(pod.Directory) is { } right) return right;
            throw new RepairException($"{pod.Name} is alive, or its end is being written; `yoi stop {pod.Name}` first");
        }
        catch (IOException e)
        {
            // A lock that cannot be used is held by nobody, but one that stood there before may be.
            if (PodUsers.Of(pod).Select(pid => (int?)pid).FirstOrDefault() is { } pid) throw new RepairException($"{pod.Name} cannot be repaired while process {pid} has its files open; end that first");
            var damage = new Damage(PodFiles.Lock, 0, 0, e.Message);
            kept.Add(PutAside(pod, PodFiles.Lock));
            var right = PodLock.TryTakeJournalOfDead(pod.Directory) ?? throw new RepairException($"{pod.Name} has just been started again; `yoi stop {pod.Name}` first");
            places.Add(new(damage, true, "restored: made anew; no process has this Pod's files open"));
            return right;
        }
    }

    private static Damage? Misplaced(KnownPod pod, string name)
    {
        var path = Path.Combine(pod.Directory, name);
        try
        {
            using var file = PrivateFile.OpenToRead(path);
            return null;
        }
        catch (IOException e)
        {
            return new Damage(name, 0, 0, e.Message);
        }
    }

    private static string PutAside(KnownPod pod, string name)
    {
        var path = Path.Combine(pod.Directory, name);
        var kept = JournalRepair.NameToKeep(path);
        Failpoint.Pass(Failpoints.RepairAside);
        if (Libc.Rename(path, kept) != 0) throw Libc.Failed("rename " + path);
        Failpoint.Pass(Failpoints.RepairDirectorySync);
        PrivateFile.SyncDirectory(pod.Directory);
        return Path.GetFileName(kept);
    }
}
