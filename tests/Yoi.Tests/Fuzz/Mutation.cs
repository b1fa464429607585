using System.Globalization;
using System.Text;

namespace Yoi.Tests.Fuzz;

/// <summary>Makes bytes that are nearly right out of bytes that are.</summary>
internal sealed class Mutation(Random random, IReadOnlyList<byte[]> seeds)
{
    private static readonly byte[][] Words =
    [
        "\n"u8.ToArray(), "\n\n"u8.ToArray(), "\r\n"u8.ToArray(), "\0"u8.ToArray(), [0xff, 0xfe], [0xc0, 0xaf], [0xed, 0xa0, 0x80], "\"\\ud800\""u8.ToArray(), "\\u0000"u8.ToArray(),
        "{"u8.ToArray(), "}"u8.ToArray(), "["u8.ToArray(), "\""u8.ToArray(), ",\"crc\":\"00000000\"}"u8.ToArray(), "{\"seq\":"u8.ToArray(), "null"u8.ToArray(), "1e999"u8.ToArray(), "-0"u8.ToArray(),
        "9223372036854775808"u8.ToArray(), "data: "u8.ToArray(), "event: "u8.ToArray(), ":"u8.ToArray(), "[DONE]"u8.ToArray(), "\u2028"u8.ToArray(), "👩‍👩‍👧"u8.ToArray(), [.. Enumerable.Repeat((byte)'[', 2_000)],
        [.. Enumerable.Repeat((byte)'a', 70_000)], Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":", 500))),
    ];

    /// <summary>The next case: a seed, or pieces of several, changed in one to six places.</summary>
    internal byte[] Next()
    {
        var bytes = new List<byte>(Pick(seeds));
        for (var changes = random.Next(1, 7); changes > 0; changes--) Change(bytes);
        return [.. bytes];
    }

    private void Change(List<byte> bytes)
    {
        var at = random.Next(bytes.Count + 1);
        var length = random.Next(4) == 0 ? random.Next(bytes.Count - at + 1) : Math.Min(bytes.Count - at, random.Next(16));
        switch (random.Next(9))
        {
            case 0 when at < bytes.Count: bytes[at] ^= (byte)(1 << random.Next(8)); break;
            case 1 when at < bytes.Count: bytes[at] = (byte)random.Next(256); break;
            case 2: bytes.RemoveRange(at, length); break;
            case 3: bytes.InsertRange(at, Pick(Words)); break;
            case 4: bytes.InsertRange(at, bytes.GetRange(at, Math.Min(length, 4096))); break;
            case 5: bytes.RemoveRange(at, bytes.Count - at); break;
            case 6:
                var other = Pick(seeds);
                var from = random.Next(other.Length + 1);
                bytes.InsertRange(at, other.AsSpan(from, random.Next(other.Length - from + 1)).ToArray());
                break;
            case 7: Number(bytes); break;
            default:
                for (var i = 0; i < length; i++) bytes[at + i] = (byte)random.Next(256);
                break;
        }
    }

    // Another number in the place of one.
    private void Number(List<byte> bytes)
    {
        var at = bytes.FindIndex(random.Next(bytes.Count + 1), b => b is >= (byte)'0' and <= (byte)'9');
        if (at < 0) return;
        var end = at;
        while (end < bytes.Count && bytes[end] is >= (byte)'0' and <= (byte)'9') end++;
        bytes.RemoveRange(at, end - at);
        bytes.InsertRange(at, Encoding.ASCII.GetBytes(random.Next(3) == 0 ? "-1" : random.NextInt64().ToString(CultureInfo.InvariantCulture)));
    }

    private T Pick<T>(IReadOnlyList<T> from) => from[random.Next(from.Count)];
}
