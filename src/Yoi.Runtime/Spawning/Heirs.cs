using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Whose children are whose when a Pod between them is gone or comes back. The table says whom a living Pod belongs to; the journal
/// of the one that is gone says up to where it had been told, and whom it had besides.
/// </summary>
internal sealed class Heirs(LaunchDocument own, ScopeTable table)
{
    /// <summary>The Pods of a dead child that are ours from here on: those that live, and those whose end nobody has recorded.</summary>
    /// <param name="known">Ids of children that are ours already.</param>
    internal IReadOnlyList<Entry.ChildSpawned> Of(KnownPod dead, IReadOnlySet<string> known)
    {
        var record = Read(dead);
        var rows = Rows();
        // The child of another that is dead, too, may be among them: what it was told stands there.
        List<Entry.ChildSpawned> came = [.. rows.Where(row => row.SpawnerId == own.PodId && !row.Pending && !known.Contains(row.PodId))
            .Select(row => record is null || record.Open.Any(child => child.ChildId == row.PodId) ? Came(row, dead.Name, record) : Came(row))];
        foreach (var child in record?.Open ?? [])
        {
            var pod = new KnownPod(child.Child, child.ChildId, own.Directories.Pod(child.Child, child.ChildId));
            if (known.Contains(child.ChildId) || rows.Any(row => row.PodId == child.ChildId) || !Directory.Exists(pod.Directory) || EndRecord.Of(pod) is not null) continue;
            came.Add(child with { CallId = null, From = dead.Name, Told = [.. record!.Told[child.ChildId]] });
        }
        return came;
    }

    /// <summary>What has changed while this Pod was gone: children that are another's by now, and living Pods that are ours and not known.</summary>
    /// <param name="starting">Ids of Pods whose spawn was cut off.</param>
    internal (IReadOnlyList<Entry.ChildHandedOver> Left, IReadOnlyList<Entry.ChildSpawned> Came) Changed(IReadOnlyList<Entry.ChildSpawned> open, IReadOnlySet<string> starting)
    {
        var rows = Rows();
        var names = rows.ToDictionary(row => row.PodId, row => row.Name, StringComparer.Ordinal);
        List<Entry.ChildHandedOver> left = [];
        foreach (var child in open)
            if (rows.FirstOrDefault(row => row.PodId == child.ChildId) is { SpawnerId: { } other } && other != own.PodId)
                left.Add(new(child.Child, child.ChildId, names.GetValueOrDefault(other, other)));
        var known = open.Select(child => child.ChildId).Concat(starting).ToHashSet(StringComparer.Ordinal);
        return (left, [.. rows.Where(row => row.SpawnerId == own.PodId && !row.Pending && !known.Contains(row.PodId)).Select(Came)]);
    }

    /// <summary>What the model is told of those that came, in its next request.</summary>
    internal static IEnumerable<Entry> Words(IReadOnlyList<Entry.ChildSpawned> came) => came.GroupBy(child => child.From).Select(those => new Entry.Correction(
        $"[yoi] pod `{those.Key}` has ended. What it had spawned is yours from here on, with the scope that it has: {string.Join(", ", those.Select(child => $"`{child.Child}`"))}. "
        + "You can read, message, wait for and stop it like a pod of your own."));

    private Entry.ChildSpawned Came(TableRow row)
    {
        var spawner = new KnownPod(row.Name, row.PodId, row.Directory).Created is { Spawner: { } by } && by.PodId != own.PodId ? by : null;
        return Came(row, spawner?.Name, spawner is null ? null : Read(new KnownPod(spawner.Name, spawner.PodId, own.Directories.Pod(spawner.Name, spawner.PodId))));
    }

    private static Entry.ChildSpawned Came(TableRow row, string? from, SpawnerRecord? record)
    {
        var process = new KnownPod(row.Name, row.PodId, row.Directory).LastProcess();
        return new(
            row.Name, row.PodId, process?.Pid ?? row.Pid ?? 0, process?.StartTime ?? "", process?.BootId ?? "", row.Scope.Allow, row.Generation, null,
            from, record is null ? null : [.. record.Told[row.PodId]]);
    }

    private static SpawnerRecord? Read(KnownPod pod)
    {
        try
        {
            return SpawnerRecord.Read(pod);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // Told again rather than never.
        }
    }

    private IReadOnlyList<TableRow> Rows()
    {
        try
        {
            return table.Read().Pods;
        }
        catch (ScopeException)
        {
            return []; // Nobody is given away or taken on the word of a table that cannot be read.
        }
    }
}
