using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>How durable an append must be before it counts.</summary>
internal enum Durability
{
    /// <summary>Written to the file in one write; survives the process.</summary>
    Written,
    /// <summary>Written and synced; survives a power loss.</summary>
    Synced,
}

/// <summary>What keeps memory equal to the journal: told of every record, in order, once it is in the file.</summary>
/// <remarks>Called on the journal's own loop; must be quick and must not throw.</remarks>
internal interface IJournalFold
{
    void Apply(JournalRecord record);
}

/// <summary>The journal cannot be written; the run ends with <c>disk_error</c> before the next tool.</summary>
internal sealed class JournalException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The single append path of one Pod's journal. Owns the file and a loop; appends are written in the order in which
/// they were asked for, one write a record, groups share one fsync. After a record is as durable as asked: folds,
/// then subscribers, then the caller.
/// </summary>
internal sealed class JournalWriter : IAsyncDisposable
{
    /// <summary>
    /// Opens (or creates) the journal in <paramref name="podDirectory"/>, repairs a torn tail and reports what it found
    /// with a <see cref="Entry.Repaired"/> entry. Replays every existing record through <paramref name="folds"/>.
    /// </summary>
    /// <exception cref="JournalException">Another process writes it, or it cannot be read or written.</exception>
    internal static JournalWriter Open(string podDirectory, PodLock podLock, IReadOnlyList<IJournalFold> folds, TimeProvider time) =>
        throw new NotImplementedException();

    /// <summary>Seq of the newest record; 0 before the first.</summary>
    internal long HeadSeq => throw new NotImplementedException();

    /// <summary>Time of the newest record.</summary>
    internal DateTimeOffset LastTime => throw new NotImplementedException();

    /// <summary>Appends entries, in order, next to each other. Completes when they are durable as asked and applied to the folds.</summary>
    /// <exception cref="JournalException">The append or sync failed: nothing of this call counts, the tail was or will be repaired.</exception>
    internal Task<IReadOnlyList<JournalRecord>> AppendAsync(Durability durability, params IReadOnlyList<Entry> entries) =>
        throw new NotImplementedException();

    /// <summary>
    /// Everything from <paramref name="fromSeq"/> on: replay from the file, then the tail, without gap or double.
    /// Backlog in bytes is bounded; a reader that falls behind gets <see cref="FeedItem.Gap"/> and the feed ends.
    /// </summary>
    internal JournalFeed Subscribe(long fromSeq, int maxBacklogBytes) => throw new NotImplementedException();

    /// <summary>Hands a delta (no fact) to subscribers, behind all records appended before.</summary>
    internal void PublishDelta(Event.Delta delta) => throw new NotImplementedException();

    /// <summary>Writes what is queued, closes the file.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>What a subscriber receives.</summary>
internal abstract record FeedItem
{
    private FeedItem() { }

    internal sealed record Record(JournalRecord Value) : FeedItem;

    internal sealed record Delta(Event.Delta Value) : FeedItem;

    /// <summary>Too slow: attach again from here.</summary>
    internal sealed record Gap(long NextSeq) : FeedItem;
}

/// <summary>One subscription. A new one first gets the partial text of a message that streams right now, then deltas.</summary>
internal sealed class JournalFeed : IAsyncDisposable
{
    /// <summary>Newest seq when the subscription began: records up to it are replay.</summary>
    internal long HeadSeq => throw new NotImplementedException();

    /// <summary>Items in order; ends after a gap, when the journal closes, or when cancelled.</summary>
    internal IAsyncEnumerable<FeedItem> ReadAsync(CancellationToken ct) => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
