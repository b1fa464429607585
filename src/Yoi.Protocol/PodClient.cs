using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Yoi.Protocol;

/// <summary>What an attached client receives.</summary>
public abstract record PodMessage
{
    private PodMessage() { }

    /// <summary>A journal entry: a fact, on the Pod's disk.</summary>
    /// <param name="Seq">Grows by one from 1; where to attach again is the seq after the last one seen.</param>
    /// <param name="Time">When it was written; for people.</param>
    /// <param name="Entry">What it says.</param>
    public sealed record Entered(long Seq, DateTimeOffset Time, Entry Entry) : PodMessage;

    /// <summary>Streaming text that is no fact yet; its own entry comes behind it.</summary>
    /// <param name="Delta">The piece. Its offset 0 begins the block anew.</param>
    public sealed record Streaming(Event.Delta Delta) : PodMessage;
}

/// <summary>A refusal by a Pod: it is alive and will not do what was asked.</summary>
/// <param name="error">Code, message and what would have worked.</param>
public sealed class PodRefusedException(ReplyError error) : Exception(error.Message)
{
    /// <summary>Code, message and what would have worked.</summary>
    public ReplyError Error { get; } = error;
}

/// <summary>
/// A client of one Pod's socket. Requests from several tasks may be under way at once; each gets its own answer.
/// Entries come from <see cref="AttachAsync"/>, which uses a connection of its own, so that a slow reader delays no answer.
/// </summary>
/// <remarks>
/// Errors, the same in every method: <see cref="PodRefusedException"/> if the Pod refuses (the code says why);
/// <see cref="IOException"/> if it is gone or the connection ends before the answer;
/// <see cref="OperationCanceledException"/> if the caller's token is cancelled (the Pod may still do what was asked).
/// There is no time limit but the token's: a stopped Pod (SIGSTOP) is alive and simply does not answer.
/// Limits: a request is a line of at most <see cref="WireCodec.MaxLineBytes"/> bytes; a Pod serves 256 connections.
/// </remarks>
public sealed class PodClient : IAsyncDisposable
{
    /// <summary>How long <see cref="ConnectAsync"/> waits for the Pod to answer if not told otherwise: 5 seconds.</summary>
    public static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(5);

    private readonly PodWire _wire;
    private readonly string _client;
    private readonly TimeSpan _limit;
    private readonly string? _token;
    private readonly ConcurrentDictionary<long, TaskCompletionSource<RawReply>> _waiting = new();
    private readonly Task _reading;
    private long _lastId;
    private volatile IOException? _ended;

    private PodClient(PodWire wire, ReplyResult.Welcome welcome, string client, string? token, TimeSpan limit)
    {
        (_wire, _client, _token, _limit) = (wire, client, token, limit);
        Welcome = welcome;
        _reading = Task.Run(ReadRepliesAsync);
    }

    /// <summary>Who answers: the Pod's name and id, its program, the protocol version spoken and the methods allowed.</summary>
    public ReplyResult.Welcome Welcome { get; }

    /// <summary>Connects and says hello.</summary>
    /// <param name="socketPath">Path of the Pod's socket, of any length.</param>
    /// <param name="client">Shown as the author of what is asked.</param>
    /// <param name="token">A child's token for its spawner; it allows the upward methods only.</param>
    /// <param name="limit">How long to wait for the Pod's answer, here and when attaching; <see cref="HelloLimit"/> if null.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="IOException">Nobody listens at the path, or it may not be reached.</exception>
    /// <exception cref="TimeoutException">The Pod is alive and did not answer within the limit.</exception>
    /// <exception cref="PodRefusedException">No common protocol version, an unknown token, or too many connections.</exception>
    public static async Task<PodClient> ConnectAsync(
        string socketPath, string client = "human", string? token = null, TimeSpan? limit = null, CancellationToken ct = default)
    {
        var (wire, welcome) = await PodWire.OpenAsync(socketPath, client, token, limit ?? HelloLimit, TimeProvider.System, ct).ConfigureAwait(false);
        return new PodClient(wire, welcome, client, token, limit ?? HelloLimit);
    }

    /// <summary>What a Pod does now, for who wants nothing else of it: one round trip over a connection of its own.</summary>
    /// <param name="socketPath">Path of the Pod's socket, of any length.</param>
    /// <param name="client">Shown as who asks.</param>
    /// <param name="limit">How long to wait for the Pod's answer; <see cref="HelloLimit"/> if null.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="IOException">Nobody listens at the path, it may not be reached, or the connection ended before the answer.</exception>
    /// <exception cref="TimeoutException">The Pod is alive and did not answer within the limit.</exception>
    /// <exception cref="PodRefusedException">No common protocol version, or too many connections.</exception>
    public static async Task<PodStatus> StatusOfAsync(string socketPath, string client = "human", TimeSpan? limit = null, CancellationToken ct = default)
    {
        var method = new Method.Status();
        var reply = await PodWire.AskAsync(socketPath, client, method, limit ?? HelloLimit, TimeProvider.System, ct).ConfigureAwait(false);
        return ((ReplyResult.Status)Result(method, reply)).Pod;
    }

