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
            ".git/worktrees/second/config.worktree", ".git/worktrees/second/commondir", ".git/commondir", ".git/modules/lib/commondir", "libs/lib/.git", ".yoi/x", ".vscode/tasks.json", ".idea/x", ".claude/settings.json", ".mcp.json", ".envrc", "yoi.jsonc"])
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
    [InlineData("[include]\n\tpath = ../common", "/w/inner")]
    [InlineData("[includeIf \"gitdir:/x/\"]\n\tpath = ../common", "/w/inner-hooks/pre-commit")]
    [InlineData("[core]\n\thooksPath = ~/../w/hk", "/w/hk/pre-commit")]
    [InlineData("[core]\n\thooksPath = \"h#k\" # ours", "/w/h#k/pre-commit")]
    public void Where_the_repositorys_settings_lead_git_is_read_and_not_written(string settings, string path)
    {
        Directory.CreateDirectory(_room.Root + "/w/.git");
        File.WriteAllText(_room.Root + "/w/common", "[include]\n\tpath = inner\n");
        File.WriteAllText(_room.Root + "/w/inner", "[include]\n\tpath = common\n[core]\n\thooksPath = inner-hooks\n");
        Assert.Equal(Access.Write, Policy("write:" + _room.Root + "/w").AccessAt(_room.Root + path)); // The positive control.
        File.WriteAllText(_room.Root + "/w/.git/config", settings + "\n[include]\n\tpath = /elsewhere\n[core]\n\thooksPath =\n");
        var policy = Policy("write:" + _room.Root + "/w");
        Assert.Equal(Access.Read, policy.AccessAt(_room.Root + path));
        Assert.Equal(Access.Write, policy.AccessAt(_room.Root + "/w/src/file"));
        Assert.DoesNotContain(policy.Rules.Deny, rule => rule.Target == "/elsewhere");
    }

    [Fact]
    public void What_a_repository_around_the_scope_has_git_run_in_it_is_read_and_not_written()
    {
        Directory.CreateDirectory(_room.Root + "/w/.git/hooks");
        Directory.CreateDirectory(_room.Root + "/w/src");
        ScopePolicy Now() => Policy("write:" + _room.Root + "/w/src");
        foreach (var path in (string[])["hk/pre-commit", "pre-push"]) Assert.Equal(Access.Write, Now().AccessAt($"{_room.Root}/w/src/{path}")); // The positive control.
        File.WriteAllText(_room.Root + "/w/.git/config", "[core]\n\thooksPath = src/hk\n");
        File.CreateSymbolicLink(_room.Root + "/w/.git/hooks/pre-push", "../../src/pre-push");
        foreach (var path in (string[])["hk/pre-commit", "pre-push"]) Assert.Equal((path, Access.Read), (path, Now().AccessAt($"{_room.Root}/w/src/{path}")));
        Assert.Equal(Access.Write, Now().AccessAt(_room.Root + "/w/src/file"));
    }

    [Fact]
    public void The_settings_of_a_worktree_are_those_of_its_repository()
    {
        Directory.CreateDirectory(_room.Root + "/other/.git/worktrees/w");
        Directory.CreateDirectory(_room.Root + "/w");
        File.WriteAllText(_room.Root + "/other/.git/worktrees/w/commondir", "../..\n");
        File.WriteAllText(_room.Root + "/w/.git", $"gitdir: {_room.Root}/other/.git/worktrees/w\n");
        Assert.Equal(Access.Write, Policy("write:" + _room.Root + "/w").AccessAt(_room.Root + "/w/hk/pre-commit")); // The positive control.
        File.WriteAllText(_room.Root + "/other/.git/config", "[core]\n\thooksPath = hk\n");
        Assert.Equal(Access.Read, Policy("write:" + _room.Root + "/w").AccessAt(_room.Root + "/w/hk/pre-commit"));
    }

    [Fact]
    public void Submodules_are_looked_for_through_no_link_and_more_of_them_than_mounts_are_not_listed()
    {
        var modules = Directory.CreateDirectory(_room.Root + "/w/.git/modules").FullName;
        for (var i = 0; i < 12; i++) File.CreateSymbolicLink($"{modules}/l{i}", ".");
        Directory.CreateDirectory(_room.Root + "/other");
        File.WriteAllText(_room.Root + "/other/HEAD", "");
        File.CreateSymbolicLink(modules + "/away", _room.Root + "/other");
        var before = Policy("write:" + _room.Root + "/w").Rules.Deny;
        Assert.DoesNotContain(before, rule => rule.Target.Contains("/modules/", StringComparison.Ordinal));
        for (var i = 0; i < 400; i++)
        {
            Directory.CreateDirectory($"{modules}/m{i}");
            File.WriteAllText($"{modules}/m{i}/HEAD", "");
        }
        var policy = Policy("write:" + _room.Root + "/w");
        Assert.InRange(policy.Rules.Deny.Count(rule => rule.Target.Contains("/modules/", StringComparison.Ordinal)), 32, 128);
        for (var i = 0; i < 400; i++) Assert.Equal(Access.Read, policy.AccessAt($"{modules}/m{i}/config"));
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
