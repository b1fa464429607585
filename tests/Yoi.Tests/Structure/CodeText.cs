namespace Yoi.Tests.Structure;

/// <summary>
/// Blanks comments and the insides of literals, so that a rule about code is never about prose. Code in the holes of
/// an interpolated string stays; raw strings are blanked whole.
/// </summary>
internal static class CodeText
{
    internal static string Strip(string text)
    {
        var to = text.ToCharArray();
        Code(text, 0, to, untilBrace: false);
        return new string(to);
    }

    private static int Code(string text, int at, char[] to, bool untilBrace)
    {
        var depth = 0;
        while (at < text.Length)
        {
            var c = text[at];
            var next = at + 1 < text.Length ? text[at + 1] : '\0';
            if (c == '/' && next == '/') at = Blank(to, at, EndOfLine(text, at));
            else if (c == '/' && next == '*') at = Blank(to, at, After(text, "*/", at + 2));
            else if (c == '\'') at = Literal(text, at, to);
            else if (c is '"' or '$' or '@' && OpensString(text, at)) at = String(text, at, to);
            else
            {
                if (c == '{') depth++;
                if (c == '}' && depth-- == 0 && untilBrace) return at;
                at++;
            }
        }
        return at;
    }

    private static bool OpensString(string text, int at)
    {
        while (at < text.Length && text[at] is '$' or '@') at++;
        return at < text.Length && text[at] == '"';
    }

    private static int String(string text, int at, char[] to)
    {
        var holes = false;
        var verbatim = false;
        for (; text[at] != '"'; at++)
        {
            holes |= text[at] == '$';
            verbatim |= text[at] == '@';
        }
        var quotes = 0;
        while (at + quotes < text.Length && text[at + quotes] == '"') quotes++;
        if (quotes >= 3) return Blank(to, at + quotes, After(text, new string('"', quotes), at + quotes) - quotes) + quotes;
        if (quotes == 2) return at + 2;
        at++;
        while (at < text.Length && text[at] != '"')
        {
            var doubled = at + 1 < text.Length && text[at + 1] == text[at];
            if (text[at] == '\\' && !verbatim) at = Blank(to, at, at + 2);
            else if (holes && text[at] is '{' or '}' && doubled) at = Blank(to, at, at + 2);
            else if (holes && text[at] == '{') at = Code(text, at + 1, to, untilBrace: true) + 1;
            else at = Blank(to, at, at + 1);
            while (verbatim && at + 1 < text.Length && text[at] == '"' && text[at + 1] == '"') at = Blank(to, at, at + 2);
        }
        return at + 1;
    }

    private static int Literal(string text, int at, char[] to)
    {
        var end = at + 1;
        while (end < text.Length && text[end] != '\'') end += text[end] == '\\' ? 2 : 1;
        return Blank(to, at + 1, end) + 1;
    }

    private static int EndOfLine(string text, int at) => text.IndexOf('\n', at) is >= 0 and var end ? end : text.Length;

    private static int After(string text, string what, int at) =>
        text.IndexOf(what, at, StringComparison.Ordinal) is >= 0 and var end ? end + what.Length : text.Length;

    private static int Blank(char[] to, int from, int end)
    {
        end = Math.Min(end, to.Length);
        for (var i = from; i < end; i++)
            if (to[i] != '\n') to[i] = ' ';
        return end;
    }
}
