using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Sandbox;

/// <summary>What a command did so that the guard of repositories looks past one; git on the host runs afterwards, as its user would.</summary>
[Collection("sandbox")]
public sealed class HiddenRepositoriesTests
{
    private static readonly string[] Levels = ["kernel", "partial"];

    private const string Evil = "core.fsmonitor \"touch $PWD/RAN; false\"";

    /// <summary>All that git writes; what its settings run makes a file RAN.</summary>
    private static async Task Git(SandboxRoom room, string directory)
    {
        var script = $"cd {room.W}/{directory} && git status; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
        using var git = System.Diagnostics.Process.Start("/bin/sh", ["-c", $"exec >{room.Root}/git.out 2>&1; {script}"]);
        await git.WaitForExitAsync(SandboxRoom.Ct);
    }

    private static bool HasRun(SandboxRoom room) => Directory.EnumerateFiles(room.W, "RAN", SearchOption.AllDirectories).Any();

    public static MatrixTheoryData<string, string> Attacks => new(Levels,
    [
        // Something that looks like a bare repository above one.
        $"mkdir -p objects refs t; echo 'ref: refs/heads/m' > HEAD; cd t; git init -q; git config {Evil}; printf '#!/bin/sh\\ntouch RAN\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
        // A worktree of what is no repository.
        "mkdir -p any/objects any/refs any/worktrees/foo t; echo 'ref: refs/heads/main' > any/worktrees/foo/HEAD; echo ../.. > any/worktrees/foo/commondir; printf \"[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tfsmonitor = touch $PWD/RAN; false\\n\" > any/config; echo \"gitdir: $PWD/any/worktrees/foo\" > t/.git",
        "mkdir -p any/objects any/refs any/odd/foo t; echo 'ref: refs/heads/main' > any/odd/foo/HEAD; echo ../.. > any/odd/foo/commondir; printf \"[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tfsmonitor = touch $PWD/RAN; false\\n\" > any/config; echo \"gitdir: $PWD/any/odd/foo\" > t/.git",
    ]);

    [Theory, MemberData(nameof(Attacks)), Trait("case", "P19")]
    public async Task A_repository_that_is_hidden_in_a_new_one_is_found_and_git_runs_nothing_of_it(string level, string attack)
    {
        await using (var control = await SandboxRoom.MakeAsync(level, scene: root => Plant(root + "/W", attack)))
        {
            await Git(control, "t");
            Assert.True(HasRun(control), await File.ReadAllTextAsync(control.Root + "/git.out", SandboxRoom.Ct));
        }
        await using var room = await SandboxRoom.MakeAsync(level);
        var outcome = await room.Bash(attack);
        Assert.False(outcome.IsError, outcome.Content);
        Assert.Contains("[yoi]", outcome.Content, StringComparison.Ordinal);
        await Git(room, "t");
        Assert.False(HasRun(room), outcome.Content);
    }

    private static void Plant(string directory, string script)
    {
        using var host = System.Diagnostics.Process.Start("/bin/sh", ["-c", $"cd {directory} && {script}"]);
        host.WaitForExit();
        Assert.Equal(0, host.ExitCode);
    }

