using Yoi.Protocol;

namespace Yoi.Runtime.Spawning;

/// <summary>What a Pod's journal says of its children, read by somebody else: whose end it has not recorded, and up to where it was told of each.</summary>
internal sealed record SpawnerRecord(IReadOnlyList<Entry.ChildSpawned> Open, ILookup<string, Told> Told)
{
    private const long PageBytes = 4 << 20;

    /// <summary>Reads the whole journal, a page at a time.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static SpawnerRecord Read(KnownPod pod)
    {
        var open = new Dictionary<string, Entry.ChildSpawned>(StringComparer.Ordinal);
        var told = new Dictionary<(string, string), Told>();
        void Move(IEnumerable<Told>? cursors)
        {
            foreach (var cursor in cursors ?? [])
            {
                var known = told.GetValueOrDefault((cursor.PodId, cursor.What));
                if ((cursor.Seq, cursor.Within).CompareTo((known?.Seq ?? 0, known?.Within ?? 0)) > 0) told[(cursor.PodId, cursor.What)] = cursor;
            }
        }

        var at = Cursor.Start;
        while (pod.Journal.ReadAfter(at, out _, PageBytes) is { Count: > 0 } page)
        {
            at = page[^1].End;
            foreach (var record in page)
                switch (record.Entry)
                {
                    case Entry.ChildSpawned spawned:
                        open[spawned.ChildId] = spawned;
                        Move(spawned.Told);
                        break;
                    case Entry.ChildEnded ended: open.Remove(ended.ChildId); break;
                    case Entry.ChildHandedOver gone: open.Remove(gone.ChildId); break;
                    case Entry.News news: Move([news.Told]); break;
                    case Entry.ToolResult { Told: { } cursors }: Move(cursors); break;
                }
        }
        return new SpawnerRecord([.. open.Values], told.Values.ToLookup(cursor => cursor.PodId, StringComparer.Ordinal));
    }
}