    /// <summary>Runs <c>yoi start</c>, which starts a Pod in the background, and connects to it.</summary>
    /// <param name="start">Name, task and what the Pod may do.</param>
    /// <param name="ct">Gives up; a Pod that was started by then goes on.</param>
    /// <exception cref="IOException">The program cannot be run or refused; the message has its own words and its exit code.</exception>
    /// <exception cref="TimeoutException">The Pod was started and did not answer within <see cref="HelloLimit"/>.</exception>
    public static async Task<PodClient> StartAsync(PodStart start, CancellationToken ct = default)
    {
        var socket = await start.RunAsync(ct).ConfigureAwait(false);
        return await ConnectAsync(socket, ct: ct).ConfigureAwait(false);
    }

    /// <summary>Starts a run with user text. Completes when the input is in the Pod's journal, on disk.</summary>
    /// <param name="input">The text.</param>
    /// <param name="mode">If a run is going on: refuse with <c>already_running</c>, or queue behind it.</param>
    /// <param name="ct">Stops waiting for the answer.</param>
    public async Task<ReplyResult.Accepted> RunAsync(string input, SendMode mode = SendMode.Reject, CancellationToken ct = default) =>
        (ReplyResult.Accepted)await AskAsync(new Method.Run(input, mode), ct).ConfigureAwait(false);

    /// <summary>Leaves a notice that the model reads as user text; an idle Pod starts a run with it. Completes when it is in the Pod's journal, on disk.</summary>
    /// <param name="source">Who tells it, for the model.</param>
    /// <param name="message">What is told.</param>
    /// <param name="ct">Stops waiting for the answer.</param>
    public async Task<ReplyResult.Accepted> NotifyAsync(string source, string message, CancellationToken ct = default) =>
        (ReplyResult.Accepted)await AskAsync(new Method.Notify(source, message), ct).ConfigureAwait(false);

    /// <summary>Ends the run that is going on; refused with <c>not_running</c> if there is none.</summary>
    public Task CancelAsync(CancellationToken ct = default) => AskAsync(new Method.Cancel(), ct);

    /// <summary>Holds the run after its turn; refused with <c>not_running</c> if there is none.</summary>
    public Task PauseAsync(CancellationToken ct = default) => AskAsync(new Method.Pause(), ct);

    /// <summary>Goes on with a held or interrupted run; refused with <c>not_paused</c> if there is none.</summary>
    public Task ResumeAsync(CancellationToken ct = default) => AskAsync(new Method.Resume(), ct);

    /// <summary>Ends the Pod. Completes when it has accepted that; attached clients hear of the end itself.</summary>
    public Task ShutdownAsync(CancellationToken ct = default) => AskAsync(new Method.Shutdown(), ct);

    /// <summary>What the Pod does now. Answered at once, whatever the Pod does.</summary>
    public async Task<PodStatus> StatusAsync(CancellationToken ct = default) =>
        ((ReplyResult.Status)await AskAsync(new Method.Status(), ct).ConfigureAwait(false)).Pod;

    /// <summary>Journal entries behind a cursor, a page at a time; goes on with the page's <c>NextSeq</c> and <c>NextOffset</c>.</summary>
    /// <param name="after">Where to go on; <see cref="Cursor.Start"/> for the beginning.</param>
    /// <param name="maxBytes">Page size in bytes, at most 4 MiB; one entry is returned even if it is larger.</param>
    /// <param name="ct">Stops waiting for the answer.</param>
    public async Task<ReplyResult.Page> ReadAsync(Cursor after, int maxBytes = 1 << 20, CancellationToken ct = default) =>
        (ReplyResult.Page)await AskAsync(new Method.Read(after.Seq, after.Offset, maxBytes), ct).ConfigureAwait(false);

    /// <summary>The conversation without what is not told to people, and who answers.</summary>
    public async Task<ReplyResult.History> HistoryAsync(CancellationToken ct = default) =>
        (ReplyResult.History)await AskAsync(new Method.GetHistory(), ct).ConfigureAwait(false);

    /// <summary>Sends any method but <c>hello</c> and <c>attach</c> and returns its result.</summary>
    /// <param name="method">What to ask.</param>
    /// <param name="ct">Stops waiting for the answer.</param>
    /// <exception cref="PodRefusedException">The Pod refused.</exception>
    /// <exception cref="IOException">The connection ended before the reply.</exception>
    public async Task<ReplyResult> AskAsync(Method method, CancellationToken ct = default)
    {
        if (method is Method.Attach or Method.Hello)
            throw new ArgumentException("hello and attach belong to a connection: use ConnectAsync and AttachAsync", nameof(method));
        var id = Interlocked.Increment(ref _lastId);
        var waiting = new TaskCompletionSource<RawReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = waiting;
        try
        {
            if (_ended is { } ended) throw ended;
            await _wire.SendAsync(method, id, ct).ConfigureAwait(false);
            return Result(method, await waiting.Task.WaitAsync(ct).ConfigureAwait(false));
        }
        finally
        {
            _waiting.TryRemove(id, out _);
        }
    }

