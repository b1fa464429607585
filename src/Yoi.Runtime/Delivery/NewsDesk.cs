using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Delivery;

/// <summary>
/// News of children: reads their journals from the durable cursor and tells each item once. Never polls: it looks when a
/// child pokes, when a child's process ends, at start, and once a minute while somebody waits.
/// </summary>
internal sealed class NewsDesk : IJournalFold, IAsyncDisposable
{
    /// <summary>Raised (on any thread) when there is news that no entry tells yet. Must not block.</summary>
    internal event Action? Arrived;

    /// <summary>News that no entry tells yet.</summary>
    internal int Untold => throw new NotImplementedException();

    /// <summary>A child says that its journal has something new. A lost poke costs nothing.</summary>
    internal void Poked(string childId) => Arrived?.Invoke();

    /// <summary>Appends one <see cref="Entry.News"/> for each untold item; returns how many.</summary>
    internal Task<int> TellAsync(CancellationToken ct) => throw new NotImplementedException();

    public void Apply(JournalRecord record) => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
