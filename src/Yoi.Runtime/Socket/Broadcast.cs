using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>
/// What everybody hears: reads the journal's tail once for all base clients and hands each event to every connection.
/// Keeps the newest notifications for those who come later. Handing over never waits for a client.
/// </summary>
internal sealed class Broadcast : IAsyncDisposable
{
    private readonly JournalWriter _journal;
    private readonly SocketLimits _limits;
    private readonly Lock _lock = new();
    private readonly HashSet<PodConnection> _connections = [];
    private readonly Queue<ReadOnlyMemory<byte>> _notifications = [];
    private readonly BaseProjection _projection = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _pump;

    /// <param name="fromSeq">Notifications from here on are kept; events are told from now on.</param>
    internal Broadcast(JournalWriter journal, long fromSeq, SocketLimits limits)
    {
        (_journal, _limits) = (journal, limits);
        var replayTo = journal.HeadSeq; // Now, not when the task gets a thread: what is appended meanwhile is told.
        _pump = Task.Run(() => PumpAsync(fromSeq, replayTo));
    }

    /// <summary>Grows with the records that were told.</summary>
    internal SeqMark Told { get; } = new();

    /// <summary>A connection that is there hears, from the next event on.</summary>
    internal void Add(PodConnection connection)
    {
        lock (_lock) _connections.Add(connection);
    }

    internal void Remove(PodConnection connection)
    {
        lock (_lock) _connections.Remove(connection);
    }

    /// <summary>Makes a connection a base listener: first what was notified, then every event.</summary>
    internal void Listen(PodConnection connection)
    {
        lock (_lock) connection.BecomeBase_NeedsLock(_notifications);
    }

    /// <summary>Makes a connection one of ours: no events but the Pod's end.</summary>
    internal void Leave(PodConnection connection, Action becomeOurs)
    {
        lock (_lock) becomeOurs();
    }

    private async Task PumpAsync(long fromSeq, long replayTo)
    {
        var unreadable = false;
        while (!_stop.IsCancellationRequested)
        {
            await using var feed = unreadable ? _journal.SubscribeFromNow(_limits.BroadcastBytes) : _journal.Subscribe(fromSeq, _limits.BroadcastBytes);
            if (unreadable) Told.Advance(feed.HeadSeq);
            var gap = false;
            try
            {
                await foreach (var item in feed.ReadAsync(_stop.Token))
                {
                    if (item is FeedItem.Gap { NextSeq: var next })
                    {
                        (fromSeq, gap) = (next, true);
                        break;
                    }
                    Tell(item, replay: item is FeedItem.Record record && record.Value.Seq <= replayTo);
                    if (item is FeedItem.Record { Value.Seq: var seq })
                    {
                        fromSeq = seq + 1;
                        Told.Advance(seq);
                    }
                }
                unreadable = false;
            }
            catch (OperationCanceledException)
            {
                return; // The server ends.
            }
            catch (IOException e)
            {
                unreadable = true;
                CutOff($"the journal cannot be read: {e.Message}; connect again");
            }
            if (!gap && !unreadable) return; // The journal closed.
        }
    }

    /// <summary>Events were missed that nobody can be told any more: who listened must not believe that nothing happened.</summary>
    private void CutOff(string why)
    {
        lock (_lock)
        {
            foreach (var connection in _connections) connection.Missed_NeedsLock(why);
        }
    }

    private void Tell(FeedItem item, bool replay)
    {
        foreach (var @event in _projection.Of(item))
        {
            var line = Outbox.Line(@event);
            lock (_lock)
            {
                if (!replay)
                    foreach (var connection in _connections)
                        connection.Hear_NeedsLock(line, _notifications, everybody: @event is Event.Shutdown);
                if (@event is not Event.Notification) continue;
                if (replay)
                    foreach (var connection in _connections)
                        connection.HearKept_NeedsLock(line);
                _notifications.Enqueue(line);
                if (_notifications.Count > _limits.Notifications) _notifications.Dequeue();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _pump;
        _stop.Dispose();
    }
}

/// <summary>A seq that grows, and those who wait for it.</summary>
internal sealed class SeqMark
{
    private readonly Lock _lock = new();
    private readonly List<(long Seq, TaskCompletionSource Done)> _waiting = [];
    private long _value;

    internal void Advance(long seq)
    {
        lock (_lock)
        {
            _value = Math.Max(_value, seq);
            foreach (var (awaited, done) in _waiting)
                if (awaited <= _value) done.TrySetResult();
            _waiting.RemoveAll(w => w.Seq <= _value);
        }
    }

    /// <summary>Completes when the mark has reached <paramref name="seq"/>.</summary>
    internal Task ReachAsync(long seq)
    {
        lock (_lock)
        {
            if (_value >= seq) return Task.CompletedTask;
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((seq, done));
            return done.Task;
        }
    }
}
