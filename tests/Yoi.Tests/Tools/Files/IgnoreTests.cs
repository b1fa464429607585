using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.Tests.Tools.Files;

/// <summary>Grep leaves out what git ignores.</summary>
public sealed class IgnoreTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData("*.log", "a.log b/c.log")]
    [InlineData("/a.log", "a.log")]
    [InlineData("b/", "b/c.log b/d/e.txt b/d/f.md")]
    [InlineData("d/", "b/d/e.txt b/d/f.md")]
    [InlineData("/d/", "")]
    [InlineData("e.txt/", "")]
    [InlineData("b/d", "b/d/e.txt b/d/f.md")]
    [InlineData("b/*", "b/c.log b/d/e.txt b/d/f.md")]
    [InlineData("b/**/e.txt", "b/d/e.txt")]
    [InlineData("**/d/*.md", "b/d/f.md")]
    [InlineData("*\n!*.md\n!*/", "a.log b/c.log b/d/e.txt g\\ h ü.x")]
    [InlineData("*.log\n!c.log", "a.log")]
    [InlineData("!c.log\n*.log", "a.log b/c.log")]
    [InlineData("b/\n!b/c.log", "b/c.log b/d/e.txt b/d/f.md")]
    [InlineData("# *.log\n\\#x\n\n", "")]
    [InlineData("*.log   ", "a.log b/c.log")]
    [InlineData("g\\ h", "g\\ h")]
    [InlineData("[a-b].log", "a.log")]
    [InlineData("?.log\r", "a.log b/c.log")]
    [InlineData("ü.*", "ü.x")]
    public async Task A_line_means_what_it_means_to_git(string lines, string ignored)
    {
        string[] all = ["a.log", "b/c.log", "b/d/e.txt", "b/d/f.md", "g h", "ü.x"];
        foreach (var path in all) _room.Put(path, "needle");
        _room.Put(".gitignore", lines + "\n");
        var left = all.Except(ignored.Split(' ', StringSplitOptions.RemoveEmptyEntries).Aggregate(new List<string>(), (list, word) =>
        {
            if (list.Count > 0 && list[^1].EndsWith('\\')) list[^1] = list[^1][..^1] + " " + word;
            else list.Add(word);
            return list;
        })).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(left, await Found());
        Assert.Equal(left, await GitSays());
    }

    [Fact]
    public async Task Nested_files_add_to_those_above_and_the_nearest_decides()
    {
        foreach (var path in (string[])["x.log", "sub/x.log", "sub/keep.log", "sub/deep/x.log", "sub/deep/y.txt", "other/y.txt"]) _room.Put(path, "needle");
        _room.Put(".gitignore", "*.log\n");
        _room.Put("sub/.gitignore", "!keep.log\n/deep/y.txt\n");
        Assert.Equal(["other/y.txt", "sub/keep.log"], await Found());
        Assert.Equal(["other/y.txt", "sub/keep.log"], await GitSays());
        _room.Put("sub/.ignore", "keep.log\n"); // Read after .gitignore, and stronger.
        Assert.Equal(["other/y.txt"], await Found());
    }

    [Fact]
    public async Task A_search_below_the_repository_obeys_the_files_above_it()
    {
        Directory.CreateDirectory(_room.W + "/.git");
        _room.Put(".gitignore", "*.log\n/sub/no\n");
        foreach (var path in (string[])["sub/a.log", "sub/no", "sub/yes"]) _room.Put(path, "needle");
        Assert.Equal(["sub/yes"], await Found("sub"));
        Assert.Equal(["sub/a.log"], await Found("sub/a.log")); // Named itself, it is searched.
        _room.Allow(new ScopeRule(_room.W + "/sub", Permission.Write)); // What is above is not in view any more.
        Assert.Equal(["sub/a.log", "sub/no", "sub/yes"], await Found("sub"));
    }

    [Fact]
    public async Task Glob_finds_what_is_ignored_and_neither_enters_a_repositorys_own_data()
    {
        _room.Put(".gitignore", "*.log\n");
        _room.Put("a.log", "needle");
        _room.Put(".git/needle", "needle");
        _room.Put("sub/.git/needle", "needle");
        Assert.Empty(await Found());
        Assert.Equal("a.log\n", (await _room.Run("Glob", ("pattern", "{*.log,needle}"))).Content);
    }

    [Fact, Trait("case", "P02")]
    public async Task An_ignore_file_that_leads_outside_is_not_read()
    {
        File.WriteAllText(_room.O + "/ignore", "*\n");
        _room.Link(".gitignore", _room.O + "/ignore");
        _room.Put("f", "needle");
        Assert.Equal(["f"], await Found());
    }

    private async Task<List<string>> Found(string path = ".") =>
        [.. ((await _room.Run("Grep", ("pattern", "needle"), ("path", path))).Content ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];

    /// <summary>The judgement of git itself on the same files.</summary>
    private async Task<List<string>> GitSays()
    {
        Needs.Programs("git");
        await GitAsync("init", "-q", "-b", "main");
        var files = await GitAsync("ls-files", "-z", "--others", "--exclude-standard");
        Directory.Delete(_room.W + "/.git", recursive: true);
        return [.. files.Split('\0', StringSplitOptions.RemoveEmptyEntries).Where(file => !file.EndsWith(".gitignore", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private async Task<string> GitAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = _room.W, RedirectStandardOutput = true };
        foreach (var name in (string[])["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"]) start.Environment[name] = "/dev/null";
        using var git = Process.Start(start)!;
        var said = await git.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await git.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, git.ExitCode);
        return said;
    }
}
