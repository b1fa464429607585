using System.Net.Sockets;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Runtime.Socket;

/// <summary>
/// One client. Reads its lines, does what they ask in their order, answers. The first line decides what it is: <c>hello</c>
/// makes it ours (or a child), anything else a base client that hears every event. It owns its socket, outbox and attachment.
/// </summary>
internal sealed class PodConnection : IDisposable
{
    private enum Speaks { Nothing, Base, Ours, Upward }

    private readonly NetSocket _socket;
    private readonly ServedPod _pod;
    private readonly Broadcast _broadcast;
    private readonly SocketLimits _limits;
    private readonly TimeProvider _time;
    private readonly Outbox _outbox;
    private readonly CancellationTokenSource _stop;
    private readonly List<Task> _work = [];
    private readonly TaskCompletionSource _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _ending = new();
    private Speaks _speaks;
    private Caller _caller = new("human");
    private bool _spoken, _isCutOff, _disposed;
    private Attachment? _attachment;
    private long _inWork;
    private Task _lastAnswer = Task.CompletedTask, _cutOff = Task.CompletedTask;

    internal PodConnection(NetSocket socket, ServedPod pod, Broadcast broadcast, SocketLimits limits, TimeProvider time)
    {
        (_socket, _pod, _broadcast, _limits, _time) = (socket, pod, broadcast, limits, time);
        _outbox = new Outbox(socket, limits.BacklogBytes);
        _stop = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
    }

    /// <summary>Serves the client until either side ends. What it asked is done and answered before the socket closes.</summary>
    internal async Task RunAsync()
    {
        using var reader = new LineReader(_socket, WireCodec.MaxLineBytes, _stop, _limits.Line);
        _broadcast.Add(this);
        try
        {
            await ReadAsync(reader);
        }
        finally
        {
            _broadcast.Remove(this);
            await EndAsync();
        }
    }

    /// <summary>Ends the connection once an attached client has heard everything up to <paramref name="headSeq"/>.</summary>
    internal async Task CloseAsync(long headSeq)
    {
        if (_attachment is { } attachment)
            await Task.WhenAny(attachment.Sent.ReachAsync(headSeq), Task.Delay(_limits.Linger, _time));
        _closing.TrySetResult();
        Task stopping;
        lock (_ending) stopping = _disposed ? Task.CompletedTask : _stop.CancelAsync();
        await stopping;
    }

    private async Task ReadAsync(LineReader reader)
    {
        while (true)
        {
            switch (await reader.ReadAsync())
            {
                case LineEnd.Line:
                    if (reader.Line.Span.Trim(" \t\r"u8).IsEmpty) continue;
                    if (!Take(reader.Line) || !await RoomAsync()) return;
                    continue;
                case LineEnd.TooLong:
                    Refuse(ErrorCode.LineTooLong, $"invalid method: a line has at most {WireCodec.MaxLineBytes} bytes");
                    return;
                case LineEnd.CutOff:
                    Refuse(ErrorCode.InvalidRequest, "invalid method: the last line has no newline; it was not done");
                    return;
                case LineEnd.Stopped when reader.Unfinished && !_closing.Task.IsCompleted:
                    Refuse(ErrorCode.InvalidRequest, $"invalid method: a line was not finished within {_limits.Line.TotalSeconds:0} seconds");
                    return;
                default:
                    return;
            }
        }
    }

    /// <summary>Waits until another request may be begun; false if the connection is to close.</summary>
    private async Task<bool> RoomAsync()
    {
        while (_work.Count >= _limits.InFlight || Interlocked.Read(ref _inWork) > _limits.InFlightBytes)
        {
            await Task.WhenAny([_closing.Task, .. _work]);
            if (_closing.Task.IsCompleted) return false;
            _work.RemoveAll(work => work.IsCompletedSuccessfully);
            if (_work.Find(work => work.IsFaulted) is { } fault) await fault;
        }
        return true;
    }

    /// <summary>Begins what a line asks. Methods reach the mailbox in the order of the lines; answers come when they are ready.</summary>
    /// <returns>False if the connection is not to go on.</returns>
    private bool Take(ReadOnlyMemory<byte> line)
    {
        var first = !_spoken;
        _spoken = true;
        Request request;
        try
        {
            request = WireCodec.ReadRequest(line);
        }
        catch (ProtocolException e)
        {
            if (first) _broadcast.Listen(this);
            Queue(e.Id, Task.FromException<ReplyResult>(new RefusedException(e.Code, e.Message, e.Candidates)), 0);
            return true;
        }
        if (request.Method is Method.Hello hello && first) return Greet(request.Id, hello);
        if (first) _broadcast.Listen(this);
        if (request.Method is Method.Attach attach && Refusal(request) is null) return Attach(request.Id, attach);
        Queue(request.Id, DoAsync(request), line.Length + (request.Method is Method.Read read ? Math.Clamp(read.MaxBytes, 0, JournalAnswers.LargestPage) : 0));
        return true;
    }

