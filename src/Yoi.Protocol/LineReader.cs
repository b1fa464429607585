using System.Buffers;
using System.Net.Sockets;

namespace Yoi.Protocol;

/// <summary>How a read of a line went.</summary>
internal enum LineEnd
{
    /// <summary>A whole line is in <see cref="LineReader.Line"/>.</summary>
    Line,
    /// <summary>The peer closed between two lines.</summary>
    Closed,
    /// <summary>The peer closed inside a line: half a message is an error, an end is not.</summary>
    CutOff,
    /// <summary>The line is longer than the limit; nothing after it can be read.</summary>
    TooLong,
    /// <summary>Stopped, or the line took too long (then <see cref="LineReader.Unfinished"/>).</summary>
    Stopped,
    /// <summary>The connection broke.</summary>
    Broken,
}

/// <summary>
/// Takes lines off a socket, one after the other. Memory follows the longest line, never passes the limit, and shrinks
/// again. A line that was begun must be finished within a limit; idle connections start no timer.
/// </summary>
/// <param name="stop">Ends all reads; also used as the timer of an unfinished line.</param>
internal sealed class LineReader(Socket socket, int maxLineBytes, CancellationTokenSource stop, TimeSpan lineLimit) : IDisposable
{
    private const int InitialBytes = 4096;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(InitialBytes);
    private int _start, _scanned, _end;
    private bool _armed;

    /// <summary>The line just read, without its newline. Valid until the next read.</summary>
    internal ReadOnlyMemory<byte> Line { get; private set; }

    /// <summary>True if a line was begun and is not yet whole.</summary>
    internal bool Unfinished => _end > _start;

    /// <summary>Reads to the end of the next line. Throws nothing: every ending has a name.</summary>
    internal async ValueTask<LineEnd> ReadAsync()
    {
        while (true)
        {
            var at = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
            if (at >= 0)
            {
                Line = _buffer.AsMemory(_start, _scanned + at - _start);
                _start = _scanned = _scanned + at + 1;
                Arm(false);
                return LineEnd.Line;
            }
            _scanned = _end;
            if (_end - _start >= maxLineBytes) return LineEnd.TooLong;
            MakeRoom();
            Arm(Unfinished);
            int read;
            try
            {
                read = await socket.ReceiveAsync(_buffer.AsMemory(_end, Math.Min(_buffer.Length, maxLineBytes) - _end), SocketFlags.None, stop.Token);
            }
            catch (OperationCanceledException)
            {
                return LineEnd.Stopped;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return LineEnd.Broken;
            }
            if (read == 0) return Unfinished ? LineEnd.CutOff : LineEnd.Closed;
            _end += read;
        }
    }

    private void Arm(bool armed)
    {
        if (armed == _armed || stop.IsCancellationRequested) return;
        _armed = armed;
        stop.CancelAfter(armed ? lineLimit : Timeout.InfiniteTimeSpan);
    }

    private void MakeRoom()
    {
        var held = _end - _start;
        if (held == 0 && _buffer.Length > InitialBytes * 16) Replace(InitialBytes, 0);
        else if (_start > 0) _buffer.AsSpan(_start, held).CopyTo(_buffer);
        _end = _scanned = held;
        _start = 0;
        // By fours: the pool keeps what was outgrown, and all of that together stays small beside the line.
        if (_end == _buffer.Length) Replace((int)Math.Min(_buffer.Length * 4L, maxLineBytes), held);
    }

    private void Replace(int bytes, int held)
    {
        var next = ArrayPool<byte>.Shared.Rent(bytes);
        _buffer.AsSpan(_start, held).CopyTo(next);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = next;
    }

    public void Dispose()
    {
        var buffer = _buffer;
        _buffer = [];
        _start = _scanned = _end = 0;
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
    }
}
