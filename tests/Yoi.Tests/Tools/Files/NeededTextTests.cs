using System.Text.RegularExpressions;
using Xunit;
using Yoi.Runtime.Tools.Files;

namespace Yoi.Tests.Tools.Files;

/// <summary>Text without what a pattern needs is not looked at: so no match may be without it.</summary>
public sealed class NeededTextTests
{
    [Theory]
    [InlineData("needle", "needle")]
    [InlineData("need[a-z]+ [0-9]+", "need")]
    [InlineData("[a-z]+ing [0-9]+", "ing ")]
    [InlineData(@"foo\.bar\(", "foo.bar(")]
    [InlineData(@"\bclass\s+Grep\b", "class")]
    [InlineData("ab+cd?ef", "ab")]
    [InlineData("x{2}yes{1,3}", "ye")]
    [InlineData("interface{", "interface{")]
    [InlineData("(one|two) three", " three")]
    [InlineData("^a$", null)]
    [InlineData("one|two", null)]
    [InlineData("(?i)one", null)]
    [InlineData(@"\x41\x42cd", null)]
    [InlineData(@"\p{Lu}ab", null)]
    [InlineData("[[:digit:]]ab", null)]
    [InlineData("a?b*", null)]
    [InlineData("[]ab]cd", "cd")]
    [InlineData(@"(a[)]b)cd", "cd")]
    [InlineData("éab", "ab")]
    public void The_longest_plain_part_is_needed(string pattern, string? needed) => Assert.Equal(needed, NeededText.Of(pattern));

    [Fact]
    public void No_text_matches_that_lacks_what_is_needed()
    {
        string[] parts = ["a", "b", "ab", "a?", "b*", "a+", "b{2}", "a{0,1}", "b{,2}", "(ab)", "(a|b)", "(a|b)?", "[ab]", "[^a]", "[]a]", "[a)]", ".", @"\.", @"\d", @"\bab", "^", "$", "{", "}", @"\{", "(a(b)*)+", "|", " ", "-"];
        string[] letters = ["a", "a", "b", "b", "ab", "abb", "bab", ".", "{", "}", ")", "]", " ", "-", "1", ",", "2"];
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var (needing, matching) = (0, 0);
        for (var i = 0; i < 20_000; i++)
        {
            var pattern = string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => parts[random.Next(parts.Length)]));
            if (Compile(pattern) is not { } regex || NeededText.Of(pattern) is not { } needed) continue;
            needing++;
            for (var n = 0; n < 40; n++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(0, 24)).Select(_ => letters[random.Next(letters.Length)]));
                if (!regex.IsMatch(text)) continue;
                matching++;
                Assert.True(text.Contains(needed, StringComparison.Ordinal), $"seed {seed}: `{pattern}` matches `{text}`, which has no `{needed}`");
            }
        }
        Assert.True(needing > 1_000 && matching > 1_000, $"seed {seed}: only {needing} patterns and {matching} matches were tried");
    }

    private static Regex? Compile(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Multiline);
        }
        catch (ArgumentException)
        {
            return null; // No regular expression.
        }
    }
}
