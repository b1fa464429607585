using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Runtime.Socket;

/// <summary>
/// A Pod's door: owns the socket file and its watch, the accept loop, all connections and what is broadcast to them.
/// Only the same user gets in. Disposed, it lets everybody hear the journal's last entry and be answered, within a limit.
/// </summary>
internal sealed class PodServer : IAsyncDisposable
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(50), LongestPause = TimeSpan.FromSeconds(1);

    private readonly ServedPod _pod;
    private readonly SocketLimits _limits;
    private readonly TimeProvider _time;
    private readonly Action<string> _warn;
    private readonly Action? _madeAnew;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<PodConnection, Task> _connections = [];
    private readonly TaskCompletionSource _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Broadcast _broadcast;
    private readonly SocketWatch _watch;
    private readonly Task _accepting;
    private volatile SocketFile _file;
    private string? _lastWarning;

    private PodServer(ServedPod pod, SocketFile file, SocketLimits limits, TimeProvider time, Action<string> warn, Action? madeAnew)
    {
        (_pod, _file, _limits, _time, _warn, _madeAnew) = (pod, file, limits, time, warn, madeAnew);
        _broadcast = new Broadcast(pod.Journal, pod.ProcessSeq, limits);
        _accepting = Task.Run(AcceptAsync);
        _watch = new SocketWatch(file.FullPath, RestoreFile);
    }

    /// <summary>Listens at <paramref name="socketPath"/>. From here on clients are served.</summary>
    /// <param name="warn">Told, in words, of what a user should know; called on any thread.</param>
    /// <param name="madeAnew">Called, on any thread, when the socket file had gone and is there again: what stood beside it has gone, too.</param>
    /// <exception cref="IOException">The path or its directory is not ours to use.</exception>
    internal static PodServer Start(ServedPod pod, string socketPath, TimeProvider time, Action<string> warn, SocketLimits? limits = null, Action? madeAnew = null) =>
        new(pod, SocketFile.Bind(socketPath), limits ?? new SocketLimits(), time, warn, madeAnew);

    /// <summary>Faults if serving a client failed through our own mistake (that connection is closed); completes at the end.</summary>
    internal Task Completion => _fault.Task;

    /// <summary>Open connections.</summary>
    internal int Connections
    {
        get
        {
            lock (_lock) return _connections.Count;
        }
    }

    private async Task AcceptAsync()
    {
        var pause = ShortestPause;
        while (!_stop.IsCancellationRequested)
        {
            var listener = _file.Listener;
            try
            {
                Admit(await listener.AcceptAsync(_stop.Token));
                pause = ShortestPause;
            }
            catch (OperationCanceledException)
            {
                return; // The server ends.
            }
            catch (Exception e)
            {
                // Whatever it was: a Pod that nobody can reach any more is worse.
                if (listener != _file.Listener) continue; // The file was made anew: go on with its socket.
                Warn($"cannot take connections for now: {e.Message}");
                await PauseAsync(pause); // Out of descriptors: the connection stays in the queue, so asking at once would spin.
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private async Task PauseAsync(TimeSpan pause)
    {
        using var stopped = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        await Task.WhenAny(Task.Delay(pause, _time, stopped.Token));
    }

    /// <summary>Serves a connection of the same user; closes any other before a byte of it is read.</summary>
    private void Admit(NetSocket socket)
    {
        if (PeerCredentials.Of(socket).Uid != Libc.Geteuid())
        {
            socket.Dispose();
            return;
        }
        lock (_lock)
        {
            if (_connections.Count < _limits.Connections)
            {
                var connection = new PodConnection(socket, _pod, _broadcast, _limits, _time);
                _connections.Add(connection, ServeAsync(connection));
                return;
            }
        }
        TurnAway(socket);
    }

    private void TurnAway(NetSocket socket)
    {
        using (socket)
        {
            var line = Outbox.Line(new Event.Error(
                ErrorCode.Internal, $"{ErrorCode.TooManyConnections}: this Pod serves {_limits.Connections} connections; close one and try again"));
            try
            {
                socket.Blocking = false;
                socket.Send(line.Span);
            }
            catch (SocketException e)
            {
                Warn($"a client was turned away and did not wait to hear it: {e.Message}");
            }
        }
    }

    private async Task ServeAsync(PodConnection connection)
    {
        await Task.Yield(); // Registered before it runs: it is removed only after it was added.
        try
        {
            await connection.RunAsync();
        }
        catch (Exception e)
        {
            // A mistake of ours costs this connection, not the Pod and its run: see docs/decisions/0320-a-connection-that-fails.md.
            _fault.TrySetException(e);
            Warn($"a connection failed by a fault of Yoi and was closed: {e}");
        }
        finally
        {
            lock (_lock) _connections.Remove(connection);
            connection.Dispose();
        }
    }

    /// <summary>Puts the socket file back if it went away. Called by the watch.</summary>
    private bool RestoreFile()
    {
        if (_file.IsInPlace) return true;
        try
        {
            var gone = _file;
            _file = SocketFile.Bind(gone.FullPath);
            gone.Dispose();
            _madeAnew?.Invoke();
            Warn($"the socket {gone.FullPath} had gone; it is there again");
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Warn($"the socket is gone and cannot be made: {e.Message}");
            return false;
        }
    }

    private void Warn(string warning)
    {
        if (Interlocked.Exchange(ref _lastWarning, warning) != warning) _warn(warning);
    }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested) return;
        await _stop.CancelAsync();
        _watch.Dispose();
        await _accepting;
        _file.Dispose();
        var head = _pod.Journal.HeadSeq;
        await Task.WhenAny(_broadcast.Told.ReachAsync(head), Task.Delay(_limits.Linger, _time));
        KeyValuePair<PodConnection, Task>[] open;
        lock (_lock) open = [.. _connections];
        await Task.WhenAll(open.Select(pair => pair.Key.CloseAsync(head)));
        await Task.WhenAll(open.Select(pair => pair.Value));
        await _broadcast.DisposeAsync();
        _fault.TrySetResult();
        _stop.Dispose();
    }
}
