using System.Text.Json;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Wire;

/// <summary>Plays steps against a Pod and keeps what each connection was sent, up to its end.</summary>
internal sealed class Replay(RealPod pod) : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    private readonly Dictionary<int, Connection> _open = [];
    private readonly Dictionary<int, List<JsonElement>> _heard = [];
    private readonly List<int> _ended = [];

    /// <summary>Called before each line that a client sends.</summary>
    internal Func<Task> BeforeSend { get; init; } = () => Task.CompletedTask;

    /// <summary>What was sent, by connection.</summary>
    internal IReadOnlyDictionary<int, List<JsonElement>> Heard => _heard;

    /// <summary>Connections that the Pod ended.</summary>
    internal IReadOnlyList<int> Ended => _ended;

    /// <summary>Plays to the end, or until something that was to come does not; then the comparison says what.</summary>
    internal async Task PlayAsync(IReadOnlyList<Step> steps)
    {
        // Whoever says nothing in the recording was there from its beginning.
        foreach (var silent in steps.Select(step => step.On).OfType<int>().Distinct().Where(conn => !steps.OfType<Step.Send>().Any(send => send.Conn == conn)))
            await OpenAsync(silent);
        for (var i = 0; i < steps.Count; i++)
        {
            if (!await DoAsync(steps[i])) break;
            if (steps[i].On is { } conn && !steps.Skip(i + 1).Any(step => step.On == conn)) await CloseAsync(conn);
        }
        foreach (var conn in _open.Keys.ToList()) await CloseAsync(conn);
    }

    private async Task<bool> DoAsync(Step step)
    {
        switch (step)
        {
            case Step.Send send:
                await BeforeSend();
                await (await OpenAsync(send.Conn)).SendAsync(send.Bytes);
                return true;
            case Step.Expect expect:
                return await (await OpenAsync(expect.Conn)).WaitAsync(expect.Kind, Limit);
            case Step.End end:
                if (!await (await OpenAsync(end.Conn)).EndsAsync(Limit)) return false;
                _ended.Add(end.Conn);
                return true;
            case Step.Exit exit:
                return (await pod.ExitAsync()).Code == exit.Code;
            default:
                throw new InvalidOperationException($"no such step: {step}");
        }
    }

    private async Task<Connection> OpenAsync(int conn)
    {
        if (_open.TryGetValue(conn, out var open)) return open;
        var heard = _heard[conn] = [];
        return _open[conn] = new Connection(await pod.ConnectAsync(), heard);
    }

    /// <summary>Closes a connection, after everything that had been sent to it has been heard.</summary>
    private async Task CloseAsync(int conn)
    {
        if (_open.Remove(conn, out var connection)) await connection.CloseAsync(fence: !_ended.Contains(conn), Limit);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _open.Values) await connection.CloseAsync(fence: false, Limit);
    }

    private sealed class Connection
    {
        private readonly RawClient _client;
        private readonly List<JsonElement> _heard;
        private readonly Task _reading;
        private readonly Lock _lock = new();
        private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _fence = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _seen;

        internal Connection(RawClient client, List<JsonElement> heard)
        {
            (_client, _heard) = (client, heard);
            _reading = Task.Run(ReadAsync);
        }

        internal Task SendAsync(byte[] bytes) => _client.SendBytesAsync(bytes);

        /// <summary>Waits for the next event of a kind; false if it does not come.</summary>
        internal async Task<bool> WaitAsync(string kind, TimeSpan limit)
        {
            while (true)
            {
                Task news;
                lock (_lock)
                {
                    var at = _heard.FindIndex(_seen, line => WireComparison.Kind(line) == kind);
                    if (at >= 0)
                    {
                        _seen = at + 1;
                        return true;
                    }
                    news = _news.Task;
                }
                if (_reading.IsCompleted && !news.IsCompleted) return false;
                if (!await WithinAsync(Task.WhenAny(news, _reading), limit)) return false;
            }
        }

        internal Task<bool> EndsAsync(TimeSpan limit) => WithinAsync(_reading, limit);

        private static async Task<bool> WithinAsync(Task task, TimeSpan limit)
        {
            try
            {
                await task.WaitAsync(limit, ServedRoom.Ct);
                return true;
            }
            catch (TimeoutException)
            {
                return false;
            }
        }

        internal async Task CloseAsync(bool fence, TimeSpan limit)
        {
            if (fence && !_reading.IsCompleted)
            {
                await _client.SendAsync("""{"id":"fence","method":"status"}""");
                await WithinAsync(Task.WhenAny(_fence.Task, _reading), limit);
            }
            _client.Dispose();
            await _reading;
        }

        private async Task ReadAsync()
        {
            try
            {
                while (await _client.LineAsync() is { } line)
                {
                    var json = JsonDocument.Parse(line).RootElement;
                    if (json.TryGetProperty("id", out var id) && id.ValueEquals("fence")) _fence.TrySetResult();
                    else Hear(json);
                }
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException or ObjectDisposedException or TimeoutException or OperationCanceledException)
            {
                return; // Closed by us.
            }
        }

        private void Hear(JsonElement line)
        {
            TaskCompletionSource news;
            lock (_lock)
            {
                _heard.Add(line);
                (news, _news) = (_news, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            }
            news.TrySetResult();
        }
    }
}
