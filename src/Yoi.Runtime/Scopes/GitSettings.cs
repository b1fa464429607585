using System.Text;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Git's settings as git reads them: sections, a setting behind its section's bracket, quotes, escapes, comments, lines that go on. For telling what is
/// set; <see cref="GitConfig"/> is for taking out what may not be.
/// </summary>
internal static class GitSettings
{
    /// <summary>Each setting as <c>section.key</c> or <c>section.subsection.key</c>, section and key in small letters. What is no setting is passed over.</summary>
    internal static IEnumerable<(string Name, string Value)> Read(string text)
    {
        var (at, section) = (0, "");
        while (at < text.Length)
        {
            var c = text[at];
            if (c == '[') section = Section(text, ref at);
            else if (char.IsAsciiLetter(c))
            {
                var key = Key(text, ref at);
                yield return ($"{section}.{key}", Value(text, ref at));
            }
            else if (char.IsWhiteSpace(c)) at++;
            else at = EndOfLine(text, at);
        }
    }

    // [section], [section "sub\"section"], [section.subsection]
    private static string Section(string text, ref int at)
    {
        var name = new StringBuilder();
        var quoted = false;
        for (at++; at < text.Length && text[at] != '\n' && (quoted || text[at] != ']'); at++)
        {
            if (text[at] == '\\' && quoted && at + 1 < text.Length) name.Append(text[++at]);
            else if (text[at] == '"') quoted = !quoted;
            else if (quoted) name.Append(text[at]);
            else if (text[at] is ' ' or '\t') name.Append('.');
            else name.Append(char.ToLowerInvariant(text[at]));
        }
        at++;
        return name.ToString();
    }

    private static string Key(string text, ref int at)
    {
        var start = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '-')) at++;
        return text[start..at].ToLowerInvariant();
    }

    // Behind the key: `= value`, or nothing, which is true.
    private static string Value(string text, ref int at)
    {
        while (at < text.Length && text[at] is ' ' or '\t') at++;
        if (at >= text.Length || text[at] != '=')
        {
            at = EndOfLine(text, at);
            return "true";
        }
        var (value, quoted) = (new StringBuilder(), false);
        for (at++; at < text.Length && text[at] != '\n'; at++)
        {
            if (text[at] == '\\' && at + 1 < text.Length)
            {
                at++;
                if (text[at] == '\r' && at + 1 < text.Length && text[at + 1] == '\n') at++;
                if (text[at] == '\n') continue; // The line goes on.
                value.Append(text[at] switch { 'n' => '\n', 't' => '\t', 'b' => '\b', var plain => plain });
            }
            else if (text[at] == '"') quoted = !quoted;
            else if (!quoted && text[at] is '#' or ';') at = EndOfLine(text, at) - 1;
            else value.Append(text[at]);
        }
        return value.ToString().Trim();
    }

    private static int EndOfLine(string text, int at) => text.IndexOf('\n', at) is >= 0 and var end ? end : text.Length;
}