    [Fact, Trait("case", "P19")]
    public async Task A_worktree_s_repository_stays_one_when_it_loses_its_head()
    {
        await using var room = await SandboxRoom.MakeAsync();
        Assert.DoesNotContain("[yoi]", await room.Run("git init -q --bare any; git -C any -c user.name=a -c user.email=a@b commit-tree -m x $(git -C any mktree < /dev/null) > c; git -C any update-ref refs/heads/main $(cat c); git -C any worktree add -q ../t main"), StringComparison.Ordinal);
        await Git(room, "t"); // It works.
        Assert.DoesNotContain("fatal", await File.ReadAllTextAsync(room.Root + "/git.out", SandboxRoom.Ct), StringComparison.Ordinal);
        Assert.Contains("any/config", await room.Run("rm any/HEAD; printf \"[core]\\n\\tbare = false\\n\\tfsmonitor = touch $PWD/RAN; false\\n\" > any/config"), StringComparison.Ordinal);
        await Git(room, "t");
        Assert.False(HasRun(room));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19"), Trait("case", "P18")]
    public async Task What_looks_like_a_repository_takes_no_guard_from_those_in_it(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, scene: root => Plant(root + "/W", "git init -q lib; mkdir objects refs; echo 'ref: refs/heads/m' > HEAD"));
        if (await room.IsRefused("/W/lib/.git/config may not be written and lies in")) return;
        await room.Run("echo x > lib/file; echo x > lib/.git/description");
        await room.Fails("echo evil > lib/.git/hooks/pre-commit");
        await room.Fails("git -C lib config core.fsmonitor /evil");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P19"), Trait("case", "P18")]
    public async Task What_a_hook_that_is_a_link_leads_to_is_not_written(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, scene: root => Plant(root + "/W",
            "git init -q .; mkdir scripts; printf '#!/bin/sh\\n' > scripts/real; chmod +x scripts/real; ln -s real scripts/pre-commit; ln -s ../../scripts/pre-commit .git/hooks/pre-commit; ln -s ../../scripts/later .git/hooks/post-commit"));
        if (await room.IsRefused("may not be written and lies in")) return;
        await room.Run("echo x > scripts/other; cat scripts/pre-commit");
        await room.Fails("printf '#!/bin/sh\\ntouch RAN\\n' > scripts/pre-commit");
        await room.Fails("mv scripts other");
        // The link between is no file that a mount could lie on, and what is not there yet neither.
        Assert.Contains("scripts/pre-commit may not be written", (await room.Bash("rm scripts/pre-commit; printf '#!/bin/sh\\ntouch RAN\\n' > scripts/pre-commit; chmod +x scripts/pre-commit")).Content, StringComparison.Ordinal);
        Assert.Contains("scripts/later may not be written", (await room.Bash("printf '#!/bin/sh\\ntouch RAN\\n' > scripts/later; chmod +x scripts/later")).Content, StringComparison.Ordinal);
        await Git(room, ".");
        Assert.False(HasRun(room));
    }

    [Fact, Trait("case", "P19")]
    public async Task A_hook_that_is_a_link_is_another_one_when_what_it_leads_to_is()
    {
        await using var room = await SandboxRoom.MakeAsync(scene: root => Plant(root + "/W", "git init -q .; mkdir scripts; echo one > scripts/x; ln -s ../../scripts/x .git/hooks/pre-commit"));
        var before = RepositoryStamps.Of(room.W + "/.git");
        Assert.Equal(before, RepositoryStamps.Of(room.W + "/.git")); // The positive control.
        File.WriteAllText(room.W + "/scripts/y", "two");
        File.Move(room.W + "/scripts/y", room.W + "/scripts/x", overwrite: true);
        Assert.Equal(["hooks/pre-commit"], RepositoryStamps.Of(room.W + "/.git").Where(now => before[now.Key] != now.Value).Select(now => now.Key));
    }

    [Fact, Trait("case", "P19")]
    public async Task What_settings_lead_to_through_others_is_not_written()
    {
        await using var room = await SandboxRoom.MakeAsync(scene: root => Plant(root + "/W",
            $"git init -q deep; cd deep; mkdir 'h#k'; git config core.hooksPath 'h#k'; git config include.path '~/../W/deep/shared'; printf '[include]\\n\\tpath = inner\\n' > shared; echo > inner; echo '#!/bin/sh' > 'h#k/pre-commit'"));
        await room.Run("echo x > deep/file");
        foreach (var path in new[] { "shared", "inner", "h#k/pre-commit", "h#k/new" }) await room.Fails($"echo evil > 'deep/{path}'");
    }

    [Fact, Trait("case", "P19")]
    public async Task Links_among_the_submodules_of_a_repository_hold_no_command_up()
    {
        await using var room = await SandboxRoom.MakeAsync(scene: root => Plant(root + "/W", "git init -q .; mkdir .git/modules; cd .git/modules; for i in $(seq 12); do ln -s . l$i; done; ln -s / root"));
        Assert.Equal("next", await room.Run("echo next"));
        Assert.DoesNotContain(GitNames.Of(room.W + "/.git", null), path => path.Contains("/modules/", StringComparison.Ordinal));
    }
}
