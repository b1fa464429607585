using Xunit;

namespace Yoi.Tests.Tools.Files;

/// <summary>P19 for the file tools: what git would run, in any repository of the scope, is read and not written.</summary>
[Trait("case", "P19")]
public sealed class GitGuardTests : IDisposable
{
    private readonly FileRoom _room = new();

    public GitGuardTests()
    {
        foreach (var git in new[] { "/sub/.git", "/bare.git", "/mods/.git/modules/a/b" })
        {
            foreach (var name in new[] { "hooks", "objects", "refs/heads" }) Directory.CreateDirectory(_room.W + git + "/" + name);
            File.WriteAllText(_room.W + git + "/HEAD", "ref: refs/heads/main\n");
            File.WriteAllText(_room.W + git + "/config", "[core]\n\thooksPath = .husky/_\n[include]\n\tpath = ../team.config\n");
        }
        File.CreateSymbolicLink(_room.W + "/sub/.git/hooks/pre-push", "../../scripts/pre-push");
        foreach (var name in new[] { "worktrees", "objects" }) Directory.CreateDirectory($"{_room.W}/any/{name}"); // A worktree leads git here.
    }

    public void Dispose() => _room.Dispose();

    [Theory]
    [InlineData("sub/.git/hooks/pre-commit"), InlineData("sub/.git/config"), InlineData("sub/.git/config.worktree"), InlineData("sub/.git/commondir"), InlineData("new/.git/hooks/deep/er")]
    [InlineData("new/.git/config"), InlineData("new/.git"), InlineData("new/HEAD"), InlineData("bare.git/hooks/post-update"), InlineData("bare.git/config"), InlineData("bare.git/commondir")]
    [InlineData("mods/.git/modules/a/b/config"), InlineData("mods/.git/modules/new/hooks/x"), InlineData("sub/.git/worktrees/t/commondir"), InlineData("sub/.git/worktrees/t/config.worktree")]
    [InlineData("sub/.husky/_/pre-commit"), InlineData("sub/team.config"), InlineData("link/config"), InlineData("any/config"), InlineData("sub/scripts/pre-push")]
    public async Task What_git_would_run_is_not_written(string path)
    {
        File.CreateSymbolicLink(_room.W + "/link", "sub/.git");
        Assert.Contains("git on the host", await _room.Refused("Write", ("file_path", path), ("content", "evil")), StringComparison.Ordinal);
        Assert.False(File.Exists(_room.W + "/" + path) && File.ReadAllText(_room.W + "/" + path) == "evil");
    }

    [Theory]
    [InlineData("sub/.git/description"), InlineData("sub/.git/info/exclude"), InlineData("sub/.gitignore"), InlineData("sub/config"), InlineData("sub/hooks/pre-commit"), InlineData("new/HEAD.txt")]
    [InlineData("mods/.git/modules/a/b/refs/heads/config"), InlineData("sub/git/config"), InlineData("sub/x.git/y"), InlineData("sub/.husky/pre-commit"), InlineData("bare.git/description"), InlineData("any/file"), InlineData("sub/scripts/other")]
    public async Task What_lies_beside_is(string path)
    {
        await Write(path, "fine");
        Assert.Equal("fine", File.ReadAllText(_room.W + "/" + path));
    }

    private async Task Write(string path, string content)
    {
        if (File.Exists(_room.W + "/" + path)) await _room.Overwrite(path, content);
        else await _room.Run("Write", ("file_path", path), ("content", content));
    }

    [Fact]
    public async Task The_human_can_take_the_guard_away()
    {
        _room.Policy = _room.Policy with { Rules = _room.Policy.Rules with { UnguardedGit = true } };
        foreach (var path in new[] { "sub/.git/hooks/pre-commit", "bare.git/config", "new/.git/config" })
        {
            await Write(path, "fine");
            Assert.Equal("fine", await File.ReadAllTextAsync(_room.W + "/" + path, TestContext.Current.CancellationToken));
        }
    }
}
