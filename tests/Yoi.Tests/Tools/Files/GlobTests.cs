using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Tools.Files;

public sealed class GlobTests : IDisposable
{
    private readonly FileRoom _room = new();

    public GlobTests()
    {
        foreach (var path in (string[])["a.cs", "b.md", "src/c.cs", "src/deep/er/d.cs", "src/deep/e.ts", "src/x.test.ts", "[odd]/f.cs", ".hidden/g.cs", ".git/config", "src/.git/x.cs"])
            _room.Put(path, "");
    }

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData("*.cs", ".hidden/g.cs [odd]/f.cs a.cs src/c.cs src/deep/er/d.cs")]
    [InlineData("**/*.cs", ".hidden/g.cs [odd]/f.cs a.cs src/c.cs src/deep/er/d.cs")]
    [InlineData("./*.cs", "a.cs")]
    [InlineData("src/*.cs", "src/c.cs")]
    [InlineData("src/**/*.{cs,ts}", "src/c.cs src/deep/e.ts src/deep/er/d.cs src/x.test.ts")]
    [InlineData("src/**", "src/c.cs src/deep/e.ts src/deep/er/d.cs src/x.test.ts")]
    [InlineData("src/", "src/c.cs src/deep/e.ts src/deep/er/d.cs src/x.test.ts")]
    [InlineData("**/deep/**/d.cs", "src/deep/er/d.cs")]
    [InlineData("?.[cm][!x]", "a.cs b.md src/c.cs src/deep/er/d.cs [odd]/f.cs .hidden/g.cs")]
    [InlineData("\\[odd\\]/*", "[odd]/f.cs")]
    [InlineData("{a,b}.{cs,md}", "a.cs b.md")]
    [InlineData("{W}/src/*.cs", "src/c.cs")]
    [InlineData("*.CS", "")]
    public async Task Patterns_mean_what_they_mean_elsewhere(string pattern, string found) => Assert.Equal(
        found.Split(' ', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal),
        (await Find(("pattern", pattern.Replace("{W}", _room.W, StringComparison.Ordinal)))).Order(StringComparer.Ordinal));

    [Fact]
    public async Task A_search_starts_where_path_says()
    {
        Assert.Equal(["src/deep/e.ts"], await Find(("pattern", "*.ts"), ("path", "src/deep")));
        Assert.Equal(["src/deep/er/d.cs"], await Find(("pattern", "er/*.cs"), ("path", _room.W + "/src/deep/")));
        Assert.Contains("file, not a directory", await _room.Refused("Glob", ("pattern", "*"), ("path", "a.cs")), StringComparison.Ordinal);
        Assert.Contains("no such file", await _room.Refused("Glob", ("pattern", "*"), ("path", "no")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_newest_file_comes_first()
    {
        var time = DateTime.UnixEpoch.AddYears(50);
        foreach (var name in (string[])["b.md", "src/c.cs", "a.cs"]) File.SetLastWriteTimeUtc($"{_room.W}/{name}", time = time.AddSeconds(1));
        Assert.Equal(["a.cs", "src/c.cs", "b.md"], await Find(("pattern", "{a.cs,b.md,src/c.cs}")));
    }

    [Fact]
    public async Task A_thousand_files_are_shown_and_the_others_are_counted()
    {
        for (var i = 0; i < 1005; i++) _room.Put($"many/{i}.txt", "");
        var found = await _room.Run("Glob", ("pattern", "*.txt"));
        Assert.Equal("Found 1005 file(s); the 1000 newest are shown: narrow the pattern for the others", found.Summary);
        Assert.Equal(1000, found.Content!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact, Trait("case", "P01")]
    public async Task No_pattern_leads_out_of_the_scope()
    {
        _room.Link("out", _room.O);
        _room.Link("loop", ".");
        _room.RememberOutside();
        foreach (var (pattern, path) in ((string, string?)[])[("../O/*", null), ("*", "../O"), ($"{_room.O}/**", null), ("out/*", null), ("/etc/*", null), ("*", "/proc/self/root")])
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Glob", ("pattern", pattern), ("path", path)), StringComparison.Ordinal);
        Assert.Contains("cannot come after a wildcard", await _room.Refused("Glob", ("pattern", "*/../../O/*")), StringComparison.Ordinal);
        Assert.Empty(await Find(("pattern", "{out,loop}/**")));
        Assert.Equal(["loop", "out"], (await Find(("pattern", "{out,loop}"))).Order());
        _room.AssertOutsideUntouched();
    }

    [Fact, Trait("case", "P20")]
    public async Task What_the_scope_hides_is_counted_and_not_named()
    {
        _room.Deny(new ScopeRule(_room.W + "/src", Permission.Read));
        var found = await _room.Run("Glob", ("pattern", "**/*.ts"));
        Assert.Equal(("No files match **/*.ts; 1 name(s) left out that the scope does not show", null), (found.Summary, found.Content));
    }

    [Fact]
    public async Task A_pattern_that_is_none_says_so()
    {
        Assert.Contains("without its }", await _room.Refused("Glob", ("pattern", "{a,b")), StringComparison.Ordinal);
        Assert.Contains("the pattern is empty", await _room.Refused("Glob", ("pattern", "")), StringComparison.Ordinal);
        Assert.Contains("alternatives", await _room.Refused("Glob", ("pattern", string.Concat(Enumerable.Repeat("{a,b,c}", 8)))), StringComparison.Ordinal);
        Assert.Empty(await Find(("pattern", string.Concat(Enumerable.Repeat("*a", 2000))))); // Costs nothing.
    }

    private async Task<string[]> Find(params (string, System.Text.Json.Nodes.JsonNode?)[] arguments) =>
        ((await _room.Run("Glob", arguments)).Content ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
