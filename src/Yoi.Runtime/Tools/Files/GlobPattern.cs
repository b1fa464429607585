namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// A pattern over relative paths: <c>*</c> and <c>?</c> within a name, <c>**</c> over directories, <c>[a-z]</c>, <c>{a,b}</c>, <c>\</c> before a
/// character that is meant itself. Without a slash it matches the name at any depth. Runs no regular expression, so no pattern is slow.
/// </summary>
internal sealed class GlobPattern
{
    private const int MostAlternatives = 256;

    private readonly string[][] _alternatives;

    private GlobPattern(string[][] alternatives) => _alternatives = alternatives;

    /// <summary>For a pattern that a model wrote.</summary>
    /// <exception cref="ToolFailure">An open brace or too many alternatives.</exception>
    internal static GlobPattern Parse(string pattern)
    {
        var written = Alternatives(pattern);
        return new([.. written.Select(one => Segments(one.Contains('/') ? one.TrimStart('/') : "**/" + one))]);
    }

    /// <summary>For a line of an ignore file: no braces; anchored or at any depth.</summary>
    internal static GlobPattern ForIgnore(string pattern, bool anchored) => new([Segments(anchored ? pattern : "**/" + pattern)]);

    internal bool Matches(ReadOnlySpan<char> path)
    {
        foreach (var segments in _alternatives)
            if (MatchPath(segments, path)) return true;
        return false;
    }

    /// <summary>Names before the first wildcard: where a walk can start.</summary>
    internal static (string Directory, string Pattern) SplitLiteral(string pattern)
    {
        var end = 0;
        for (var at = 0; pattern.IndexOf('/', at) is >= 0 and var slash; at = end = slash + 1)
            if (pattern.AsSpan(at, slash - at).IndexOfAny("*?[{\\") >= 0) break;
        return (pattern[..end], pattern[end..]);
    }

    private static string[] Segments(string pattern)
    {
        var segments = pattern.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(segment => segment != ".").ToList();
        for (var i = segments.Count - 1; i > 0; i--)
            if (segments[i] == "**" && segments[i - 1] == "**") segments.RemoveAt(i);
        if (segments is [.., "**"]) segments.Add("*"); // "a/**" is what is inside a.
        return [.. segments];
    }

    /// <summary>Segments against names; a failure goes back to the last <c>**</c> only, which is enough.</summary>
    private static bool MatchPath(string[] segments, ReadOnlySpan<char> path)
    {
        var (segment, at, star, retry) = (0, 0, -1, 0);
        while (at <= path.Length && path.Length > 0)
        {
            if (segment < segments.Length && segments[segment] == "**")
            {
                star = segment++;
                retry = at;
                continue;
            }
            var end = path[at..].IndexOf('/') is >= 0 and var slash ? at + slash : path.Length;
            if (segment < segments.Length && MatchName(segments[segment], path[at..end]))
            {
                segment++;
                at = end + 1;
                continue;
            }
            if (star < 0) return false;
            segment = star + 1;
            at = retry = retry + (path[retry..].IndexOf('/') is >= 0 and var next ? next + 1 : path.Length - retry + 1);
        }
        return segment == segments.Length;
    }

    private static bool MatchName(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        var (p, n, star, retry) = (0, 0, -1, 0);
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = ++p;
                retry = n;
            }
            else if (p < pattern.Length && MatchOne(pattern[p..], name[n], out var used))
            {
                // One sign of the pattern stands for a whole character, be it two UTF-16 units.
                n += char.IsHighSurrogate(name[n]) && pattern[p] is '?' or '[' && n + 1 < name.Length ? 2 : 1;
                p += used;
            }
            else if (star >= 0)
            {
                p = star;
                n = ++retry;
            }
            else return false;
        }
        while (p < pattern.Length && pattern[p] == '*') p++;
        return p == pattern.Length;
    }

    private static bool MatchOne(ReadOnlySpan<char> pattern, char c, out int used)
    {
        used = 1;
        switch (pattern[0])
        {
            case '?': return true;
            case '[' when ClassEnd(pattern) is > 0 and var end:
                used = end + 1;
                return InClass(pattern[1..end], c);
            case '\\' when pattern.Length > 1:
                used = 2;
                return pattern[1] == c;
            default: return pattern[0] == c;
        }
    }

    private static int ClassEnd(ReadOnlySpan<char> pattern)
    {
        var at = pattern.Length > 1 && pattern[1] is '!' or '^' ? 2 : 1;
        if (at < pattern.Length && pattern[at] == ']') at++;
        for (; at < pattern.Length; at++)
        {
            if (pattern[at] == ']') return at;
            if (pattern[at] == '\\') at++;
        }
        return -1;
    }

    private static bool InClass(ReadOnlySpan<char> set, char c)
    {
        var negated = set.Length > 0 && set[0] is '!' or '^';
        var found = false;
        for (var i = negated ? 1 : 0; i < set.Length; i++)
        {
            if (set[i] == '\\' && i + 1 < set.Length) i++;
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                found |= c >= set[i] && c <= set[i + 2];
                i += 2;
            }
            else found |= c == set[i];
        }
        return found != negated;
    }

    private static List<string> Alternatives(string pattern)
    {
        var open = Find(pattern, 0, '{');
        if (open < 0) return [pattern];
        var (depth, from, parts, close) = (0, open + 1, new List<string>(), -1);
        for (var i = open; i < pattern.Length && close < 0; i++)
        {
            if (pattern[i] == '\\') i++;
            else if (pattern[i] == '{') depth++;
            else if (pattern[i] == '}' && --depth == 0)
            {
                parts.Add(pattern[from..i]);
                close = i;
            }
            else if (pattern[i] == ',' && depth == 1)
            {
                parts.Add(pattern[from..i]);
                from = i + 1;
            }
        }
        if (close < 0) throw new ToolFailure($"the pattern has a {{ without its }}: {CappedText.Cut(pattern, 200)}");
        var result = new List<string>();
        foreach (var part in parts)
        {
            result.AddRange(Alternatives(pattern[..open] + part + pattern[(close + 1)..]));
            if (result.Count > MostAlternatives) throw new ToolFailure($"the pattern has more than {MostAlternatives} alternatives in braces");
        }
        return result;
    }

    private static int Find(string pattern, int from, char what)
    {
        for (var i = from; i < pattern.Length; i++)
        {
            if (pattern[i] == '\\') i++;
            else if (pattern[i] == what) return i;
        }
        return -1;
    }
}
