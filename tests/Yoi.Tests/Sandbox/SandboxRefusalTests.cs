using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Sandbox;

/// <summary>What cannot be held is not started.</summary>
[Collection("sandbox")]
public sealed class SandboxRefusalTests
{
    [Fact, Trait("case", "S20"), Trait("case", "S21")]
    public async Task A_sandbox_that_does_not_come_to_stand_runs_nothing_and_says_why()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel");
        await room.Run("true");
        var output = room.PodDirectory + "/sandbox/output/x.log";
        string[] gate = ["--", "/bin/bash", "-c", $"echo x > {room.W}/ran"];
        (string Name, SandboxCommand Command)[] broken =
        [
            ("no program", new("/usr/bin/no-bwrap", ["/usr/bin/no-bwrap", .. gate], [], [], [])),
            ("no such option", new("/usr/bin/bwrap", ["/usr/bin/bwrap", "--no-such-option", .. gate], [], [], [])),
            ("a source that is not there", new("/usr/bin/bwrap", ["/usr/bin/bwrap", "--unshare-user", "--info-fd", "3", "--ro-bind", "/no/such", "/x", .. gate], [], [], [])),
            ("no shell inside", new("/usr/bin/bwrap", ["/usr/bin/bwrap", "--unshare-user", "--info-fd", "3", "--dir", "/x", .. gate], [], [], [])),
            ("a filter that is none", new("/usr/bin/bwrap", ["/usr/bin/bwrap", "--unshare-user", "--info-fd", "3", "--seccomp", "4", "--ro-bind", "/", "/", .. gate], [], [1, 2, 3], [])),
            ("another program", new("/bin/false", ["/bin/false"], [], [], [])),
        ];
        foreach (var (name, command) in broken)
        {
            var refused = await Assert.ThrowsAsync<SandboxException>(() => BubblewrapHold.StartAsync(room.PodDirectory, command, output, new(OutputMb: 1), TimeProvider.System, SandboxRoom.Ct));
            Assert.True(refused.Message.Length > 20, name);
            Assert.False(File.Exists(room.W + "/ran"), name);
            Assert.False(File.Exists(output), name);
        }
        Assert.False(CommandMarks.AnyLeft(room.PodDirectory));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T41")]
    public async Task A_command_that_is_never_let_go_never_runs(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run("true");
        await using (var gated = await room.Launcher.StartAsync(room.Order("echo x > ran"), SandboxRoom.Ct))
            Assert.Equal(gated.Process, CommandMarks.Look(gated.Process.Pid));
        Assert.False(File.Exists(room.W + "/ran"));
        await using var let = await room.Launcher.StartAsync(room.Order("echo x > ran"), SandboxRoom.Ct);
        let.Go();
        Assert.Equal(0, (await let.Ended).Exit?.Code);
        Assert.True(File.Exists(room.W + "/ran"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T34"), Trait("case", "L09")]
    public async Task What_a_dead_Pod_left_is_ended_by_whoever_asks_and_nobody_else_is_signalled(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Bash("echo x > begun; sleep 600", ("run_in_background", true), ("name", "left"));
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        var process = room.Shell.Named("left").Process.Process;
        var dead = room.Root + "/dead";
        foreach (var other in new[] { process with { StartTime = process.StartTime + "1" }, process with { BootId = "another" }, process with { Namespace = process.Namespace + 1 } })
        {
            CommandMarks.Put(dead, other);
            Assert.False(CommandMarks.AnyLeft(dead));
            Assert.Equal(process, CommandMarks.Look(process.Pid));
        }
        CommandMarks.Put(dead, process);
        Assert.False(PodLock.IsAlive(dead));
        Assert.Null(CommandMarks.Look(process.Pid));
        Assert.Empty(Directory.GetFiles(dead + "/commands"));
        await room.Shell.Named("left").Ended;
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_scope_of_everything_and_an_unseen_working_directory_are_refused(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W/sub"], scene: root => Directory.CreateDirectory(root + "/W/sub"));
        Assert.Contains("not readable in this scope", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true"))).Message, StringComparison.Ordinal);
        var starter = level == "kernel" ? "/usr/bin" : Path.GetDirectoryName(RealPod.Yoi)!; // Of commands: bubblewrap, the keeper.
        foreach (var (target, permission, said) in new[] { ("/", Permission.Read, "name the directories"), (starter, Permission.Write, "could replace it") })
        {
            var order = room.Order("true", new(new([new(target, permission)], []), [], 0), "/usr");
            Assert.Contains(said, (await Assert.ThrowsAsync<SandboxException>(() => room.Launcher.StartAsync(order, SandboxRoom.Ct))).Message, StringComparison.Ordinal);
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task The_trial_of_the_level_tries_everything_and_all_holds_here(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var findings = await SandboxTrial.RunAsync(level, SandboxRoom.Keeper, room.Document.Directories, name => room.Environment.GetValueOrDefault(name), TimeProvider.System, SandboxRoom.Ct);
        Assert.True(findings.Count >= 12);
        Assert.All(findings, finding => Assert.True(finding.Holds, $"{finding.What}: {finding.Detail}"));
    }
}
