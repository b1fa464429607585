using System.Numerics;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>
/// Records out of damaged lines. Only what the checksum proves: a line of which one bit is wrong, two lines whose newline is wrong, one line that
/// a wrong bit made two.
/// </summary>
internal static class LineRescue
{
    private const int TailLength = 18; // ,"crc":"12345678"}

    /// <summary>The records of neighbouring damaged lines, as bytes of whole lines without their newline; empty if nothing can be proven.</summary>
    internal static List<byte[]> Records(IReadOnlyList<byte[]> damaged)
    {
        var found = new List<byte[]>();
        for (var i = 0; i < damaged.Count; i++)
        {
            if (OneBit(damaged[i]) is { } mended) found.Add(mended);
            else if (i + 1 < damaged.Count && OneBit([.. damaged[i], (byte)'\n', .. damaged[i + 1]]) is { } joined)
            {
                found.Add(joined);
                i++;
            }
            else found.AddRange(Parted(damaged[i]));
        }
        return found;
    }

    // Each record ends as all do; what is behind it, but for the byte that was its newline, begins the next.
    private static IEnumerable<byte[]> Parted(byte[] line)
    {
        for (var from = 0; from < line.Length;)
        {
            var at = line.AsSpan(from).IndexOf(",\"crc\":\""u8);
            if (at < 0 || from + at + TailLength > line.Length) yield break;
            var end = from + at + TailLength;
            var record = line[from..end];
            if (OneBit(record) is { } mended) yield return mended;
            // Something stands before it that is none.
            else if (record.AsSpan().LastIndexOf("{\"seq\":"u8) is > 0 and var begin && OneBit(record[begin..]) is { } behind) yield return behind;
            from = end + 1;
        }
    }

    /// <summary>The line with one bit turned, so that its checksum holds; the line itself if it does already; null if there is no such bit.</summary>
    internal static byte[]? OneBit(byte[] line)
    {
        if (JournalCodec.Checksum(line) is not null) return line;
        if (line.Length <= TailLength) return null;
        var mended = (byte[])line.Clone();
        for (var i = line.Length - TailLength; i < line.Length; i++)
            for (var bit = 0; bit < 8; bit++)
            {
                mended[i] ^= (byte)(1 << bit);
                if (JournalCodec.Checksum(mended) is not null) return mended;
                mended[i] ^= (byte)(1 << bit);
            }
        if (!uint.TryParse(line.AsSpan(line.Length - 10, 8), System.Globalization.NumberStyles.HexNumber, null, out var said)) return null;
        // A checksum is linear: the difference that a bit makes to it depends on the bit's distance from the end alone.
        var wanted = said ^ JournalCodec.Crc32C(line.AsSpan(0, line.Length - TailLength));
        Span<uint> differences = stackalloc uint[8];
        for (var bit = 0; bit < 8; bit++) differences[bit] = BitOperations.Crc32C(0u, (byte)(1 << bit));
        for (var i = line.Length - TailLength - 1; i >= 0; i--)
            for (var bit = 0; bit < 8; bit++)
            {
                if (differences[bit] == wanted)
                {
                    mended[i] ^= (byte)(1 << bit);
                    return JournalCodec.Read(mended, 0) is null ? null : mended;
                }
                differences[bit] = BitOperations.Crc32C(differences[bit], (byte)0);
            }
        return null;
    }
}
