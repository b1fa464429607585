using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Who is below whom: from launch records (the first entry of each journal) and, for a Pod too young to have one, from its
/// row in the scope table. Never by asking the Pods.
/// </summary>
internal sealed class PodTree(PodRegistry registry, ScopeTable table)
{
    private readonly Dictionary<string, string?> _spawners = new(StringComparer.Ordinal);
    private Dictionary<string, KnownPod>? _known;

    /// <summary>
    /// Who spawned a Pod: what its journal says, else its row; null for a root, and for one that is not known. Which Pods there are is
    /// looked up once.
    /// </summary>
    internal string? SpawnerOf(string podId)
    {
        if (_spawners.TryGetValue(podId, out var known)) return known;
        _known ??= registry.All().ToDictionary(pod => pod.PodId, StringComparer.Ordinal);
        if (_known.TryGetValue(podId, out var pod) && pod.Created is { } created)
            return _spawners[podId] = created.Spawner?.PodId;
        return Rows().FirstOrDefault(row => row.PodId == podId)?.SpawnerId;
    }

    /// <summary>The nearest Pod above this one that lives; null if none does.</summary>
    internal KnownPod? LivingAbove(KnownPod pod)
    {
        var all = registry.All().ToDictionary(one => one.PodId, StringComparer.Ordinal);
        var steps = 0;
        for (var id = SpawnerOf(pod.PodId); id is not null && steps <= all.Count; id = SpawnerOf(id), steps++)
            if (all.TryGetValue(id, out var above) && above.IsAlive) return above;
        return null;
    }

    /// <summary>
    /// The living Pods below this one, deepest first. Below is who has its spawner below, by its journal or by its row: the journal of a dead
    /// Pod between them may be damaged, and then the row alone says whose they are by now.
    /// </summary>
    internal IReadOnlyList<KnownPod> LivingBelow(KnownPod top)
    {
        var all = registry.All();
        _known = all.ToDictionary(pod => pod.PodId, StringComparer.Ordinal);
        var holders = Rows().ToDictionary(row => row.PodId, row => row.SpawnerId, StringComparer.Ordinal);

        int? LevelsBelowTop(string podId)
        {
            HashSet<string> seen = new(StringComparer.Ordinal) { podId };
            List<string> level = [podId];
            for (var levels = 0; level.Count > 0; levels++)
            {
                if (level.Contains(top.PodId)) return levels;
                level = [.. level.SelectMany(id => new[] { SpawnerOf(id), holders.GetValueOrDefault(id) }).OfType<string>().Where(seen.Add)];
            }
            return null;
        }

        return [.. all
            .Where(pod => pod.PodId != top.PodId && pod.IsAlive)
            .Select(pod => (pod, levels: LevelsBelowTop(pod.PodId)))
            .Where(found => found.levels is > 0)
            .OrderByDescending(found => found.levels).ThenBy(found => found.pod.PodId, StringComparer.Ordinal)
            .Select(found => found.pod)];
    }

    /// <summary>Grants of Pods that were being started below these when their spawners went; nobody will adopt them.</summary>
    internal IReadOnlyList<string> PendingBelow(IReadOnlyCollection<string> podIds) =>
        [.. Rows().Where(row => row.Pending && row.SpawnerId is { } id && podIds.Contains(id)).Select(row => row.PodId)];

    /// <summary>
    /// The rows now; none of a table that cannot be read: nobody adopts a grant from that, and whoever lives must be stoppable all the same.
    /// </summary>
    internal IReadOnlyList<TableRow> Rows()
    {
        try
        {
            return table.Read().Pods;
        }
        catch (ScopeException)
        {
            return []; // Whoever gives a scope back will hear of it.
        }
    }
}
