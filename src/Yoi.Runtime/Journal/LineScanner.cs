using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>
/// One forward pass over the bytes of a journal from <c>from</c> to <c>to</c>: whole lines with their offsets. Holds one
/// buffer as long as the longest line; a line longer than any record comes as an empty one, which is damage.
/// </summary>
internal sealed class LineScanner : IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly long _to;
    private byte[] _buffer;
    private int _start, _end;
    private long _dropped;
    private long _read;

    internal LineScanner(SafeFileHandle file, long from, long to)
    {
        (_file, _to) = (file, to);
        // Not more than there is to read: a new journal has nothing.
        _buffer = ArrayPool<byte>.Shared.Rent((int)Math.Clamp(to - from, 16, 64 * 1024));
        _read = Offset = from;
    }

    /// <summary>Offset of the first byte that belongs to no line returned so far.</summary>
    internal long Offset { get; private set; }

    /// <summary>Bytes behind the last newline, once <see cref="TryNext"/> has returned false.</summary>
    internal long Unfinished => _dropped + _end - _start;

    internal long BytesRead { get; private set; }

    /// <summary>The next whole line without its newline; valid until the next call.</summary>
    internal bool TryNext(out ReadOnlySpan<byte> line, out long offset)
    {
        var searched = 0;
        while (true)
        {
            var newline = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                var length = searched + newline;
                line = _dropped > 0 ? default : _buffer.AsSpan(_start, length);
                offset = Offset;
                Offset += _dropped + length + 1;
                _start += length + 1;
                _dropped = 0;
                return true;
            }
            searched = _end - _start;
            if (searched > JournalCodec.MaxLineBytes)
            {
                _dropped += searched;
                _start = _end = searched = 0;
            }
            if (!Fill())
            {
                line = default;
                offset = Offset;
                return false;
            }
        }
    }

    public void Dispose()
    {
        if (_buffer.Length == 0) return;
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private bool Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        if (_end == _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
            _buffer.AsSpan(0, _end).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
        var wanted = (int)Math.Min(_buffer.Length - _end, _to - _read);
        if (wanted <= 0) return false;
        var got = RandomAccess.Read(_file, _buffer.AsSpan(_end, wanted), _read);
        _read += got;
        BytesRead += got;
        _end += got;
        return got > 0;
    }
}