    private bool Greet(JsonElement? id, Method.Hello hello)
    {
        try
        {
            var (welcome, caller) = Handshake.Answer(hello, _pod);
            _caller = caller;
            _broadcast.Leave(this, () => _speaks = caller.ChildId is null ? Speaks.Ours : Speaks.Upward);
            if (id is { } wanted) Send(Outbox.Line(new Reply(wanted, welcome, null)));
            return true;
        }
        catch (RefusedException e)
        {
            _broadcast.Leave(this, () => _speaks = Speaks.Upward);
            Answer(id, e.Code, e.Message, e.Candidates);
            return false;
        }
    }

    private async Task<ReplyResult> DoAsync(Request request)
    {
        if (Refusal(request) is { } refusal) throw refusal;
        return request.Method switch
        {
            Method.Status => new ReplyResult.Status(_pod.Status()),
            Method.Read read => await Task.Run(() => JournalAnswers.Page(_pod, read)),
            Method.GetHistory => await HistoryAsync(),
            var method => await _pod.Handle(method, _caller),
        };
    }

    private Task<ReplyResult.History> HistoryAsync()
    {
        var greetsBase = _speaks != Speaks.Ours;
        return Task.Run(() => JournalAnswers.History(_pod, greetsBase));
    }

    /// <summary>What this client may not ask, or not in this way.</summary>
    private RefusedException? Refusal(Request request)
    {
        var name = Kinds.Methods.Of(request.Method).Name;
        return request switch
        {
            { Method: Method.Hello } => new(ErrorCode.InvalidRequest, "hello must be the first line of a connection"),
            _ when _speaks == Speaks.Upward && !Handshake.Upward.Contains(name) => new(
                ErrorCode.NotAllowed, $"a child's token allows {string.Join(" and ", Handshake.Upward)}, not {name}", Handshake.Upward),
            { Method: Method.Attach } when _speaks != Speaks.Ours => new(
                ErrorCode.InvalidRequest, "attach is for clients whose first line was hello"),
            { Method: Method.Attach or Method.Read or Method.Status, Id: null } => new(
                ErrorCode.InvalidRequest, $"{name} is answered by a reply: give the line an \"id\""),
            _ => null,
        };
    }

    private bool Attach(JsonElement? id, Method.Attach attach)
    {
        var head = _pod.Journal.HeadSeq;
        if (_attachment is { Active: true })
            Answer(id, ErrorCode.InvalidRequest, "this connection is attached already; attach again after a gap, or on another connection");
        else if (attach.FromSeq < 1 || attach.FromSeq > head + 1)
            Answer(id, ErrorCode.InvalidRequest, $"attach: from_seq is 1 to {head + 1} here; entries up to {head} exist", ["1", $"{head + 1}"]);
        else
        {
            var feed = _pod.Journal.Subscribe(attach.FromSeq, _limits.BacklogBytes);
            Send(Outbox.Line(new Reply(id!.Value, new ReplyResult.Attached(attach.FromSeq, feed.HeadSeq), null)));
            _attachment = new Attachment(feed, _outbox, _pod.ProcessSeq, why => CutOff(ErrorCode.DiskError, why));
        }
        return true;
    }

    // ---- answers ----

    private void Queue(JsonElement? id, Task<ReplyResult> result, int bytes)
    {
        _work.RemoveAll(work => work.IsCompletedSuccessfully);
        Interlocked.Add(ref _inWork, bytes);
        var answer = CountedAnswerAsync(id, result, _lastAnswer, bytes);
        if (id is null) _lastAnswer = answer;
        _work.Add(answer);
    }

    private async Task CountedAnswerAsync(JsonElement? id, Task<ReplyResult> result, Task before, int bytes)
    {
        try
        {
            await AnswerAsync(id, result, before);
        }
        finally
        {
            Interlocked.Add(ref _inWork, -bytes);
        }
    }

