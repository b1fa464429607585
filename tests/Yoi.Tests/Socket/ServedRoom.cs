using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Socket;
using Yoi.Tests.Journal;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Socket;

/// <summary>A real server over a real journal, with a mailbox that the test writes.</summary>
internal sealed class ServedRoom : IAsyncDisposable
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _root = Path.Combine(Path.GetTempPath(), "yoi-socket-" + Guid.NewGuid().ToString("n")[..8]);
    private readonly TempPod _pod = new();
    private PodServer? _server;

    internal ServedRoom() => Directory.CreateDirectory(_root);

    internal string Runtime => Path.Combine(_root, "run");

    internal string SocketPath => Path.Combine(Runtime, "pod.sock");

    internal JournalWriter Journal => _pod.Writer!;

    internal string JournalPath => _pod.Journal;

    internal PodServer Server => _server!;

    internal ConcurrentQueue<(Method Method, Caller Caller)> Asked { get; } = new();

    internal ConcurrentQueue<string> Warnings { get; } = new();

    internal TimeProvider Time { get; init; } = TimeProvider.System;

    internal Func<Method, Caller, Task<ReplyResult>> Handle { get; set; } = (_, _) => Task.FromResult<ReplyResult>(new ReplyResult.Done());

    internal static CancellationToken Ct => TestContext.Current.CancellationToken;

    internal async Task<ServedRoom> StartAsync(SocketLimits? limits = null, string? path = null, params Entry[] before)
    {
        _pod.Open();
        await Journal.AppendAsync(Durability.Written, [TempPod.Created(), .. before]);
        var served = new ServedPod("0001", "worker", HandleAsync, Status, Greeting, Journal, _pod.Journal, 1,
            token => token == "child-token" ? new Caller("kid", "0002") : null);
        _server = PodServer.Start(served, path ?? SocketPath, Time, Warnings.Enqueue, limits);
        return this;
    }

    private Task<ReplyResult> HandleAsync(Method method, Caller caller)
    {
        Asked.Enqueue((method, caller));
        return Handle(method, caller);
    }

    internal PodStatus Status() => new(
        "0001", "worker", PodState.Idle, Environment.ProcessId, "/work", "scripted", "m", "tools-only", ScopeRules.None, [], null, [],
        null, Journal.LastTime, Journal.HeadSeq, new Totals(), 0, 0);

    internal static Greeting Greeting() => new("worker", "/work", "scripted", "m", "Writable:\n  - /work", ["Read"], "kernel");

    internal Task<IReadOnlyList<JournalRecord>> Append(params IReadOnlyList<Entry> entries) => Journal.AppendAsync(Durability.Written, entries);

    internal Task<RawClient> ConnectAsync() => RawClient.ConnectAsync(SocketPath);

    internal Task<PodClient> ClientAsync(string? token = null) => PodClient.ConnectAsync(SocketPath, "test", token, ct: Ct);

    internal async Task StopServerAsync()
    {
        if (_server is { } server) await server.DisposeAsync().AsTask().WaitAsync(Patience, Ct);
        _server = null;
    }

    public async ValueTask DisposeAsync()
    {
        await StopServerAsync();
        await _pod.DisposeAsync();
        if (Directory.Exists(_root)) Directory.Delete(_root, recursive: true);
    }
}

/// <summary>A client that knows nothing but lines.</summary>
internal sealed class RawClient(NetSocket socket) : IDisposable
{
    private readonly List<byte> _held = [];
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _next;

    internal NetSocket Socket => socket;

    /// <summary>Longest wait for bytes.</summary>
    internal TimeSpan Patience { get; init; } = ServedRoom.Patience;

    internal static async Task<RawClient> ConnectAsync(string path, TimeSpan? patience = null) =>
        new(await UnixAddress.ConnectAsync(path, TimeProvider.System, ServedRoom.Ct)) { Patience = patience ?? ServedRoom.Patience };

    internal Task SendAsync(string line) => SendBytesAsync(Encoding.UTF8.GetBytes(line + "\n"));

    internal async Task SendBytesAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, ServedRoom.Ct)..];
    }

    /// <summary>The next line; null at the end.</summary>
    internal async Task<string?> LineAsync()
    {
        while (true)
        {
            var at = _held.IndexOf((byte)'\n', _next);
            if (at >= 0)
            {
                var line = Encoding.UTF8.GetString(_held.GetRange(_next, at - _next).ToArray());
                _next = at + 1;
                return line;
            }
            if (_next > 0) _held.RemoveRange(0, _next);
            _next = 0;
            int read;
            try
            {
                read = await socket.ReceiveAsync(_buffer, SocketFlags.None, ServedRoom.Ct).AsTask().WaitAsync(Patience, ServedRoom.Ct);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                read = 0; // The Pod closed with bytes of ours unread.
            }
            if (read == 0) return _held.Count == 0 ? null : throw new InvalidOperationException("half a line at the end");
            _held.AddRange(_buffer.AsSpan(0, read));
        }
    }

    /// <summary>The next line, parsed.</summary>
    internal async Task<JsonElement> JsonAsync() =>
        JsonDocument.Parse(await LineAsync() ?? throw new InvalidOperationException("the Pod closed the connection")).RootElement;

    /// <summary>Kind of the next line: an event's name, with the code of an error, or <c>reply</c>.</summary>
    internal async Task<string> KindAsync()
    {
        var json = await JsonAsync();
        if (!json.TryGetProperty("event", out var name)) return json.TryGetProperty("error", out var error) ? $"reply {error.GetProperty("code")}" : "reply";
        return name.GetString() == "error" ? $"error {json.GetProperty("data").GetProperty("code")}" : name.GetString()!;
    }

    internal async Task<List<string>> KindsToEndAsync()
    {
        var kinds = new List<string>();
        while (await LineAsync() is { } line)
            kinds.Add(JsonDocument.Parse(line).RootElement.TryGetProperty("event", out var name) ? name.GetString()! : "reply");
        return kinds;
    }

    /// <summary>Asks for the status and returns the kinds of what came before the reply: all that had been sent to this client.</summary>
    internal async Task<List<string>> BeforeStatusAsync()
    {
        await SendAsync("""{"id":"fence","method":"status"}""");
        var kinds = new List<string>();
        while (await KindAsync() is var kind && kind != "reply") kinds.Add(kind);
        return kinds;
    }

    public void Dispose() => socket.Dispose();
}
