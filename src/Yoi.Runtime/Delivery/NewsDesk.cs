using System.Threading.Channels;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Delivery;

/// <summary>
/// News of children: reads their journals from the durable cursor and tells each item once. Never polls: it looks when a
/// child pokes, when a child's process ends, at start, and once a minute while somebody waits.
/// </summary>
internal sealed class NewsDesk(YoiDirectories directories) : IJournalFold, IAsyncDisposable
{
    /// <summary>Bytes of a child's journal held in memory at a time.</summary>
    private const long PageBytes = 1 << 20;

    /// <summary>Most children that wait to be looked at because of a poke; more than a Pod can have alive.</summary>
    private const int MostPoked = 1024;

    private readonly Channel<string> _pokes = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true });
    private readonly HashSet<string> _poked = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _reading = new(1, 1), _telling = new(1, 1);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ChildView> _views = new(StringComparer.Ordinal);
    private readonly List<NewsItem> _untold = [];
    private readonly HashSet<NewsItem> _taken = [];
    private readonly Dictionary<string, Told> _read = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private JournalWriter? _journal;
    private Task _loop = Task.CompletedTask;

    /// <summary>Raised (on any thread) when there is news that no entry tells yet. Must not block.</summary>
    internal event Action? Arrived;

    /// <summary>Who the children are, and the durable cursors over their journals.</summary>
    internal ChildBook Book { get; } = new();

    /// <summary>News that no entry tells yet.</summary>
    internal int Untold
    {
        get { lock (_gate) return _untold.Count - _taken.Count; }
    }

    /// <summary>Completes at the next change of what is known of any child. Take it before looking, then wait for it.</summary>
    internal Task Changed
    {
        get { lock (_gate) return _changed.Task; }
    }

    /// <summary>After the own journal was replayed: reads what children said meanwhile, then listens for pokes.</summary>
    internal void Start(JournalWriter journal)
    {
        _journal = journal;
        foreach (var child in Book.All) Poked(child.PodId);
        _loop = ListenAsync();
    }

    /// <summary>
    /// A child says that its journal has something new, or its process ended. However often it says so before it is looked at, it is looked
    /// at once. A lost poke costs nothing.
    /// </summary>
    internal void Poked(string childId)
    {
        lock (_gate)
        {
            if (_poked.Count < MostPoked && _poked.Add(childId)) _pokes.Writer.TryWrite(childId);
        }
    }

    /// <summary>Reads on in the journals of these children and returns what is known of them then.</summary>
    internal async Task<IReadOnlyList<ChildState>> LookAsync(IEnumerable<KnownChild> children, CancellationToken ct)
    {
        List<ChildState> states = [];
        foreach (var child in children) states.Add(await ReadOnAsync(child, ct));
        return states;
    }

    /// <summary>True if a child has news that no entry tells yet.</summary>
    internal bool HasNewsOf(string childId)
    {
        lock (_gate) return _untold.Any(item => item.PodId == childId && !_taken.Contains(item));
    }

    /// <summary>
    /// Takes the untold items of a child, up to a seq, for a tool result that is about to be written: nobody else tells them.
    /// They count as told when that result is in the journal, and as untold again when the next turn begins without it.
    /// </summary>
    internal IReadOnlyList<NewsItem> Take(string childId, long upToSeq = long.MaxValue)
    {
        lock (_gate)
        {
            NewsItem[] items = [.. _untold.Where(item => item.PodId == childId && item.Told.Seq <= upToSeq && !_taken.Contains(item))];
            _taken.UnionWith(items);
            return items;
        }
    }

    /// <summary>Up to where a child's text was returned: by results in the journal, or by one of this turn that is not written yet.</summary>
    internal Told? OutputOf(string childId)
    {
        lock (_gate) return _read.GetValueOrDefault(childId) ?? Book.WithId(childId)?.Output;
    }

    /// <summary>A result that is about to be written returns a child's text up to here.</summary>
    internal void Returns(Told output)
    {
        lock (_gate) _read[output.PodId] = output;
    }

    /// <summary>Appends one <see cref="Entry.News"/> for each untold item; returns how many.</summary>
    internal async Task<int> TellAsync(CancellationToken ct)
    {
        await _telling.WaitAsync(ct);
        try
        {
            NewsItem[] items;
            lock (_gate) items = [.. _untold.Where(item => !_taken.Contains(item))];
            if (items.Length == 0) return 0;
            Failpoint.Pass(Failpoints.DeliverAppend);
            await _journal!.AppendAsync(Durability.Written, [.. items.Select(item => new Entry.News(item.Child, item.Text, item.Told))]);
            return items.Length;
        }
        finally
        {
            _telling.Release();
        }
    }

    public void Apply(JournalRecord record)
    {
        Book.Apply(record.Entry);
        switch (record.Entry)
        {
            case Entry.News news:
                Forget([news.Told]);
                break;
            case Entry.ToolResult { Told: { } cursors }:
                Forget(cursors);
                break;
            case Entry.TurnStart or Entry.RunEnded:
                GiveBack(); // The results of the turn before are written; what they did not tell is untold.
                break;
            case Entry.ChildSpawned spawned:
                Poked(spawned.ChildId); // What it said before it came to us, or before it was restored.
                break;
            case Entry.ChildHandedOver gone:
                Drop(gone.ChildId);
                break;
            case Entry.ChildEnded:
                Announce(found: false);
                break;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _pokes.Writer.TryComplete();
        await _loop;
        _reading.Dispose();
        _telling.Dispose();
    }

    private void Forget(IReadOnlyList<Told> cursors)
    {
        lock (_gate)
        {
            bool IsTold(NewsItem item) => cursors.Any(told => told.What == Told.NewsCursor && told.PodId == item.PodId && item.Told.Seq <= told.Seq);
            _untold.RemoveAll(IsTold);
            _taken.RemoveWhere(IsTold);
        }
    }

    private void Drop(string childId)
    {
        lock (_gate)
        {
            _views.Remove(childId);
            _untold.RemoveAll(item => item.PodId == childId);
            _taken.RemoveWhere(item => item.PodId == childId);
        }
        Announce(found: false);
    }

    private void GiveBack()
    {
        lock (_gate)
        {
            _read.Clear();
            if (_taken.Count == 0) return;
            _taken.Clear();
        }
        Arrived?.Invoke();
    }

    private async Task ListenAsync()
    {
        await foreach (var childId in _pokes.Reader.ReadAllAsync())
        {
            lock (_gate) _poked.Remove(childId); // Before the look: what comes from here on wants another one.
            if (Book.WithId(childId) is { } child) await ReadOnAsync(child, CancellationToken.None);
        }
    }

    /// <summary>Reads what is new in one child's journal. One reading at a time, so that every item is found once.</summary>
    private async Task<ChildState> ReadOnAsync(KnownChild child, CancellationToken ct)
    {
        await _reading.WaitAsync(ct);
        try
        {
            Failpoint.Pass(Failpoints.DeliverRead);
            var reader = new JournalReader(Path.Combine(directories.Pod(child.Name, child.PodId), PodFiles.Journal), synced: true);
            while (Book.WithId(child.PodId) is not null && reader.ReadAfter(StateOf(child).ReadTo, out _, PageBytes) is { Count: > 0 } page) Announce(TakeIn(child, page));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Its journal cannot be read now. Nothing is lost: the cursor stays, and the next look begins there.
        }
        finally
        {
            _reading.Release();
        }
        return StateOf(child);
    }

    private bool TakeIn(KnownChild child, IReadOnlyList<JournalRecord> page)
    {
        lock (_gate)
        {
            if (Book.WithId(child.PodId) is not { } known) return false; // Handed over meanwhile: its news is another's.
            var view = ViewOf_NeedsLock(child);
            var told = known.News?.Seq ?? 0;
            NewsItem[] items = [.. page.Select(view.Apply).OfType<NewsItem>().Where(item => item.Told.Seq > told)];
            _untold.AddRange(items);
            return items.Length > 0;
        }
    }

    private void Announce(bool found)
    {
        TaskCompletionSource changed;
        lock (_gate) (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        changed.TrySetResult();
        if (found) Arrived?.Invoke();
    }

    private ChildState StateOf(KnownChild child)
    {
        lock (_gate) return ViewOf_NeedsLock(child).Now;
    }

    private ChildView ViewOf_NeedsLock(KnownChild child)
    {
        if (_views.TryGetValue(child.PodId, out var view)) return view;
        // A living child's journal is folded from its beginning: what it was sent before the told cursor may still wait in it.
        var from = child is { Ended: not null, News: { } told } ? new Cursor(told.Seq, told.Offset) : Cursor.Start;
        view = new ChildView(child.Name, child.PodId, from);
        if (Book.WithId(child.PodId) is not null) _views[child.PodId] = view;
        return view;
    }
}