    /// <summary>A line with an id is answered by one reply as soon as it is ready; without one, by events in the order of the lines.</summary>
    private async Task AnswerAsync(JsonElement? id, Task<ReplyResult> result, Task before)
    {
        try
        {
            var done = await result;
            if (id is { } wanted) Send(Outbox.Line(new Reply(wanted, done, null)));
            else
            {
                await before;
                if (done is ReplyResult.History history) Send(Outbox.Line(new Event.History(history.Items, history.Greeting)));
            }
        }
        catch (Exception e) when (e is RefusedException or JournalException or IOException or OperationCanceledException)
        {
            if (id is null) await before;
            switch (e)
            {
                case RefusedException refusal: Answer(id, refusal.Code, refusal.Message, refusal.Candidates); break;
                case OperationCanceledException: Answer(id, ErrorCode.Stopping, "the Pod is stopping; this was not done"); break;
                default: Answer(id, ErrorCode.DiskError, e.Message); break;
            }
        }
    }

    private void Answer(JsonElement? id, string code, string message, IReadOnlyList<string>? candidates = null) =>
        Send(id is { } wanted
            ? Outbox.Line(new Reply(wanted, null, new ReplyError(code, message, candidates)))
            : ErrorLine(code, message));

    private void Refuse(string code, string message)
    {
        if (!_spoken) _broadcast.Listen(this);
        _spoken = true;
        _outbox.End(ErrorLine(code, message));
    }

    /// <summary>A base client is sent the six codes that it knows.</summary>
    private ReadOnlyMemory<byte> ErrorLine(string code, string message)
    {
        var known = _speaks is Speaks.Ours or Speaks.Upward || code is ErrorCode.AlreadyRunning or ErrorCode.NotRunning
            or ErrorCode.NotPaused or ErrorCode.ProviderError or ErrorCode.ToolError;
        return Outbox.Line(new Event.Error(known ? code : ErrorCode.Internal, message));
    }

    private void Send(ReadOnlyMemory<byte> line)
    {
        if (!_outbox.TrySend(line)) CutOff(ErrorCode.Internal, $"too slow: more than {_limits.BacklogBytes} bytes waited to be read; connect again");
    }

    /// <summary>Nothing more can be told to the client, and it is told why behind what it still has to read. Its methods are still done.</summary>
    private void CutOff(string code, string why)
    {
        _outbox.End(ErrorLine(code, why));
        if (!Interlocked.Exchange(ref _isCutOff, true)) _cutOff = EndSendingAsync();
    }

    private async Task EndSendingAsync()
    {
        await _outbox.DrainAsync(Timeout.InfiniteTimeSpan, _time);
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            return; // The client is gone: nothing to end.
        }
    }

    // ---- what everybody hears ----

    /// <summary>Called with the broadcast's lock held.</summary>
    internal void BecomeBase_NeedsLock(IEnumerable<ReadOnlyMemory<byte>> notifications)
    {
        if (_speaks != Speaks.Nothing) return;
        _speaks = Speaks.Base;
        foreach (var line in notifications) Send(line);
    }

    /// <summary>Called with the broadcast's lock held, for each event.</summary>
    internal void Hear_NeedsLock(ReadOnlyMemory<byte> line, IEnumerable<ReadOnlyMemory<byte>> notifications, bool everybody)
    {
        BecomeBase_NeedsLock(notifications);
        if (_speaks == Speaks.Base || (everybody && _attachment is not { TellsEnd: true })) Send(line);
    }

    /// <summary>Called with the broadcast's lock held, for a notification that is read back only now: who listened before that has not been sent it.</summary>
    internal void HearKept_NeedsLock(ReadOnlyMemory<byte> line)
    {
        if (_speaks == Speaks.Base) Send(line);
    }

    /// <summary>Called with the broadcast's lock held: events were lost that a listener should have heard.</summary>
    internal void Missed_NeedsLock(string why)
    {
        if (_speaks == Speaks.Base) CutOff(ErrorCode.Internal, why);
    }

    private async Task EndAsync()
    {
        if (_attachment is { } attachment) await attachment.DisposeAsync();
        var work = Task.WhenAll(_work);
        if (await Task.WhenAny(work, _closing.Task) != work) await Task.WhenAny(work, Task.Delay(_limits.Linger, _time));
        if (work.IsCompleted) await work;
        _outbox.End();
        await _outbox.DrainAsync(_limits.Linger, _time);
        await _cutOff;
    }

    public void Dispose()
    {
        lock (_ending)
        {
            if (_disposed) return;
            _disposed = true;
            _stop.Dispose();
        }
        _outbox.Dispose();
        _socket.Dispose();
    }
}
