using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>
/// One client's subscription: replay, then the tail, as <c>entry</c>, <c>delta</c> and at last <c>gap</c> or
/// <c>shutdown</c>. Waits for the client; what piles up meanwhile is the feed's, which is bounded.
/// </summary>
internal sealed class Attachment : IAsyncDisposable
{
    private readonly JournalFeed _feed;
    private readonly long _processSeq;
    private readonly Outbox _outbox;
    private readonly Action<string> _failed;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _sending;
    private volatile bool _ended, _toldEnd;

    /// <param name="processSeq">Where this process's life begins: an end before it was that of an earlier one.</param>
    /// <param name="failed">Told, in words, that the journal cannot be replayed: nothing more comes.</param>
    internal Attachment(JournalFeed feed, Outbox outbox, long processSeq, Action<string> failed)
    {
        (_feed, _outbox, _processSeq, _failed) = (feed, outbox, processSeq, failed);
        _sending = Task.Run(SendAsync);
    }

    /// <summary>False once the client has been told to attach again, or of the Pod's end.</summary>
    internal bool Active => !_ended;

    /// <summary>True if this subscription tells the client of the Pod's end, or has.</summary>
    internal bool TellsEnd => !_ended || _toldEnd;

    /// <summary>Grows with the entries that were handed to the client.</summary>
    internal SeqMark Sent { get; } = new();

    private async Task SendAsync()
    {
        await using var feed = _feed;
        try
        {
            await foreach (var item in feed.ReadAsync(_stop.Token))
            {
                if (item is FeedItem.Gap) _ended = true;
                if (!await _outbox.SendWhenRoomAsync(Line(item), _stop.Token)) return;
                if (item is FeedItem.Record { Value: { Entry: Entry.PodEnded } end } && end.Seq > _processSeq)
                {
                    _toldEnd = _ended = true;
                    await _outbox.SendWhenRoomAsync(Outbox.Line(new Event.Shutdown()), _stop.Token);
                }
                if (item is FeedItem.Record { Value.Seq: var seq }) Sent.Advance(seq);
            }
        }
        catch (OperationCanceledException)
        {
            return; // The connection ends.
        }
        catch (IOException e)
        {
            _failed($"the journal cannot be read: {e.Message}");
        }
        finally
        {
            _ended = true;
            Sent.Advance(long.MaxValue);
        }
    }

    private static ReadOnlyMemory<byte> Line(FeedItem item) => item switch
    {
        FeedItem.Record record => Outbox.Line(JournalCodec.ToEvent(record.Value)),
        FeedItem.Delta delta => Outbox.Line(delta.Value),
        FeedItem.Gap gap => Outbox.Line(new Event.Gap(gap.NextSeq)),
        _ => throw new InvalidOperationException($"no line for {item.GetType().Name}"),
    };

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        _stop.Dispose();
    }
}
