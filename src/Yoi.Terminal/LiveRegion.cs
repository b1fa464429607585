using System.Text;

namespace Yoi.Terminal;

/// <summary>
/// A few lines at the bottom that are redrawn in place, with lasting lines above them. On a terminal only; elsewhere the lasting
/// lines are written as they are and the region is nothing. Owns the cursor from the first frame until it is disposed.
/// </summary>
internal sealed class LiveRegion(Screen screen) : IDisposable
{
    private readonly List<IReadOnlyList<Said>> _above = [];
    private List<int>? _drawn;

    /// <summary>A line that stays: written with the next frame, so that the two never tear.</summary>
    internal void Above(IReadOnlyList<Said> line)
    {
        if (screen.IsLive) _above.Add(line);
        else screen.Line(Plain(line));
    }

    /// <summary>Draws the region anew. Lines that are too wide are cut.</summary>
    internal void Draw(IReadOnlyList<IReadOnlyList<Said>> lines)
    {
        if (!screen.IsLive) return;
        // One write, marked as one update, so that terminals that know how show no half frame.
        var frame = new StringBuilder("\e[?2026h").Append(_drawn is null ? "\e[?25l" : "");
        Erase(frame);
        foreach (var line in _above) Append(frame, line);
        _above.Clear();
        List<IReadOnlyList<Said>> cut = [.. lines.Select(line => Cut(line, screen.Width - 1))];
        foreach (var line in cut) Append(frame, line);
        _drawn = [.. cut.Select(line => line.Sum(piece => piece.Text.Length))];
        screen.Write(frame.Append("\e[?2026l").ToString());
    }

    /// <summary>Takes the region away, leaves what is above it, and gives the cursor back.</summary>
    public void Dispose()
    {
        if (_drawn is null) return;
        Draw([]);
        _drawn = null;
        screen.Write("\e[?25h");
    }

    /// <summary>The terminal may have become narrower since: then it has made several rows of one.</summary>
    private void Erase(StringBuilder frame)
    {
        var columns = screen.Width;
        if (_drawn?.Sum(length => Math.Max(1, (length + columns - 1) / columns)) is > 0 and var up) frame.Append($"\e[{up}A");
        frame.Append("\r\e[J");
    }

    private void Append(StringBuilder frame, IEnumerable<Said> line)
    {
        foreach (var piece in line) frame.Append(screen.Paint(piece));
        frame.Append('\n');
    }

    private static string Plain(IEnumerable<Said> line) => string.Concat(line.Select(piece => piece.Text)).TrimEnd();

    /// <summary>The line in at most so many columns.</summary>
    internal static IReadOnlyList<Said> Cut(IReadOnlyList<Said> line, int width)
    {
        List<Said> cut = [];
        foreach (var piece in line)
        {
            if (piece.Text.Length <= width) cut.Add(piece);
            else if (width > 0) cut.Add(piece with { Text = piece.Text[..(width - 1)] + "…" });
            width -= piece.Text.Length;
            if (width <= 0) break;
        }
        return cut;
    }

    /// <summary>A text as lines of at most so many columns, broken between words; a longer word stands alone.</summary>
    internal static IEnumerable<string> Wrap(string text, int width)
    {
        var start = 0;
        while (text.Length - start > width)
        {
            var cut = text.LastIndexOf(' ', start + width, width + 1);
            if (cut <= start || string.IsNullOrWhiteSpace(text[start..cut])) cut = text.IndexOf(' ', start + width);
            if (cut < 0) break;
            yield return text[start..cut];
            start = cut + 1;
        }
        yield return text[start..];
    }
}
