using System.Text;
using Spectre.Console;

namespace Yoi.Terminal;

/// <summary>
/// What a person types, shown below what comes meanwhile, so that the two never mix. While nothing is typed all text goes out as it
/// comes; while something is, it goes out by whole lines above. On a terminal that can move its cursor only; the screen's lock guards it.
/// </summary>
internal sealed class TypedText(TextWriter terminal, Func<int> width)
{
    /// <summary>Most rows of it that are shown.</summary>
    private const int MostRows = 8;

    private readonly StringBuilder _held = new();
    private readonly List<int> _drawn = [];
    private string _text = "";
    private int _at;
    private bool _midLine, _isRemark;

    /// <summary>Shows the text as it is now, with the cursor at this character; empty takes it away and lets go what was held.</summary>
    internal void Show(string text, int at) => Show(text, at, isRemark: false);

    /// <summary>Shows a remark in that place, in one row, while nothing is typed; empty takes it away.</summary>
    internal void Remark(string text)
    {
        if (_text.Length == 0 || _isRemark) Show(text, 0, isRemark: true);
    }

    private void Show(string text, int at, bool isRemark)
    {
        var frame = new StringBuilder();
        Erase(frame);
        if (text.Length > 0 && _text.Length == 0 && _midLine) frame.Append('\n');
        if (text.Length == 0 && _held.Length > 0)
        {
            _midLine = _held[^1] != '\n';
            frame.Append(_held);
            _held.Clear();
        }
        else if (text.Length > 0) _midLine = false;
        (_text, _at, _isRemark) = (text, at, isRemark);
        Draw(frame);
        Write(terminal, frame);
    }

    /// <summary>Text of somebody else, to be shown above.</summary>
    internal void Write(TextWriter to, string text)
    {
        if (_text.Length == 0)
        {
            Write(to, new StringBuilder(text));
            if (text.Length > 0) _midLine = text[^1] != '\n';
            return;
        }
        var held = _held.Append(text).ToString();
        // Whole lines go, and of one that goes on what fills a row.
        var whole = held.LastIndexOf('\n') + 1;
        var above = new StringBuilder(held[..whole]);
        var room = Math.Max(20, width() - 1);
        while (held.Length - whole > room && held.LastIndexOf(' ', whole + room, room) is var space and > 0)
        {
            above.Append(held.AsSpan(whole, space - whole)).Append('\n');
            whole = space + 1;
        }
        if (whole == 0) return;
        _held.Clear().Append(held.AsSpan(whole));
        var frame = new StringBuilder();
        Erase(frame);
        frame.Append(above);
        Draw(frame);
        Write(terminal, frame);
    }

    /// <summary>Back to where it begins. The terminal may have become narrower since: then a row has become several.</summary>
    private void Erase(StringBuilder frame)
    {
        if (_drawn.Count == 0) return;
        var columns = Math.Max(1, width());
        var up = _drawn.Take(_drawn.Count - 1).Sum(row => Math.Max(1, (row + columns - 1) / columns)) + _drawn[^1] / columns;
        if (up > 0) frame.Append($"\e[{up}A");
        frame.Append("\r\e[J");
        _drawn.Clear();
    }

    private void Draw(StringBuilder frame)
    {
        if (_text.Length == 0) return;
        if (_isRemark)
        {
            frame.Append(Rows(_text, 0, Math.Max(20, width() - 1)).Rows[0]).Append('\r');
            _drawn.Add(0);
            return;
        }
        var (rows, row, column) = Rows("> " + _text.Replace('\t', ' '), _at + 2, Math.Max(20, width() - 1));
        var first = Math.Clamp(row - MostRows + 1, 0, Math.Max(0, rows.Count - MostRows));
        var shown = rows.Skip(first).Take(MostRows).ToList();
        frame.AppendJoin('\n', shown);
        if (shown.Count - 1 - (row - first) is var up and > 0) frame.Append($"\e[{up}A");
        frame.Append('\r');
        if (column > 0) frame.Append($"\e[{column}C");
        _drawn.AddRange(shown.Take(row - first).Select(line => line.GetCellWidth()).Append(column));
    }

    /// <summary>The text as rows of at most so many columns, and where its cursor is.</summary>
    private static (List<string> Rows, int Row, int Column) Rows(string text, int at, int width)
    {
        List<string> rows = [];
        var (row, column, used) = (0, 0, 0);
        var current = new StringBuilder();
        for (var i = 0; i <= text.Length;)
        {
            var length = i < text.Length ? System.Globalization.StringInfo.GetNextTextElementLength(text.AsSpan(i)) : 0;
            var element = text.Substring(i, length);
            var cells = element is "\n" ? 0 : element.GetCellWidth();
            if (used + cells > width) Next();
            if (at >= i && (at < i + length || i == text.Length)) (row, column) = (rows.Count, used);
            if (length == 0) break;
            if (element is "\n") Next();
            else current.Append(element);
            used += cells;
            i += length;
        }
        rows.Add(current.ToString());
        return (rows, row, column);

        void Next()
        {
            rows.Add(current.ToString());
            current.Clear();
            used = 0;
        }
    }

    private static void Write(TextWriter to, StringBuilder text)
    {
        to.Write(text);
        to.Flush();
    }
}
