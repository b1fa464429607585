using System.Buffers;
using System.Net.Sockets;
using Yoi.Protocol;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Runtime.Socket;

/// <summary>
/// Lines on their way to one client. Owns the only task that writes to the socket; senders never wait for the client.
/// What waits is bounded: past the limit nothing more is taken but a last line.
/// </summary>
internal sealed class Outbox(NetSocket socket, int limitBytes) : IDisposable
{
    private const int BatchBytes = 64 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<ReadOnlyMemory<byte>> _lines = new();
    private readonly CancellationTokenSource _abort = new();
    private long _waiting;
    private int _sending;
    private bool _ended, _broken;
    private Task _writing = Task.CompletedTask;
    private TaskCompletionSource? _room;

    /// <summary>Takes a line for the client; false if the backlog is full, the outbox has ended or the client is gone.</summary>
    internal bool TrySend(ReadOnlyMemory<byte> line)
    {
        lock (_lock)
        {
            if (_ended || _broken || _waiting > limitBytes) return false;
            Enqueue_NeedsLock(line);
            return true;
        }
    }

    /// <summary>Takes a line as soon as little waits: for senders that have a backlog of their own.</summary>
    /// <returns>False if the outbox has ended or the client is gone.</returns>
    internal async Task<bool> SendWhenRoomAsync(ReadOnlyMemory<byte> line, CancellationToken ct)
    {
        while (true)
        {
            Task room;
            lock (_lock)
            {
                if (_ended || _broken) return false;
                if (_waiting < BatchBytes)
                {
                    Enqueue_NeedsLock(line);
                    return true;
                }
                _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                room = _room.Task;
            }
            await room.WaitAsync(ct);
        }
    }

    /// <summary>Takes no line after this one, if there is one.</summary>
    internal void End(ReadOnlyMemory<byte>? last = null)
    {
        lock (_lock)
        {
            if (_ended) return;
            if (last is { } line && !_broken) Enqueue_NeedsLock(line);
            _ended = true;
            FreeRoom_NeedsLock();
        }
    }

    /// <summary>Completes when everything taken is with the kernel, or the client is gone. Call after <see cref="End"/>.</summary>
    internal async Task DrainAsync(TimeSpan linger, TimeProvider time)
    {
        try
        {
            await Writing().WaitAsync(linger, time);
        }
        catch (TimeoutException)
        {
            await _abort.CancelAsync(); // The client does not read: what still waits is dropped with the connection.
            await Writing();
        }
    }

    private Task Writing()
    {
        lock (_lock) return _writing;
    }

    private void Enqueue_NeedsLock(ReadOnlyMemory<byte> line)
    {
        _lines.Enqueue(line);
        _waiting += line.Length;
        if (_lines.Count == 1 && _writing.IsCompleted) _writing = Task.Run(WriteAsync);
    }

    private void FreeRoom_NeedsLock()
    {
        _room?.TrySetResult();
        _room = null;
    }

    private async Task WriteAsync()
    {
        var batch = new ArrayBufferWriter<byte>(4096);
        while (Next(batch) is { } bytes)
        {
            try
            {
                while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, _abort.Token)..];
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                Break(); // The client is gone or was given up; its methods are still read to the end.
                return;
            }
        }
    }

    /// <summary>Small lines together, a large one alone; null when nothing waits.</summary>
    private ReadOnlyMemory<byte>? Next(ArrayBufferWriter<byte> batch)
    {
        lock (_lock)
        {
            _waiting -= _sending;
            _sending = 0;
            if (_waiting < BatchBytes) FreeRoom_NeedsLock();
            if (_lines.Count == 0)
            {
                _writing = Task.CompletedTask;
                return null;
            }
            if (_lines.Count == 1 || _lines.Peek().Length >= BatchBytes)
            {
                var alone = _lines.Dequeue();
                _sending = alone.Length;
                return alone;
            }
            batch.ResetWrittenCount();
            while (_lines.TryPeek(out var line) && batch.WrittenCount + line.Length <= BatchBytes) batch.Write(_lines.Dequeue().Span);
            _sending = batch.WrittenCount;
            return batch.WrittenMemory;
        }
    }

    private void Break()
    {
        lock (_lock)
        {
            _broken = true;
            _lines.Clear();
            _waiting = _sending = 0;
            FreeRoom_NeedsLock();
        }
    }

    /// <summary>Call after <see cref="DrainAsync"/>.</summary>
    public void Dispose() => _abort.Dispose();

    /// <summary>The line of an event.</summary>
    internal static ReadOnlyMemory<byte> Line(Event @event)
    {
        var to = new ArrayBufferWriter<byte>(256);
        WireCodec.Write(to, @event);
        return to.WrittenMemory;
    }

    /// <summary>The line of a reply.</summary>
    internal static ReadOnlyMemory<byte> Line(Reply reply)
    {
        var to = new ArrayBufferWriter<byte>(256);
        WireCodec.Write(to, reply);
        return to.WrittenMemory;
    }
}
