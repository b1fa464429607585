using System.Text;
using System.Text.RegularExpressions;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Finds a passage in a file's bytes and replaces it; or says why not in words that help to find it.</summary>
internal sealed partial class PassageEdit(byte[] content, string shown)
{
    private const int MostLinesCompared = 20_000, MostPlaces = 10;

    internal Edited Apply(string old, string replacement, bool all)
    {
        // The model sees lines without their CR: in a file of CRLF lines both texts are meant so.
        if (HasOnlyCrlf()) (old, replacement) = (WithCrlf(old), WithCrlf(replacement));
        var (from, to) = (Encoding.UTF8.GetBytes(old), Encoding.UTF8.GetBytes(replacement));
        var places = Places(from);
        if (places.Count == 0 && old.Contains('\n') && content.AsSpan().Contains((byte)'\r'))
        {
            (from, to) = (Encoding.UTF8.GetBytes(WithCrlf(old)), Encoding.UTF8.GetBytes(WithCrlf(replacement)));
            places = Places(from);
        }
        if (places.Count == 0) throw new ToolFailure($"old_string was not found in {shown}. {Hint(old)}");
        if (places.Count > 1 && !all)
            throw new ToolFailure($"old_string occurs {places.Count} times in {shown} (lines {string.Join(", ", places.Take(MostPlaces).Select(LineAt))}"
                + $"{(places.Count > MostPlaces ? ", …" : "")}). Add surrounding lines so that it is unique, or set replace_all.");
        return Replaced(places, from.Length, to);
    }

    private Edited Replaced(List<int> places, int length, byte[] to)
    {
        var result = new byte[content.Length + ((to.Length - length) * places.Count)];
        var lines = new List<int>();
        var (read, written, line) = (0, 0, 1);
        foreach (var place in places)
        {
            var kept = content.AsSpan(read, place - read);
            kept.CopyTo(result.AsSpan(written));
            line += kept.Count((byte)'\n');
            lines.Add(line);
            to.CopyTo(result, written + kept.Length);
            line += to.AsSpan().Count((byte)'\n');
            written += kept.Length + to.Length;
            read = place + length;
        }
        content.AsSpan(read).CopyTo(result.AsSpan(written));
        return new(result, lines, 1 + to.AsSpan().Count((byte)'\n'));
    }

    private List<int> Places(byte[] what)
    {
        var places = new List<int>();
        for (var at = 0; at <= content.Length - what.Length;)
        {
            var found = content.AsSpan(at).IndexOf(what);
            if (found < 0) break;
            places.Add(at + found);
            at += found + what.Length;
        }
        return places;
    }

    private int LineAt(int offset) => 1 + content.AsSpan(0, offset).Count((byte)'\n');

    private bool HasOnlyCrlf()
    {
        var newlines = content.AsSpan().Count((byte)'\n');
        return newlines > 0 && content.AsSpan().Count("\r\n"u8) == newlines;
    }

    private static string WithCrlf(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace("\n", "\r\n", StringComparison.Ordinal);

    /// <summary>The likeliest reason, with the passage as it really is if one is close.</summary>
    private string Hint(string old)
    {
        var wanted = old.ReplaceLineEndings("\n").Trim('\n').Split('\n');
        if (wanted.All(line => LineNumber().IsMatch(line))) return "It begins with line numbers as Read shows them; they are not part of the file. Leave them out.";
        if (old.Contains('\ufffd')) return "It contains \ufffd, which stands for bytes that are not UTF-8; leave that part out.";
        var lines = Encoding.UTF8.GetString(content).ReplaceLineEndings("\n").Split('\n', MostLinesCompared);
        var squeezed = lines.Select(Squeeze).ToArray();
        var target = wanted.Select(Squeeze).ToArray();
        for (var i = 0; i + target.Length <= squeezed.Length; i++)
            if (squeezed.AsSpan(i, target.Length).SequenceEqual(target))
                return $"A passage that differs only in white space begins at line {i + 1}:\n{Quote(lines, i, target.Length)}";
        var (best, score) = (-1, 0.6);
        var first = target.FirstOrDefault(line => line.Length > 3) ?? target[0];
        for (var i = 0; i < squeezed.Length; i++)
            if (Likeness(first, squeezed[i]) is var likeness && likeness > score) (best, score) = (i, likeness);
        return best < 0
            ? "It must match exactly, white space included. Read the file again, or find the place with Grep."
            : $"The closest line is {best + 1}:\n{Quote(lines, best, Math.Min(target.Length, 5))}";
    }

    private static string Quote(string[] lines, int at, int count) =>
        string.Join('\n', lines.Skip(at).Take(Math.Min(count, 10)).Select((line, i) => $"{at + i + 1,6}\t{CappedText.Cut(line, 300)}"));

    private static string Squeeze(string line) => Spaces().Replace(line, " ").Trim();

    /// <summary>Share of common letter pairs, 0 to 1.</summary>
    private static double Likeness(string a, string b)
    {
        if (a == b) return 1;
        if (a.Length < 2 || b.Length < 2 || b.Length > 1000 || a.Length > 1000) return 0;
        var pairs = new Dictionary<(char, char), int>();
        for (var i = 1; i < a.Length; i++) pairs[(a[i - 1], a[i])] = pairs.GetValueOrDefault((a[i - 1], a[i])) + 1;
        var common = 0;
        for (var i = 1; i < b.Length; i++)
            if (pairs.GetValueOrDefault((b[i - 1], b[i])) is > 0 and var left)
            {
                pairs[(b[i - 1], b[i])] = left - 1;
                common++;
            }
        return 2.0 * common / (a.Length + b.Length - 2);
    }

    [GeneratedRegex(@"^ *\d+\t")]
    private static partial Regex LineNumber();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
