using System.Buffers;
using System.Net.Sockets;
using System.Text.Json;

namespace Yoi.Protocol;

/// <summary>One connection of a client: writes requests, reads what the Pod sends. Writers take turns; one reader at a time.</summary>
internal sealed class PodWire : IDisposable
{
    // What a Pod sends may be longer than what it takes: the whole history is one line.
    private const int MaxReceivedLineBytes = 512 << 20;

    private readonly Socket _socket;
    private readonly CancellationTokenSource _stop = new();
    private readonly LineReader _reader;
    private readonly SemaphoreSlim _writing = new(1, 1);

    private PodWire(Socket socket, string path)
    {
        _socket = socket;
        Path = path;
        _reader = new LineReader(socket, MaxReceivedLineBytes, _stop, Timeout.InfiniteTimeSpan);
    }

    internal string Path { get; }

    /// <summary>Connects, says hello and waits for the answer.</summary>
    internal static async Task<(PodWire Wire, ReplyResult.Welcome Welcome)> OpenAsync(
        string path, string client, string? token, TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        var (wire, welcome, _) = await OpenAsync(path, client, token, null, limit, time, ct);
        return (wire, welcome);
    }

    /// <summary>Asks one thing over a connection of its own. Goes with the hello, so that it costs one round trip and wakes the Pod once.</summary>
    internal static async Task<RawReply> AskAsync(string path, string client, Method method, TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        var (wire, _, reply) = await OpenAsync(path, client, null, method, limit, time, ct);
        wire.Dispose();
        return reply!;
    }

    private static async Task<(PodWire Wire, ReplyResult.Welcome Welcome, RawReply? Reply)> OpenAsync(
        string path, string client, string? token, Method? method, TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        PodWire? wire = null;
        try
        {
            wire = new PodWire(await UnixAddress.ConnectAsync(path, time, either.Token), path);
            using var cut = either.Token.Register(wire._stop.Cancel);
            await wire.GreetAsync(new Method.Hello(WireCodec.OldestVersion, WireCodec.Version, token, client), method, either.Token);
            var welcome = Welcome(await wire.ReplyAsync(0), path);
            return (wire, welcome, method is null ? null : await wire.ReplyAsync(1));
        }
        catch (Exception e)
        {
            wire?.Dispose();
            ct.ThrowIfCancellationRequested();
            if (late.IsCancellationRequested)
                throw new TimeoutException(
                    $"the Pod at {path} {(wire is null ? "has a full queue of connections" : "took the connection")} and did not answer within {limit.TotalSeconds:0.#} s; it is alive, and stopped or busy", e);
            throw;
        }
    }

    private async Task GreetAsync(Method.Hello hello, Method? method, CancellationToken ct)
    {
        var lines = new ArrayBufferWriter<byte>(256);
        Write(lines, hello, 0);
        if (method is not null) Write(lines, method, 1);
        try
        {
            await SendAsync(lines.WrittenMemory, ct);
        }
        catch (IOException) when (_socket.Available > 0)
        {
            return; // Turned away: what the Pod said before it closed is there to be read.
        }
    }

    private static ReplyResult.Welcome Welcome(RawReply reply, string path)
    {
        if (reply.Error is { } error) throw new PodRefusedException(error);
        return reply.Result?.Deserialize(YoiJson.Default.Welcome) ?? throw new IOException($"the Pod at {path} answered hello with nothing");
    }

    /// <summary>The reply to one request; events before it are passed over (a Pod may speak before it has read hello).</summary>
    internal async Task<RawReply> ReplyAsync(long id)
    {
        while (true)
        {
            switch (await ReadAsync())
            {
                case (_, { } reply) when reply.Id.ValueKind == JsonValueKind.Number && reply.Id.GetInt64() == id:
                    return reply;
                case (Event.Error { Code: ErrorCode.Internal } error, _) when error.Message.StartsWith(ErrorCode.TooManyConnections, StringComparison.Ordinal):
                    throw new PodRefusedException(new ReplyError(ErrorCode.TooManyConnections, error.Message));
                case null:
                    throw new IOException($"the Pod at {Path} closed the connection before it answered");
            }
        }
    }

    internal Task SendAsync(Method method, long id, CancellationToken ct)
    {
        var line = new ArrayBufferWriter<byte>(256);
        Write(line, method, id);
        return SendAsync(line.WrittenMemory, ct);
    }

    private static void Write(ArrayBufferWriter<byte> to, Method method, long id)
    {
        var before = to.WrittenCount;
        WireCodec.Write(to, method, JsonSerializer.SerializeToElement(id, YoiJson.Default.Int64));
        if (to.WrittenCount - before > WireCodec.MaxLineBytes)
            throw new PodRefusedException(new ReplyError(
                ErrorCode.LineTooLong, $"a Pod takes lines of at most {WireCodec.MaxLineBytes} bytes; this one has {to.WrittenCount - before}"));
    }

    private async Task SendAsync(ReadOnlyMemory<byte> rest, CancellationToken ct)
    {
        await _writing.WaitAsync(ct);
        try
        {
            // A line that was begun is finished: cancelling here would leave half a line on the wire.
            while (rest.Length > 0) rest = rest[await _socket.SendAsync(rest, SocketFlags.None, _stop.Token)..];
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException($"the Pod at {Path} is gone: {e.Message}", e);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>The next event or reply; null at the end.</summary>
    /// <exception cref="IOException">The connection broke inside a line, or the Pod sent what is no line of the protocol.</exception>
    internal async Task<(Event? Event, RawReply? Reply)?> ReadAsync()
    {
        while (true)
        {
            var end = await _reader.ReadAsync();
            switch (end)
            {
                case LineEnd.Line:
                    if (Parse() is { } message) return message;
                    continue;
                case LineEnd.Closed:
                    return null;
                case LineEnd.Stopped:
                    throw new OperationCanceledException("the client was closed");
                default:
                    throw new IOException($"the connection to the Pod at {Path} broke ({end})");
            }
        }
    }

    private (Event? Event, RawReply? Reply)? Parse()
    {
        try
        {
            var message = WireCodec.ReadFromPod(_reader.Line);
            return message is (null, null) ? null : message; // An event of a newer version is passed over.
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new IOException($"the Pod at {Path} sent a line that is not of the protocol: {e.Message}", e);
        }
    }

    /// <summary>Ends all reads and writes.</summary>
    internal void Stop() => _stop.Cancel();

    public void Dispose()
    {
        _stop.Cancel();
        _socket.Dispose();
    }
}
