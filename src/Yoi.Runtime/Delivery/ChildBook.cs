using Yoi.Protocol;

namespace Yoi.Runtime.Delivery;

/// <summary>A child as the own journal knows it.</summary>
/// <param name="Ended">Its recorded end; null while it lives or its end was not seen yet.</param>
/// <param name="News">Cursor over its ends, failures and questions: what entries of ours have told.</param>
/// <param name="Output">Cursor over its text: what ReadPodOutput has returned.</param>
internal sealed record KnownChild(Entry.ChildSpawned Spawned, Entry.ChildEnded? Ended = null, Told? News = null, Told? Output = null)
{
    internal string Name => Spawned.Child;
    internal string PodId => Spawned.ChildId;
}

/// <summary>
/// This Pod's children and the cursors over their journals, folded from the own journal: an entry that tells something of a
/// child is the only home of that cursor. Safe to read from any task.
/// </summary>
internal sealed class ChildBook
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, KnownChild> _children = new(StringComparer.Ordinal);
    private readonly List<string> _order = [];

    /// <summary>All children ever spawned, oldest first.</summary>
    internal IReadOnlyList<KnownChild> All
    {
        get { lock (_gate) return [.. _order.Select(id => _children[id])]; }
    }

    /// <summary>Of each name the newest child, oldest first: what a model can name.</summary>
    internal IReadOnlyList<KnownChild> Newest =>
        [.. All.Reverse().DistinctBy(child => child.Name, StringComparer.Ordinal).Reverse()];

    /// <summary>The child with this id, or null.</summary>
    internal KnownChild? WithId(string podId)
    {
        lock (_gate) return _children.GetValueOrDefault(podId);
    }

    /// <summary>A name means the newest child of that name; null if there never was one.</summary>
    internal KnownChild? Named(string name) => Newest.LastOrDefault(child => child.Name == name);

    internal void Apply(Entry entry)
    {
        lock (_gate)
        {
            switch (entry)
            {
                case Entry.ChildSpawned spawned:
                    var before = _children.GetValueOrDefault(spawned.ChildId);
                    if (before is null) _order.Add(spawned.ChildId);
                    // A second life: what was told of the first stays told.
                    _children[spawned.ChildId] = new KnownChild(spawned, null, before?.News, before?.Output);
                    foreach (var told in spawned.Told ?? []) Move_NeedsLock(told);
                    break;
                case Entry.ChildHandedOver gone:
                    _children.Remove(gone.ChildId);
                    _order.Remove(gone.ChildId);
                    break;
                case Entry.ChildEnded ended when _children.TryGetValue(ended.ChildId, out var child):
                    _children[ended.ChildId] = child with { Ended = ended };
                    break;
                case Entry.News news:
                    Move_NeedsLock(news.Told);
                    break;
                case Entry.ToolResult { Told: { } cursors }:
                    foreach (var cursor in cursors) Move_NeedsLock(cursor);
                    break;
            }
        }
    }

    /// <summary>Cursors only go forward, whatever the order in which results were written.</summary>
    private void Move_NeedsLock(Told told)
    {
        if (!_children.TryGetValue(told.PodId, out var child)) return;
        if (told.What == Told.NewsCursor && told.Seq > (child.News?.Seq ?? 0)) _children[told.PodId] = child with { News = told };
        if (told.What == Told.OutputCursor && (told.Seq, told.Within).CompareTo((child.Output?.Seq ?? 0, child.Output?.Within ?? 0)) > 0)
            _children[told.PodId] = child with { Output = told };
    }
}