    private static ReplyResult Result(Method method, RawReply reply) => reply.Error is { } error ? throw new PodRefusedException(error) : Result(method, reply.Result!.Value);

    private static ReplyResult Result(Method method, JsonElement json) => (method switch
    {
        Method.Run or Method.Notify => (ReplyResult?)json.Deserialize(YoiJson.Default.Accepted),
        Method.Status => json.Deserialize(YoiJson.Default.ReplyStatus),
        Method.Read => json.Deserialize(YoiJson.Default.Page),
        Method.GetHistory => json.Deserialize(YoiJson.Default.ReplyHistory),
        _ => new ReplyResult.Done(),
    })!;

    /// <summary>
    /// Entries from a seq on: replay, then live, without gap or double, interleaved with streaming text. Attaches again by
    /// itself where the Pod cut a slow reader off. Ends after the Pod's end entry or when it says it shuts down.
    /// </summary>
    /// <param name="fromSeq">First entry wanted; 1 for all. At most the newest entry's seq plus one.</param>
    /// <param name="ct">Ends the enumeration with <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="IOException">The connection ended and the Pod did not say why: it died, or was killed.</exception>
    /// <exception cref="TimeoutException">The Pod is alive and did not answer within the limit.</exception>
    public async IAsyncEnumerable<PodMessage> AttachAsync(long fromSeq = 1, [EnumeratorCancellation] CancellationToken ct = default)
    {
        var (wire, _) = await PodWire.OpenAsync(_wire.Path, _client, _token, _limit, TimeProvider.System, ct).ConfigureAwait(false);
        using var _ = wire;
        using var cut = ct.Register(wire.Stop);
        var next = fromSeq;
        var (over, why) = (false, "is gone without a word");
        await SubscribeAsync().ConfigureAwait(false);
        while (await NextAsync().ConfigureAwait(false) is { } @event)
        {
            switch (@event)
            {
                case Event.Appended appended when appended.Seq >= next:
                    next = appended.Seq + 1;
                    var entry = JournalCodec.FromEvent(appended);
                    over = entry is Entry.PodEnded || (over && entry is not Entry.ProcessStarted);
                    yield return new PodMessage.Entered(appended.Seq, appended.Time, entry);
                    break;
                case Event.Delta delta:
                    yield return new PodMessage.Streaming(delta);
                    break;
                case Event.Error error:
                    why = $"ended the connection: {error.Message}";
                    break;
                case Event.Gap:
                    await SubscribeAsync().ConfigureAwait(false);
                    break;
                case Event.Shutdown:
                    yield break;
            }
        }
        if (!over) throw new IOException($"the Pod at {_wire.Path} {why}; the last entry seen is {next - 1}");

        async Task SubscribeAsync()
        {
            var id = Interlocked.Increment(ref _lastId);
            await wire.SendAsync(new Method.Attach(next), id, ct).ConfigureAwait(false);
            var reply = await wire.ReplyAsync(id).ConfigureAwait(false);
            if (reply.Error is { } error) throw new PodRefusedException(error);
        }

        async Task<Event?> NextAsync()
        {
            try
            {
                while (await wire.ReadAsync().ConfigureAwait(false) is { } message)
                    if (message.Event is { } @event) return @event;
                return null;
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                throw new OperationCanceledException(ct);
            }
        }
    }

    private async Task ReadRepliesAsync()
    {
        var why = $"the Pod at {_wire.Path} closed the connection before it answered";
        try
        {
            while (await _wire.ReadAsync().ConfigureAwait(false) is { } message)
            {
                if (message.Reply is { } reply && reply.Id.ValueKind == JsonValueKind.Number && _waiting.TryRemove(reply.Id.GetInt64(), out var waiting))
                    waiting.TrySetResult(reply);
                else if (message.Event is Event.Error error)
                    why = $"the Pod at {_wire.Path} closed the connection: {error.Message}";
            }
        }
        catch (OperationCanceledException)
        {
            why = "the client was disposed";
        }
        catch (IOException e)
        {
            why = e.Message;
        }
        _ended = new IOException(why);
        foreach (var waiting in _waiting.Values) waiting.TrySetException(_ended);
    }

    /// <summary>Closes the connection. Requests under way fail with <see cref="IOException"/>; the Pod goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _wire.Stop();
        await _reading.ConfigureAwait(false);
        _wire.Dispose();
    }
}
