using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Sandbox;

/// <summary>Repositories anywhere in the scope: what git on the host would run there is not planted by a command, and git goes on working.</summary>
[Collection("sandbox")]
public sealed class RepositoriesInBashTests
{
    private const string Commit = "-c user.name=a -c user.email=a@b commit -q --allow-empty -m";

    /// <summary>Nothing below W but the quarantine says evil, and that it can be read is certain.</summary>
    private static async Task AssertInertAsync(SandboxRoom room)
    {
        Assert.Empty(await room.OnHost($"for level in 1 2 3 4 5; do find . -name .yoi -prune -o -type d ! -perm -700 -exec chmod u+rwx {{}} + 2>/dev/null; done; grep -r --exclude-dir=.yoi /evil . || [ $? = 1 ]"));
        Assert.Contains("/evil", await room.OnHost("grep -r /evil .yoi"), StringComparison.Ordinal);
    }

    public static MatrixTheoryData<string, string> Attacks => new(["kernel", "partial"],
    [
        "git init -q sub; echo /evil > sub/.git/hooks/pre-commit",
        "git init -q sub; git -C sub config core.fsmonitor /evil",
        "git init -q deep/er/sub; echo /evil > deep/er/sub/.git/hooks/pre-commit; chmod 0 deep/er/sub/.git/hooks deep/er/sub/.git deep/er/sub; chmod 0111 deep/er",
        "git init -q deep/er/sub; git -C deep/er/sub config core.fsmonitor /evil; chmod 0400 deep/er",
        "git init -q --bare x.git; echo /evil > x.git/hooks/post-update; git -C x.git config core.fsmonitor /evil",
        "mkdir -p plain/objects plain/refs; echo ref: refs/heads/main > plain/HEAD; printf '[core]\\n\\tfsmonitor = /evil\\n' > plain/config",
        "mkdir -p d e; echo 'gitdir: /evil' > d/.git; mkdir -p $(printf 'odd\\377')/.git; printf '[core] fsmonitor = /evil\\n' > $(printf 'odd\\377')/.git/config",
        "mkdir -p d evil; echo /evil > evil/config; echo 'gitdir: ../evil' > d/.git; rm -r evil",
        "git init -q sub; cd sub; git $C one; git worktree add -q ../tree; echo /evil > .git/worktrees/tree/commondir; git config extensions.worktreeConfig true; printf '[core] fsmonitor = /evil\\n' > .git/worktrees/tree/config.worktree",
        "git init -q a; git -C a $C one; git init -q b; cd b; git -c protocol.file.allow=always submodule add -q ../a m; printf '[core]\\n\\tfsmonitor = /evil\\n' >> .git/modules/m/config; echo /evil > .git/modules/m/hooks/pre-commit",
        "mkdir sub; printf '[core] fsmonitor = /evil\\n' > c; mkdir sub/.git; ln -s ../../c sub/.git/config; mv c sub/.git/config.worktree",
    ]);

