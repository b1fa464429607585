using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>K07 and what would execute later.</summary>
[Trait("case", "K07")]
public sealed class BuiltInDeniesTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private ScopePolicy Policy(params string[] rules)
    {
        var allow = ScopeRoom.Rules(rules).Allow;
        return new(new(allow, BuiltInDenies.For(_room.Directories, _room.Root + "/home", allow)), [], 0);
    }

    [Theory]
    [InlineData("/home/.ssh/id_ed25519")]
    [InlineData("/home/.aws/credentials")]
    [InlineData("/home/.netrc")]
    [InlineData("/home/.npmrc")]
    [InlineData("/home/.docker/config.json")]
    [InlineData("/home/.config/gh/hosts.yml")]
    [InlineData("/home/.kube/config")]
    [InlineData("/home/.git-credentials")]
    [InlineData("/home/.pypirc")]
    [InlineData("/home/.nuget/NuGet/NuGet.Config")]
    [InlineData("/home/.gnupg/private-keys-v1.d/x")]
    [InlineData("/home/.dotnet/corefx/cryptography/x509stores/my/1.pfx")]
    [InlineData("/home/.local/share/uv/credentials/credentials.toml")]
    [InlineData("/state/pods/lead.1/journal.jsonl")]
    [InlineData("/state/scopes.json")]
    [InlineData("/run/1.token")]
    [InlineData("/config/yoi.jsonc")]
    public void Secrets_are_not_read_even_where_the_home_is_granted(string path)
    {
        var policy = Policy("write:" + _room.Root);
        Assert.Equal(Access.None, policy.AccessAt(_room.Root + path));
        Assert.Equal(Access.Write, policy.AccessAt(_room.Root + "/home/project/file")); // The positive control.
        Assert.Equal(Access.Write, policy.AccessAt(_room.Root + "/home/.sshrc"));
    }

    [Theory, InlineData(".bashrc"), InlineData(".profile"), InlineData(".config/autostart/x.desktop"), InlineData(".local/bin/git"), InlineData(".gitconfig")]
    public void What_a_shell_or_a_desktop_runs_by_itself_is_not_written_in_a_home_that_is_granted_and_is_where_it_was_named(string name)
    {
        var path = $"{_room.Root}/home/{name}";
        Assert.Equal(Access.Read, Policy("write:" + _room.Root).AccessAt(path));
        Assert.Equal(Access.Read, Policy($"write:{_room.Root}/home").AccessAt(path));
        Assert.Equal(Access.Write, Policy($"write:{_room.Root}/home").AccessAt(_room.Root + "/home/notes.txt"));
        foreach (var named in new[] { ".bashrc", ".profile", ".config/autostart", ".local/bin", ".gitconfig" }.Where(named => name.StartsWith(named, StringComparison.Ordinal)))
            Assert.Equal(Access.Write, Policy($"write:{_room.Root}/home/{named}").AccessAt(path));
    }

    [Fact]
    public void A_store_behind_a_link_is_denied_under_both_names()
    {
        Directory.CreateDirectory(_room.Root + "/home/keys");
        File.CreateSymbolicLink(_room.Root + "/home/.ssh", "keys");
        var policy = Policy("read:" + _room.Root);
        Assert.Equal(Access.None, policy.AccessAt(_room.Root + "/home/keys/id"));
        Assert.Equal(Access.None, policy.AccessAt(_room.Root + "/home/.ssh/id"));
    }

    [Fact]
    public void What_executes_later_is_read_and_not_written()
    {
        var git = Directory.CreateDirectory(_room.Root + "/w/.git").FullName;
        foreach (var repository in (string[])["modules/lib", "modules/deep/er", "modules/lib/modules/inner"])
        {
            Directory.CreateDirectory($"{git}/{repository}");
            File.WriteAllText($"{git}/{repository}/HEAD", "");
        }
        Directory.CreateDirectory(git + "/worktrees/second");
        File.WriteAllText(git + "/modules/lib/config", "[core]\n\tbare = false\n\tworktree = ../../../libs/lib\n");
        var policy = Policy("write:" + _room.Root + "/w", "read:" + _room.Root + "/r");
        foreach (var path in (string[])[
            ".git/hooks/pre-commit", ".git/config", ".git/modules/lib/config", ".git/modules/deep/er/hooks/x", ".git/modules/lib/modules/inner/config",
            ".git/worktrees/second/config.worktree", ".git/worktrees/second/commondir", ".git/commondir", ".git/modules/lib/commondir", "libs/lib/.git", ".yoi/x", ".vscode/tasks.json", ".idea/x", ".claude/settings.json", ".mcp.json", ".envrc"])
            Assert.Equal((path, Access.Read), (path, policy.AccessAt($"{_room.Root}/w/{path}")));
        foreach (var path in (string[])[".git/index", ".git/objects/x", ".git/modules/lib/index", "src/config", ".github/workflows/x"])
            Assert.Equal((path, Access.Write), (path, policy.AccessAt($"{_room.Root}/w/{path}")));
        Assert.DoesNotContain(policy.Rules.Deny, rule => rule.Target.StartsWith(_room.Root + "/r/", StringComparison.Ordinal));
    }

    [Fact]
    public void The_file_that_says_where_a_worktrees_repository_is_is_read_and_not_written()
    {
        Directory.CreateDirectory(_room.Root + "/w");
        File.WriteAllText(_room.Root + "/w/.git", "gitdir: /elsewhere\n");
        var policy = Policy("write:" + _room.Root + "/w");
        Assert.Equal(Access.Read, policy.AccessAt(_room.Root + "/w/.git"));
        Assert.Equal(Access.Write, policy.AccessAt(_room.Root + "/w/.gitignore")); // The positive control.
    }

    [Theory]
    [InlineData("[core]\n\thooksPath = .githooks", "/w/.githooks/pre-commit")]
    [InlineData("[core] hookspath=\"tools/hooks\" # ours", "/w/tools/hooks/pre-commit")]
    [InlineData("[include]\n\tpath = ../.gitconfig", "/w/.gitconfig")]
    public void Where_the_repositorys_settings_lead_git_is_read_and_not_written(string settings, string path)
    {
        Directory.CreateDirectory(_room.Root + "/w/.git");
        Assert.Equal(Access.Write, Policy("write:" + _room.Root + "/w").AccessAt(_room.Root + path)); // The positive control.
        File.WriteAllText(_room.Root + "/w/.git/config", settings + "\n[include]\n\tpath = /elsewhere\n[core]\n\thooksPath =\n");
        var policy = Policy("write:" + _room.Root + "/w");
        Assert.Equal(Access.Read, policy.AccessAt(_room.Root + path));
        Assert.Equal(Access.Write, policy.AccessAt(_room.Root + "/w/src/file"));
        Assert.DoesNotContain(policy.Rules.Deny, rule => rule.Target == "/elsewhere");
    }

    [Fact]
    public void Settings_that_are_a_pipe_hold_nobody_up()
    {
        Directory.CreateDirectory(_room.Root + "/w/.git");
        using (var made = System.Diagnostics.Process.Start("mkfifo", [_room.Root + "/w/.git/config"])) made.WaitForExit();
        Assert.True(File.Exists(_room.Root + "/w/.git/config"));
        Assert.Equal(Access.Read, Policy("write:" + _room.Root + "/w").AccessAt(_room.Root + "/w/.git/config"));
    }
}
