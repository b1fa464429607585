using System.Text;
using System.Text.RegularExpressions;

namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// A regular expression for searching text: linear in time where the pattern allows it (no look-around, no back-reference), else with
/// a time limit. Without <c>multiline</c> a match lies within one line.
/// </summary>
internal sealed class SearchPattern
{
    /// <summary>Building an expression has no limit of time as matching has, and can take the square of its length.</summary>
    private const int MostCharacters = 8192;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly Regex _regex;
    private readonly bool _lineByLine;

    private SearchPattern(Regex regex, bool lineByLine, bool multiline, bool plain, string? needed)
    {
        (_regex, _lineByLine, IsMultiline, IsPlain) = (regex, lineByLine, multiline, plain);
        Needed = needed is null ? null : Encoding.UTF8.GetBytes(needed);
    }

    internal bool IsMultiline { get; }

    /// <summary>True if the pattern is plain text: what contains it matches.</summary>
    internal bool IsPlain { get; }

    /// <summary>Bytes that every match contains, as far as they are known: text without them need not be looked at.</summary>
    internal byte[]? Needed { get; }

    /// <exception cref="ToolFailure">No regular expression.</exception>
    internal static SearchPattern Compile(string pattern, bool ignoreCase, bool multiline)
    {
        if (pattern.Length == 0) throw new ToolFailure("the pattern is empty; it would match everything. Glob lists files.");
        if (pattern.Length > MostCharacters) throw new ToolFailure($"the pattern is longer than {MostCharacters} characters; make it simpler.");
        var options = RegexOptions.CultureInvariant | RegexOptions.Multiline
            | (ignoreCase ? RegexOptions.IgnoreCase : 0) | (multiline ? RegexOptions.Singleline : 0);
        // What files hold that is no text is searched as U+FFFD.
        var plain = !ignoreCase && !pattern.Contains('\ufffd') && !pattern.AsSpan().ContainsAnyInRange('\ud800', '\udfff') && Regex.Escape(pattern).Replace("\\ ", " ", StringComparison.Ordinal) == pattern;
        try
        {
            var (regex, linear) = Build(Translate(pattern), options);
            var edges = pattern.Contains("\\A", StringComparison.Ordinal) || pattern.Contains("\\z", StringComparison.OrdinalIgnoreCase) || pattern.Contains("\\G", StringComparison.Ordinal);
            return new(regex, !multiline && (!linear || edges), multiline, plain, plain ? pattern : ignoreCase ? null : NeededText.Of(pattern));
        }
        catch (ArgumentException e)
        {
            throw new ToolFailure($"the pattern is no regular expression: {e.Message} Escape {{ }} ( ) [ ] . * + ? | ^ $ \\ with a backslash to find them as they are.");
        }
    }

    /// <summary>The first match at or after a position; (-1, 0) if there is none. The position is the start of a line.</summary>
    /// <exception cref="ToolFailure">It took too long.</exception>
    internal (int Index, int Length) Next(ReadOnlySpan<char> text, int from)
    {
        try
        {
            return IsMultiline ? First(text[from..], from) : _lineByLine ? NextByLines(text, from) : NextInLine(text, from);
        }
        catch (RegexMatchTimeoutException)
        {
            throw new ToolFailure("the pattern takes too long (look-around and back-references can); make it simpler.");
        }
    }

    private (int Index, int Length) First(ReadOnlySpan<char> text, int offset)
    {
        foreach (var match in _regex.EnumerateMatches(text)) return (offset + match.Index, match.Length);
        return (-1, 0);
    }

    private (int Index, int Length) NextByLines(ReadOnlySpan<char> text, int from)
    {
        while (from < text.Length)
        {
            var end = LineEnd(text, from);
            if (First(text[from..end], from) is { Index: >= 0 } found) return found;
            from = end + 1;
        }
        return (-1, 0);
    }

    /// <summary>
    /// Searches all at once. Where a line matches by itself, so does the text, at or before that place; a match that runs on into
    /// the next line is asked again within its first line.
    /// </summary>
    private (int Index, int Length) NextInLine(ReadOnlySpan<char> text, int from)
    {
        while (from < text.Length)
        {
            var (index, length) = First(text[from..], from);
            if (index < 0 || index >= text.Length) return (-1, 0);
            var start = LineStart(text, index);
            var end = LineEnd(text, index);
            if (index + length <= end) return (index, length);
            if (First(text[start..end], start) is { Index: >= 0 } inside) return inside;
            from = end + 1;
        }
        return (-1, 0);
    }

    internal static int LineStart(ReadOnlySpan<char> text, int at) => text[..at].LastIndexOf('\n') + 1;

    internal static int LineEnd(ReadOnlySpan<char> text, int at) => text[at..].IndexOf('\n') is >= 0 and var end ? at + end : text.Length;

    private static (Regex Regex, bool Linear) Build(string pattern, RegexOptions options)
    {
        try
        {
            return (new Regex(pattern, options | RegexOptions.NonBacktracking, Limit), true);
        }
        catch (NotSupportedException)
        {
            return (new Regex(pattern, options, Limit), false);
        }
    }

    /// <summary>From ripgrep's dialect, where it differs: named groups and POSIX classes.</summary>
    private static string Translate(string pattern)
    {
        var text = new StringBuilder(pattern).Replace("(?P<", "(?<");
        foreach (var (name, set) in PosixClasses) text.Replace($"[:{name}:]", set);
        return text.ToString();
    }

    private static readonly (string Name, string Set)[] PosixClasses =
    [
        ("alpha", "a-zA-Z"), ("digit", "0-9"), ("alnum", "a-zA-Z0-9"), ("upper", "A-Z"), ("lower", "a-z"), ("space", @"\s"),
        ("blank", @" \t"), ("punct", @"!-/:-@\[-`{-~"), ("xdigit", "0-9A-Fa-f"), ("word", @"\w"),
    ];
}
