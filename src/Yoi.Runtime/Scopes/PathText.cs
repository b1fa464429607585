using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Paths between the kernel's bytes and text. Reversible: a byte that is no UTF-8 becomes a lone surrogate (U+DC80..U+DCFF), which
/// no rule and no model can write, so that bytes compare as bytes. <see cref="Shown"/> is for eyes only.
/// </summary>
internal static class PathText
{
    private const char FirstByte = '\udc80', LastByte = '\udcff';

    internal static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        var text = new StringBuilder(bytes.Length);
        while (bytes.Length > 0)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var length) == OperationStatus.Done) text.Append(rune.ToString());
            else
            {
                length = 1;
                text.Append((char)(0xdc00 + bytes[0]));
            }
            bytes = bytes[length..];
        }
        return text.ToString();
    }

    /// <summary>The bytes, with the NUL that ends them.</summary>
    internal static byte[] Encode(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange(FirstByte, LastByte) < 0)
        {
            var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
            Encoding.UTF8.GetBytes(text, bytes);
            return bytes;
        }
        var buffer = new ArrayBufferWriter<byte>(text.Length + 8);
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                Append(buffer, new Rune(text[i], text[++i]));
            else if (text[i] is >= FirstByte and <= LastByte) Append(buffer, (byte)(text[i] - 0xdc00));
            else Append(buffer, Rune.TryCreate(text[i], out var rune) ? rune : Rune.ReplacementChar);
        }
        buffer.Write("\0"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>
    /// A path as it may stand in a message: what hides, reorders or imitates is escaped (<c>\n</c>, <c>\u{202E}</c>, <c>\xFF</c>), so that two
    /// names that differ look different. A backslash is doubled.
    /// </summary>
    internal static string Shown(string path)
    {
        var plain = true;
        foreach (var c in path) plain &= c is >= ' ' and < '\u007f' and not '\\';
        if (plain) return path;
        var text = new StringBuilder(path.Length + 16);
        var foreign = Imitations(path);
        for (var i = 0; i < path.Length; i++)
        {
            if (!Rune.TryGetRuneAt(path, i, out var rune))
            {
                if (path[i] is >= FirstByte and <= LastByte) text.Append(CultureInfo.InvariantCulture, $"\\x{path[i] - 0xdc00:X2}");
                else text.Append(CultureInfo.InvariantCulture, $"\\u{{{(int)path[i]:X}}}");
                continue;
            }
            if (rune.Value == '\n') text.Append("\\n");
            else if (rune.Value == '\t') text.Append("\\t");
            else if (rune.Value == '\\') text.Append("\\\\");
            else if (Hides(rune) || foreign.Contains(i)) text.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:X}}}");
            else text.Append(rune.ToString());
            i += rune.Utf16SequenceLength - 1;
        }
        return text.ToString();
    }

    private static void Append(ArrayBufferWriter<byte> buffer, byte raw)
    {
        buffer.GetSpan(1)[0] = raw;
        buffer.Advance(1);
    }

    private static void Append(ArrayBufferWriter<byte> buffer, Rune rune) => buffer.Advance(rune.EncodeToUtf8(buffer.GetSpan(4)));

    /// <summary>Control and format characters, odd spaces, and the marks of decomposed Latin (NFD).</summary>
    private static bool Hides(Rune rune) => rune.Value is (>= 0x300 and <= 0x36f) or 0xa0 or (>= 0x2000 and <= 0x200a) or 0x3000 or 0x115f or 0x1160 or 0x3164
        || (rune.Value >= 0xfe00 && rune.Value <= 0xfe0f)
        || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned;

    /// <summary>Positions of Greek and Cyrillic letters in a word that has Latin ones, too: homoglyphs, as good as always.</summary>
    private static HashSet<int> Imitations(string path)
    {
        var found = new HashSet<int>();
        for (var start = 0; start < path.Length;)
        {
            var end = start;
            while (end < path.Length && char.IsLetter(path[end])) end++;
            var word = path.AsSpan(start, end - start);
            if (word.IndexOfAnyInRange('a', 'z') >= 0 || word.IndexOfAnyInRange('A', 'Z') >= 0)
                for (var i = start; i < end; i++)
                    if (path[i] is >= '\u0370' and <= '\u052f') found.Add(i);
            start = end + 1;
        }
        return found;
    }
}
