using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Yoi.Runtime.Models.Wire;

/// <summary>
/// Lenient reading of what providers send: a member that is missing or of another kind is null, never an exception.
/// Half a surrogate pair (servers cut emoji between two deltas) is kept as it is, so that the other half can join it.
/// </summary>
internal static class JsonText
{
    internal static JsonElement? Member(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal static string? Text(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.String } value ? value.Text() : null;

    internal static int? Index(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) && number >= 0 ? number : null;

    /// <summary>A count of tokens; null if it is missing, negative or no whole number.</summary>
    internal static long? Count(this JsonElement element, string name) =>
        element.Member(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) && number >= 0 ? number : null;

    /// <summary>The text of a JSON string, which may hold unpaired surrogates.</summary>
    internal static string Text(this JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // Thrown for unpaired surrogate escapes and for bytes that are no UTF-8.
            return Unescape(Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(value)[1..^1]));
        }
    }

    /// <summary>Replaces what is no character: every unpaired surrogate.</summary>
    internal static string WellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
            {
                i++;
                continue;
            }
            return Mend(text, i);
        }
        return text;
    }

    /// <summary>A called tool's name as providers take it back: what a model made up must not make the whole conversation one that is refused.</summary>
    internal static string CallName(string name)
    {
        const int longest = 64;
        static bool Fits(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-';
        return name.Length is > 0 and <= longest && name.All(Fits) ? name : string.Concat(name.Take(longest).Select(c => Fits(c) ? c : '_')).PadRight(1, '_');
    }

    private static string Mend(string text, int from)
    {
        var mended = new StringBuilder(text, 0, from, text.Length);
        for (var i = from; i < text.Length; i++)
        {
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
                mended.Append(text[i]).Append(text[++i]);
            else
                mended.Append(char.IsSurrogate(text[i]) ? '\uFFFD' : text[i]);
        }
        return mended.ToString();
    }

    private static string Unescape(string raw)
    {
        var text = new StringBuilder(raw.Length);
        for (var i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\')
            {
                text.Append(raw[i]);
                continue;
            }
            switch (raw[++i])
            {
                case 'u':
                    text.Append((char)Convert.ToUInt16(raw.Substring(i + 1, 4), 16));
                    i += 4;
                    break;
                case 'n': text.Append('\n'); break;
                case 't': text.Append('\t'); break;
                case 'r': text.Append('\r'); break;
                case 'b': text.Append('\b'); break;
                case 'f': text.Append('\f'); break;
                default: text.Append(raw[i]); break;
            }
        }
        return text.ToString();
    }
}
