using System.Text;

namespace Yoi.Terminal;

/// <summary>
/// Takes out of text whatever a terminal would obey: escape sequences and control codes. All text from models, tools and
/// files passes here on its way to the screen. One instance a stream: a sequence may be cut in two by streaming.
/// </summary>
internal sealed class SafeText
{
    /// <summary>A sequence that has not ended by then was none; what follows is shown again.</summary>
    private const int LongestSequence = 256;

    private enum State { Text, Escape, Csi, String, StringEscape }

    private State _state;
    private int _length;

    /// <summary>The next piece, made safe.</summary>
    internal string Next(ReadOnlySpan<char> piece)
    {
        var safe = new StringBuilder(piece.Length);
        foreach (var c in piece) Take(c, safe);
        return safe.ToString();
    }

    /// <summary>A whole text, made safe.</summary>
    internal static string Of(string text) => NeedsWork(text) ? new SafeText().Next(text) : text;

    /// <summary>A whole text as one safe line of at most <paramref name="max"/> characters.</summary>
    internal static string Line(string text, int max = 160)
    {
        var line = string.Join(' ', Of(text).Split((char[]?)['\n', '\t', ' '], StringSplitOptions.RemoveEmptyEntries));
        if (line.Length <= max) return line;
        var cut = char.IsHighSurrogate(line[max - 2]) ? max - 2 : max - 1;
        return line[..cut] + "…";
    }

    private static bool NeedsWork(string text)
    {
        foreach (var c in text)
            if (c is not '\n' and not '\t' && (c < ' ' || c > '~' && IsObeyed(c))) return true;
        return false;
    }

    /// <summary>Control codes, and what changes the order or the lines of text without being seen.</summary>
    private static bool IsObeyed(char c) =>
        char.IsControl(c) || c is '\u2028' or '\u2029' or >= '\u202A' and <= '\u202E' or >= '\u2066' and <= '\u2069' or '\u200E' or '\u200F';

    private void Take(char c, StringBuilder safe)
    {
        if (_state != State.Text && (c == '\n' || ++_length > LongestSequence)) _state = State.Text;
        switch (_state)
        {
            case State.Escape:
                _state = c switch { '[' => State.Csi, ']' or 'P' or '_' or '^' or 'X' => State.String, >= ' ' and <= '/' => State.Escape, _ => State.Text };
                break;
            case State.Csi:
                if (c is >= '@' and <= '~') _state = State.Text;
                break;
            case State.String:
                _state = c switch { '\a' or '\u009C' => State.Text, '\e' => State.StringEscape, _ => State.String };
                break;
            case State.StringEscape:
                _state = c == '\\' ? State.Text : State.String;
                break;
            default:
                Show(c, safe);
                break;
        }
    }

    private void Show(char c, StringBuilder safe)
    {
        _length = 0;
        if (c is '\n' or '\t') safe.Append(c);
        else if (c is '\u2028' or '\u2029') safe.Append('\n');
        else if (c == '\e') _state = State.Escape;
        else if (c == '\u009B') _state = State.Csi;
        else if (c is '\u0090' or '\u0098' or '\u009D' or '\u009E' or '\u009F') _state = State.String;
        else if (!IsObeyed(c)) safe.Append(c);
    }
}