    [Theory, MemberData(nameof(Attacks)), Trait("case", "P19")]
    public async Task What_git_would_run_in_a_new_repository_is_taken_out_wherever_it_lies(string level, string attack)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi"]);
        var outcome = await room.Bash(attack.Replace("$C", Commit, StringComparison.Ordinal));
        Assert.False(outcome.IsError, outcome.Content);
        Assert.Contains("[yoi]", outcome.Content, StringComparison.Ordinal);
        await AssertInertAsync(room);
        room.AssertOutsideUntouched();
        Assert.Equal(level == "partial", await room.IsRefused("/W/.yoi may not be written and lies in")); // The quarantine is a hole from here on.
        await room.OnHost("rm -rf odd*"); // Of such a name .NET can remove nothing.
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19")]
    public async Task Git_goes_on_working_in_repositories_that_commands_make_and_they_can_be_removed(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.git/hooks", "-write:/W/.git/config", "-write:/W/.yoi"]);
        Assert.DoesNotContain("[yoi]", await room.Run($"git init -q .; git {Commit} root; git init -q sub; git -C sub {Commit} one; git clone -q sub copy; git clone -q --bare sub bare.git; git -C sub worktree add -q ../tree; git worktree add -q roottree"), StringComparison.Ordinal);
        if (await room.IsRefused("/W/.git/config may not be written and lies in")) return;
        Assert.DoesNotContain("[yoi]", await room.Run($"git -C sub -c protocol.file.allow=always submodule add -q ../bare.git mod; git -C sub/mod {Commit} two; git -C tree {Commit} three; git -C roottree {Commit} four; git -C copy pull -q; git -C copy config user.name b"), StringComparison.Ordinal);
        Assert.Contains("three", await room.Run("git -C sub log --all --format=%s"), StringComparison.Ordinal);
        Assert.Contains("were taken out", await room.Run("git -C copy config core.fsmonitor /evil"), StringComparison.Ordinal);
        await room.Run("rm -rf sub copy bare.git tree; [ ! -e copy ]");
        await AssertInertAsync(room);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19"), Trait("case", "P18")]
    public async Task What_git_runs_in_repositories_that_were_there_cannot_be_changed_and_they_can_be_used(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.yoi"], scene: root =>
        {
            foreach (var git in new[] { "/W/deep/sub/.git", "/W/bare.git" }) Repository(root + git, "[core]\n\tbare = false\n\thooksPath = hooks.mine\n");
            Directory.CreateDirectory(root + "/W/deep/sub/hooks.mine");
            Directory.CreateDirectory(root + "/W/tree");
            File.WriteAllText(root + "/W/tree/.git", $"gitdir: {root}/W/deep/sub/.git\n");
        });
        if (await room.IsRefused("may not be written and lies in")) return;
        foreach (var git in new[] { "deep/sub/.git", "bare.git" })
        {
            await room.Run($"echo x > {git}/description; echo x > {git}/refs/heads/config");
            foreach (var way in new[] { $"echo evil > {git}/hooks/pre-commit", $"git -C {git} config core.fsmonitor /evil", $"rm {git}/hooks/mine", $"mv {git} other", $"mv {git}/hooks other", $"rm {git}/config" }) await room.Fails(way);
        }
        foreach (var way in new[] { "echo evil > deep/sub/hooks.mine/x", "echo evil > tree/.git", "rm -f tree/.git", "mv deep other" }) await room.Fails(way);
        Assert.Contains("may not be written", (await room.Bash("echo /evil > deep/sub/.git/commondir")).Content, StringComparison.Ordinal);
        Assert.False(File.Exists(room.W + "/deep/sub/.git/commondir"));
        Assert.Equal("mine", await File.ReadAllTextAsync(room.W + "/bare.git/hooks/mine", SandboxRoom.Ct));
        Assert.Equal("mine", await File.ReadAllTextAsync(room.W + "/deep/sub/.git/hooks/mine", SandboxRoom.Ct));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19")]
    public async Task Of_more_repositories_than_mounts_a_change_is_taken_out_and_what_was_there_stays(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "-write:/W/.yoi"], scene: root =>
        {
            for (var i = 0; i < 60; i++) Repository($"{root}/W/r{i:00}/.git", "[core]\n\tbare = false\n\tfsmonitor = mine\n");
        });
        if (await room.IsRefused("may not be written and lies in")) return;
        await room.Fails("echo evil > r00/.git/hooks/pre-commit");
        var outcome = await room.Bash("echo /evil > r59/.git/hooks/pre-commit; git -C r58 config core.pager /evil");
        foreach (var found in new[] { "r59/.git/hooks: pre-commit", "r58/.git/config had settings" }) Assert.Contains(found, outcome.Content, StringComparison.Ordinal);
        await AssertInertAsync(room);
        for (var i = 0; i < 60; i++)
        {
            Assert.Equal("mine", await File.ReadAllTextAsync($"{room.W}/r{i:00}/.git/hooks/mine", SandboxRoom.Ct));
            Assert.Equal(i != 58, (await File.ReadAllTextAsync($"{room.W}/r{i:00}/.git/config", SandboxRoom.Ct)).Contains("fsmonitor", StringComparison.Ordinal));
        }
    }

    private static void Repository(string git, string config)
    {
        foreach (var name in new[] { "hooks", "objects", "refs/heads" }) Directory.CreateDirectory(git + "/" + name);
        File.WriteAllText(git + "/HEAD", "ref: refs/heads/main\n");
        File.WriteAllText(git + "/config", config);
        File.WriteAllText(git + "/hooks/mine", "mine");
    }

    [Fact]
    public async Task Only_directories_that_changed_are_listed_again_and_what_appears_is_found()
    {
        await using var room = await SandboxRoom.MakeAsync();
        var time = new Later();
        for (var i = 0; i < 300; i++) Directory.CreateDirectory($"{room.W}/a{i % 10}/b{i}");
        var index = new RepositoryIndex(time);
        WritablePart part = new([room.W], [room.W], [room.W + "/a1"]);
        Assert.Empty(index.Find(part, unlock: false));
        var first = index.Listed;
        Assert.InRange(first, 270, 320);
        Assert.Empty(index.Find(part, unlock: false));
        Assert.Equal(first, index.Listed);
        foreach (var there in new[] { "/a1/b1/.git", "/a2/b2/.git", "/a3/b3/x/.git" }) Directory.CreateDirectory(room.W + there);
        Assert.Equal([room.W + "/a2/b2/.git", room.W + "/a3/b3/x/.git"], index.Find(part, unlock: false).Order(StringComparer.Ordinal));
        Assert.InRange(index.Listed - first, 3, 8);
    }

    /// <summary>All that was made in this test has rested long.</summary>
    private sealed class Later : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.MaxValue;
    }
}
