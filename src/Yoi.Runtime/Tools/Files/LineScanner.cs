namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// Lines of a file of any size, read forward through one small buffer. Of an endless line it keeps the first bytes and counts the
/// rest. A last line without its newline is a line; nothing after the last newline is not.
/// </summary>
internal sealed class LineScanner(LineScanner.ReadAt source)
{
    /// <summary>Bytes kept of one line: enough for 2,000 characters of any kind.</summary>
    internal const int MostKept = 8 * 1024;

    internal delegate int ReadAt(Span<byte> buffer, long offset);

    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly byte[] _kept = new byte[MostKept];
    private int _start, _end;

    /// <summary>Bytes read from the file so far.</summary>
    internal long Position { get; private set; }

    /// <summary>The next line; false at the end. <paramref name="kept"/> is valid until the next call.</summary>
    /// <param name="length">Of the whole line, without its newline.</param>
    internal bool Next(out ReadOnlySpan<byte> kept, out long length)
    {
        length = 0;
        var held = 0;
        while (true)
        {
            if (_start == _end && !Fill())
            {
                kept = _kept.AsSpan(0, held);
                return length > 0;
            }
            var rest = _buffer.AsSpan(_start, _end - _start);
            var newline = rest.IndexOf((byte)'\n');
            var part = newline < 0 ? rest : rest[..newline];
            length += part.Length;
            _start += newline < 0 ? part.Length : part.Length + 1;
            if (held == 0 && newline >= 0)
            {
                kept = part.Length <= MostKept ? part : part[..MostKept];
                return true;
            }
            var taken = Math.Min(part.Length, MostKept - held);
            part[..taken].CopyTo(_kept.AsSpan(held));
            held += taken;
            if (newline < 0) continue;
            kept = _kept.AsSpan(0, held);
            return true;
        }
    }

    private bool Fill()
    {
        _start = 0;
        _end = source(_buffer, Position);
        Position += _end;
        return _end > 0;
    }
}
