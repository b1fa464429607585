using System.Text;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>
/// The newest end of the journal as others see it: where it stands, the message that streams right now, and the
/// feeds. Publishing and subscribing exclude each other, so a feed's replay ends exactly where its tail begins.
/// </summary>
internal sealed class JournalTail(string path)
{
    private const long IndexStep = 64 * 1024;

    private readonly Lock _gate = new();
    private readonly List<JournalFeed> _feeds = [];
    private readonly List<(long Seq, long Offset)> _index = [];
    private readonly PartialMessage _partial = new();
    private long _headSeq, _end, _lastTicks;
    private bool _closed;

    internal long HeadSeq => Volatile.Read(ref _headSeq);

    internal DateTimeOffset LastTime => new(Volatile.Read(ref _lastTicks), TimeSpan.Zero);

    internal void Publish(JournalRecord record)
    {
        lock (_gate)
        {
            if (_index.Count == 0 || record.Offset - _index[^1].Offset >= IndexStep) _index.Add((record.Seq, record.Offset));
            _end = record.Offset + record.Length;
            Volatile.Write(ref _lastTicks, record.Time.UtcTicks);
            Volatile.Write(ref _headSeq, record.Seq);
            if (record.Entry is Entry.Assistant or Entry.RunEnded) _partial.Clear();
            _feeds.RemoveAll(feed => !feed.Offer(record));
        }
    }

    internal void Publish(Event.Delta delta)
    {
        lock (_gate)
        {
            if (!_partial.Add(delta)) return;
            _feeds.RemoveAll(feed => !feed.Offer(delta, _headSeq + 1));
        }
    }

    /// <param name="from">Null: from now on, with nothing read from the file.</param>
    internal JournalFeed Subscribe(long? from, int maxBacklogBytes)
    {
        lock (_gate)
        {
            var fromSeq = from ?? _headSeq + 1;
            var feed = new JournalFeed(this, path, fromSeq, StartOf(fromSeq), _end, _headSeq, maxBacklogBytes);
            foreach (var delta in _partial.SoFar()) feed.Begin(delta);
            if (_closed) feed.End();
            else _feeds.Add(feed);
            return feed;
        }
    }

    internal void Remove(JournalFeed feed)
    {
        lock (_gate) _feeds.Remove(feed);
    }

    internal void Close()
    {
        lock (_gate)
        {
            _closed = true;
            foreach (var feed in _feeds) feed.End();
            _feeds.Clear();
        }
    }

    // The last indexed record at or before the seq: what is before it need not be read.
    private long StartOf(long seq)
    {
        var at = _index.FindLastIndex(known => known.Seq <= seq);
        return at >= 0 ? _index[at].Offset : 0;
    }

    /// <summary>The text so far of the message that streams now, block by block.</summary>
    private sealed class PartialMessage
    {
        private readonly List<Part> _parts = []; // By block: what begins one anew takes the later ones away.

        internal void Clear() => _parts.Clear();

        /// <summary>False if the delta fits nothing that was sent before: nobody could put it together.</summary>
        internal bool Add(Event.Delta delta)
        {
            if (delta.Offset == 0)
            {
                // Begins the block anew; after a failed attempt of the model, the message from here on.
                _parts.RemoveAll(part => part.First.Block >= delta.Block);
                _parts.Add(new(delta, new StringBuilder(delta.Text)));
                return true;
            }
            if (_parts.Find(part => part.First.Block == delta.Block) is not { } known || known.Text.Length != delta.Offset) return false;
            known.Text.Append(delta.Text);
            return true;
        }

        internal IEnumerable<Event.Delta> SoFar() => _parts.Select(part => part.First with { Text = part.Text.ToString() });

        private sealed record Part(Event.Delta First, StringBuilder Text);
    }
}
