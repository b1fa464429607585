using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>Which Pods come back together: those that did not end on purpose, and whose end their spawner had not dealt with. Spawners first.</summary>
internal sealed class RestoreSelection(Surroundings s)
{
    private readonly Dictionary<string, SpawnerRecord> _records = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KnownPod> _pods = s.Registry.All().ToDictionary(pod => pod.PodId, StringComparer.Ordinal);

    /// <summary>A Pod, however it ended, and all below it.</summary>
    internal List<KnownPod> Tree(KnownPod top)
    {
        List<KnownPod> found = top.IsAlive ? [] : [top];
        foreach (var child in RecordOf(top).Open)
            if (_pods.TryGetValue(child.ChildId, out var pod) && (pod.IsAlive || !LaunchRecord.IsOnPurpose(EndRecord.Of(pod)))) found.AddRange(Tree(pod));
        return found;
    }

    /// <summary>All. Of each name the newest, unless a Pod of that name lives.</summary>
    internal List<KnownPod> All() =>
    [
        .. _pods.Values.OrderBy(pod => pod.PodId, StringComparer.Ordinal).GroupBy(pod => pod.Name).Where(same => !same.Any(pod => pod.IsAlive)).Select(same => same.Last())
            .Where(pod => !LaunchRecord.IsOnPurpose(EndRecord.Of(pod)))
            .Select(pod => (pod, created: pod.Created))
            .Where(found => found.created is { } created && IsOpen(created))
            .OrderBy(found => found.created!.Depth).Select(found => found.pod),
    ];

    private bool IsOpen(Entry.PodCreated created) =>
        created.Spawner is not { } spawner || !_pods.TryGetValue(spawner.PodId, out var pod) || RecordOf(pod).Open.Any(child => child.ChildId == created.PodId);

    private SpawnerRecord RecordOf(KnownPod pod) =>
        _records.TryGetValue(pod.PodId, out var known) ? known : _records[pod.PodId] = SpawnerRecord.Read(pod);
}
