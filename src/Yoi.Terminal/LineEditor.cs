using System.Globalization;

namespace Yoi.Terminal;

/// <summary>
/// The text that a person is typing, and what each key does to it: the keys that every shell knows, and earlier texts behind Up and
/// Down. Knows no screen. Enter sends; within a paste (further keys are there already) it is a line end like any other.
/// </summary>
internal sealed class LineEditor
{
    /// <summary>What a key came to. Left: the person is done.</summary>
    internal enum Outcome { Edited, Sent, Left }

    private readonly List<string> _earlier = [];
    private string _unsent = "";
    private int _shown;

    internal string Text { get; private set; } = "";

    /// <summary>Where the next character goes.</summary>
    internal int At { get; private set; }

    /// <summary>What was sent last.</summary>
    internal string Sent => _earlier[^1];

    /// <param name="more">True if further keys wait.</param>
    internal Outcome Take(ConsoleKeyInfo key, bool more)
    {
        var control = key.Modifiers.HasFlag(ConsoleModifiers.Control);
        switch (key.Key)
        {
            case ConsoleKey.Enter when more || Text.AsSpan().Trim().IsEmpty:
                if (more) Insert("\n");
                else Set("");
                break;
            case ConsoleKey.Enter:
                _earlier.Add(Text);
                _shown = _earlier.Count;
                Set("");
                return Outcome.Sent;
            case ConsoleKey.D when control && Text.Length == 0:
                return Outcome.Left;
            case ConsoleKey.D when control:
            case ConsoleKey.Delete:
                Cut(At, After(At));
                break;
            case ConsoleKey.W when control:
                Cut(WordBefore(At), At);
                break;
            case ConsoleKey.Backspace:
                Cut(key.Modifiers == 0 ? Before(At) : WordBefore(At), At);
                break;
            case ConsoleKey.U when control:
                Cut(0, At);
                break;
            case ConsoleKey.K when control:
                Cut(At, Text.Length);
                break;
            case ConsoleKey.LeftArrow:
                At = control ? WordBefore(At) : Before(At);
                break;
            case ConsoleKey.RightArrow:
                At = control ? WordAfter(At) : After(At);
                break;
            case ConsoleKey.B when control:
                At = Before(At);
                break;
            case ConsoleKey.F when control:
                At = After(At);
                break;
            case ConsoleKey.Home:
            case ConsoleKey.A when control:
                At = 0;
                break;
            case ConsoleKey.End:
            case ConsoleKey.E when control:
                At = Text.Length;
                break;
            case ConsoleKey.UpArrow:
            case ConsoleKey.P when control:
                Recall(_shown - 1);
                break;
            case ConsoleKey.DownArrow:
            case ConsoleKey.N when control:
                Recall(_shown + 1);
                break;
            case ConsoleKey.Tab when more:
                Insert("\t");
                break;
            default:
                if (!char.IsControl(key.KeyChar)) Insert(key.KeyChar.ToString());
                break;
        }
        return Outcome.Edited;
    }

    private void Set(string text) => (Text, At) = (text, text.Length);

    private void Insert(string what) => (Text, At) = (Text.Insert(At, what), At + what.Length);

    private void Cut(int from, int to) => (Text, At) = (Text.Remove(from, to - from), from);

    private void Recall(int which)
    {
        if (which < 0 || which > _earlier.Count) return;
        if (_shown == _earlier.Count) _unsent = Text;
        _shown = which;
        Set(which == _earlier.Count ? _unsent : _earlier[which]);
    }

    /// <summary>One character as people see it may be several.</summary>
    private int After(int at) => at + StringInfo.GetNextTextElementLength(Text.AsSpan(at));

    private int Before(int at)
    {
        var before = 0;
        for (var next = 0; next < at; next = After(next)) before = next;
        return before;
    }

    private int WordBefore(int at)
    {
        while (at > 0 && char.IsWhiteSpace(Text[at - 1])) at--;
        while (at > 0 && !char.IsWhiteSpace(Text[at - 1])) at--;
        return at;
    }

    private int WordAfter(int at)
    {
        while (at < Text.Length && char.IsWhiteSpace(Text[at])) at++;
        while (at < Text.Length && !char.IsWhiteSpace(Text[at])) at++;
        return at;
    }
}
