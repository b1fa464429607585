using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>What a subscriber receives.</summary>
internal abstract record FeedItem
{
    private FeedItem() { }

    internal sealed record Record(JournalRecord Value) : FeedItem;

    internal sealed record Delta(Event.Delta Value) : FeedItem;

    /// <summary>Too slow: attach again from here.</summary>
    internal sealed record Gap(long NextSeq) : FeedItem;
}

/// <summary>
/// One subscription. A new one first gets the partial text of a message that streams right now, then deltas. What is
/// offered and not yet read is bounded in bytes; who does not keep up is cut off with a gap, and nobody waits for him.
/// </summary>
internal sealed class JournalFeed : IAsyncDisposable
{
    private const int PageBytes = 256 * 1024;

    private readonly Channel<Offered> _items = Channel.CreateUnbounded<Offered>(new() { SingleReader = true, SingleWriter = false });
    private readonly JournalTail _tail;
    private readonly string _path;
    private readonly long _from, _start, _end;
    private readonly int _maxBacklog;
    private long _backlog;

    internal JournalFeed(JournalTail tail, string path, long from, long start, long end, long headSeq, int maxBacklog)
    {
        (_tail, _path, _from, _start, _end, HeadSeq, _maxBacklog) = (tail, path, from, start, end, headSeq, maxBacklog);
    }

    /// <summary>Newest seq when the subscription began: records up to it are replay.</summary>
    internal long HeadSeq { get; }

    /// <summary>Items in order; ends after a gap or when the journal closes. One reader.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="IOException">The replay cannot be read.</exception>
    internal async IAsyncEnumerable<FeedItem> ReadAsync([EnumeratorCancellation] CancellationToken ct)
    {
        try
        {
            if (_from <= HeadSeq)
            {
                using var file = PrivateFile.OpenToRead(_path) ?? throw new IOException($"{_path} is gone");
                using var pass = new JournalPass(file, _start, _end, _from - 1);
                while (await Task.Run(() => Page(pass), ct) is { Count: > 0 } page)
                {
                    foreach (var record in page)
                    {
                        ct.ThrowIfCancellationRequested();
                        yield return new FeedItem.Record(record);
                    }
                }
            }
            await foreach (var (item, bytes) in _items.Reader.ReadAllAsync(ct))
            {
                Interlocked.Add(ref _backlog, -bytes);
                yield return item;
            }
        }
        finally
        {
            _tail.Remove(this);
        }
    }

    public ValueTask DisposeAsync()
    {
        _tail.Remove(this);
        End();
        return ValueTask.CompletedTask;
    }

    /// <summary>The partial text at the subscription's begin. Bounded by the message, so not counted.</summary>
    internal void Begin(Event.Delta delta) => _items.Writer.TryWrite(new(new FeedItem.Delta(delta), 0));

    /// <summary>False if the feed has ended and is offered nothing more.</summary>
    internal bool Offer(JournalRecord record) =>
        record.Seq < _from || Offer(new FeedItem.Record(record), record.Length, record.Seq);

    /// <param name="nextSeq">Seq that the next record will have.</param>
    internal bool Offer(Event.Delta delta, long nextSeq) => Offer(new FeedItem.Delta(delta), 64 + (2 * delta.Text.Length), nextSeq);

    internal void End() => _items.Writer.TryComplete();

    private bool Offer(FeedItem item, int bytes, long nextSeq)
    {
        if (Interlocked.Add(ref _backlog, bytes) <= _maxBacklog) return _items.Writer.TryWrite(new(item, bytes));
        _items.Writer.TryWrite(new(new FeedItem.Gap(Math.Max(nextSeq, _from)), 0));
        End();
        return false;
    }

    private static List<JournalRecord> Page(JournalPass pass)
    {
        var page = new List<JournalRecord>();
        for (var bytes = 0; bytes < PageBytes && pass.Next() is { } record; bytes += record.Length) page.Add(record);
        return page;
    }

    // No tuple: generic code of the framework for a struct of its own is compiled at each start of a Pod (docs/decisions/0240).
    private sealed record Offered(FeedItem Item, int Bytes);
}
