using System.Text;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Tools.Files;

public sealed class GrepTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task Each_mode_shows_what_its_name_says()
    {
        _room.Put("a.cs", "one\ntwo needle\nthree\nneedle needle\n");
        _room.Put("b/c.md", "Needle\nneedle");
        File.SetLastWriteTimeUtc(_room.W + "/a.cs", DateTime.UnixEpoch);
        Assert.Equal(("Found 2 file(s)", "b/c.md\na.cs\n"), await Grep("needle")); // The newest first.
        Assert.Equal(("Found 3 matching line(s) in 2 file(s)", "a.cs:2\nb/c.md:1\n"), await Grep("needle", ("output_mode", "count")));
        Assert.Equal(("Found 3 matching line(s) in 2 file(s)", "a.cs:2:two needle\na.cs:4:needle needle\nb/c.md:2:needle\n"), await Grep("needle", ("output_mode", "content")));
        Assert.Equal("a.cs:two needle\na.cs:needle needle\nb/c.md:needle\n", (await Grep("needle", ("output_mode", "content"), ("-n", false))).Content);
        Assert.Equal("b/c.md:1:Needle\nb/c.md:2:needle\n", (await Grep("NEEDLE", ("output_mode", "content"), ("-i", true), ("type", "md"))).Content);
        Assert.Equal(("No matches found", null), await Grep("nothing like it"));
        Assert.Equal("a.cs:2\n", (await Grep("needle", ("output_mode", "count"), ("path", "a.cs"))).Content);
    }

    [Theory]
    [InlineData("-A", 1, "f:2:x\nf-3-c\n--\nf:7:x\nf:8:x\nf-9-i\n")]
    [InlineData("-B", 1, "f-1-a\nf:2:x\n--\nf-6-f\nf:7:x\nf:8:x\n")]
    [InlineData("-C", 1, "f-1-a\nf:2:x\nf-3-c\n--\nf-6-f\nf:7:x\nf:8:x\nf-9-i\n")]
    [InlineData("-C", 2, "f-1-a\nf:2:x\nf-3-c\nf-4-d\nf-5-e\nf-6-f\nf:7:x\nf:8:x\nf-9-i\n")]
    public async Task Lines_around_a_match_are_shown_once(string name, int count, string shown)
    {
        _room.Put("f", "a\nx\nc\nd\ne\nf\nx\nx\ni\n");
        Assert.Equal(shown, (await Grep("x", ("output_mode", "content"), (name, count))).Content);
    }

    [Theory]
    [InlineData("*.ts", "src/a.ts src/deep/b.ts")]
    [InlineData("src/*.ts", "src/a.ts")]
    [InlineData("*.{ts,md}", "src/a.ts src/deep/b.ts src/c.md")]
    [InlineData("*.ts,*.md", "src/a.ts src/deep/b.ts src/c.md")]
    [InlineData("*.ts !deep/**", "src/a.ts src/deep/b.ts")]
    [InlineData("*.ts !**/deep/**", "src/a.ts")]
    [InlineData("!*.ts", "src/c.md")]
    public async Task Globs_choose_files(string glob, string found)
    {
        foreach (var path in (string[])["src/a.ts", "src/deep/b.ts", "src/c.md"]) _room.Put(path, "needle");
        Assert.Equal(found.Split(' ').Order(StringComparer.Ordinal), (await Grep("needle", ("glob", glob))).Content!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        Assert.Contains("did you mean \"rust\"?", await _room.Refused("Grep", ("pattern", "x"), ("type", "rus")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_match_lies_in_one_line_unless_multiline_is_set()
    {
        _room.Put("f", "struct A {\n  int b;\n}\nend\n");
        Assert.Equal("No matches found", (await Grep("A [{].*b")).Summary);
        Assert.Equal("No matches found", (await Grep(@"A \{\s+int")).Summary);
        Assert.Equal("f:1:struct A {\nf:2:  int b;\n", (await Grep(@"A \{.*?b", ("output_mode", "content"), ("multiline", true))).Content);
        Assert.Equal("f:3:}\n", (await Grep("^}$", ("output_mode", "content"))).Content);
    }

    [Theory]
    [InlineData(@"\bfoo\b", "a foo b", true)]
    [InlineData(@"\bfoo\b", "afoob", false)]
    [InlineData(@"fo{2}\d+", "foo42", true)]
    [InlineData(@"[[:digit:]]{3}", "x123", true)]
    [InlineData(@"(?P<name>x)\d", "x1", true)]
    [InlineData(@"(?i)FOO", "foo", true)]
    [InlineData(@"(a)\1", "aa", true)]
    [InlineData(@"a(?=b)", "ab", true)]
    [InlineData(@"\p{Lu}é", "Éé", true)]
    [InlineData("😀", "x😀", true)]
    public async Task Patterns_are_regular_expressions_as_ripgrep_has_them(string pattern, string content, bool matches)
    {
        _room.Put("f", content);
        Assert.Equal(matches ? "Found 1 file(s)" : "No matches found", (await Grep(pattern)).Summary);
    }

    [Fact]
    public async Task A_pattern_that_is_none_or_never_ends_says_so()
    {
        Assert.Contains("no regular expression", await _room.Refused("Grep", ("pattern", "a(b")), StringComparison.Ordinal);
        Assert.Contains("the pattern is empty", await _room.Refused("Grep", ("pattern", "")), StringComparison.Ordinal);
        _room.Put("f", new string('a', 40));
        Assert.Equal("No matches found", (await Grep("(a+)+b")).Summary); // Linear.
        Assert.Contains("longer than 8192 characters", await _room.Refused("Grep", ("pattern", string.Concat(Enumerable.Repeat("(?!", 30_000)) + "a" + new string(')', 30_000))), StringComparison.Ordinal);
        Assert.Contains("takes too long", await _room.Refused("Grep", ("pattern", @"(a+)+(?=b)c")), StringComparison.Ordinal);
        Assert.Contains("It must be one of: files_with_matches, content, count", await _room.Refused("Grep", ("pattern", "a"), ("output_mode", "lines")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_result_is_shown_in_windows_that_join()
    {
        _room.Put("f", string.Concat(Enumerable.Range(1, 600).Select(i => $"needle {i}\n")));
        var first = await Grep("needle", ("output_mode", "content"));
        Assert.Equal("Found 600 matching line(s) in 1 file(s); lines 1-250 of 600 are shown, continue with offset 250", first.Summary);
        var last = await Grep("needle", ("output_mode", "content"), ("offset", 590), ("head_limit", 0));
        Assert.Equal("f:591:needle 591", last.Content!.Split('\n')[0]);
        Assert.Equal(10, last.Content!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal("f:2:needle 2\n", (await Grep("needle", ("output_mode", "content"), ("offset", 1), ("head_limit", 1))).Content);
        Assert.EndsWith("offset 600 is past the end (600 lines)", (await Grep("needle", ("output_mode", "content"), ("offset", 600))).Summary, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "P16")]
    public async Task Binary_files_are_passed_over_and_other_encodings_are_not()
    {
        _room.Put("bin", [.. "needle"u8, 0]);
        _room.Put("utf16", [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("x\nneedle\n")]);
        _room.Put("latin", [0xe9, .. " needle"u8]);
        _room.Put("mark", "\ufeffneedle");
        Assert.Equal("latin:1:\ufffd needle\nmark:1:needle\nutf16:2:needle\n", (await Grep("needle", ("output_mode", "content"))).Content);
        Assert.Equal("mark\n", (await Grep("^needle", ("glob", "mark"))).Content);
        Assert.Equal("No matches found; 1 binary file(s) were not searched", (await Grep("needle", ("path", "bin"))).Summary);
    }

    [Fact, Trait("case", "P17")]
    public async Task Nothing_outside_is_searched_whatever_links_and_configuration_say()
    {
        _room.Put("in", "secret");
        _room.Link("out", _room.O);
        _room.Link("leaf", _room.O + "/f");
        _room.Link("loop", ".");
        _room.Put(".ripgreprc", "--follow\n--pre=touch\n");
        _room.Put(".rgignore", "in\n");
        _room.Put("rg.conf", "--follow\n--glob=!in\n");
        _room.RememberOutside();
        Environment.SetEnvironmentVariable("RIPGREP_CONFIG_PATH", _room.W + "/rg.conf");
        try
        {
            if (File.Exists("/usr/bin/rg")) Assert.DoesNotContain("in\n", await RipgrepAsync("-l", "secret", _room.W), StringComparison.Ordinal); // Whoever obeys it does not find it.
            Assert.Equal("in\n", (await Grep("secret")).Content);
        }
        finally
        {
            Environment.SetEnvironmentVariable("RIPGREP_CONFIG_PATH", null);
        }
        foreach (var path in (string[])["out", "leaf", "../O", _room.O, "out/d", "/proc/self/root", "/proc/self/environ"])
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Grep", ("pattern", "secret"), ("path", path)), StringComparison.Ordinal);
        _room.AssertOutsideUntouched();
    }

    private static async Task<string> RipgrepAsync(params string[] args)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/usr/bin/rg", args) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (said, complained) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await complained;
        return await said;
    }

    [Fact]
    public async Task What_looks_like_an_option_is_a_pattern()
    {
        _room.Put("f", "--pre=sh\n-e\n");
        Assert.Equal("f:1:--pre=sh\n", (await Grep("--pre=sh", ("output_mode", "content"))).Content);
        Assert.Equal("f:2:-e\n", (await Grep("^-e$", ("output_mode", "content"))).Content);
        _room.Put("--help", "needle");
        Assert.Equal("--help\n", (await Grep("needle", ("path", "--help"))).Content);
    }

    [Fact]
    public async Task A_denied_part_is_not_searched()
    {
        _room.Put("open/f", "needle");
        _room.Put("shut/f", "needle");
        Assert.Equal("Found 2 file(s)", (await Grep("needle")).Summary);
        _room.Deny(new ScopeRule(_room.W + "/shut", Permission.Read));
        Assert.Equal(("Found 1 file(s); 1 name(s) left out that the scope does not show", "open/f\n"), await Grep("needle"));
        Assert.Contains("denied by the scope", await _room.Refused("Grep", ("pattern", "needle"), ("path", "shut/f")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repository_of_several_thousand_files_is_searched_at_once()
    {
        for (var directory = 0; directory < 100; directory++)
        {
            Directory.CreateDirectory($"{_room.W}/d{directory}/e");
            for (var i = 0; i < 50; i++) File.WriteAllText($"{_room.W}/d{directory}/e/f{i}.cs", $"line one\nline {directory}-{i} end\n{new string('x', 2000)}\n");
        }
        foreach (var pattern in (string[])["line 42-17 end", @"line 42-1[7]\s\w+", "(?i)LINE 42-17 END"])
            Assert.Equal(("Found 1 file(s)", "d42/e/f17.cs\n"), await Grep(pattern).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken)); // Far below a second on a quiet machine.
        Assert.Equal("Found 5000 matching line(s) in 5000 file(s); lines 1-250 of 5000 are shown, continue with offset 250", (await Grep("^line one$", ("output_mode", "count"))).Summary);
    }

    private async Task<(string Summary, string? Content)> Grep(string pattern, params (string, JsonNode?)[] more)
    {
        var outcome = await _room.Run("Grep", [("pattern", pattern), .. more]);
        return (outcome.Summary, outcome.Content);
    }
}
