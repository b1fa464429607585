using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Sandbox;

/// <summary>When the end of a command goes wrong, its place stays guarded exactly as long as something of it may write there.</summary>
[Collection("sandbox")]
public sealed class CommandFaultTests
{
    [Fact, Trait("case", "T09")]
    public async Task A_command_whose_traces_cannot_be_looked_through_ends_lets_its_place_go_and_leaves_the_rest_to_whoever_comes()
    {
        await using var room = await SandboxRoom.MakeAsync(["write:/W", "-read:/W/denied"]);
        await room.Bash("mkdir denied; while [ ! -e go ]; do sleep 0.02; done", ("run_in_background", true), ("name", "one"));
        await Eventually.Holds(() => Directory.Exists(room.W + "/denied"));
        Assert.Equal("one", Writer(room));
        var mark = Assert.Single(Directory.GetFiles(room.PodDirectory + "/" + PodFiles.Commands));
        File.Move(mark, room.Root + "/aside");
        await File.WriteAllTextAsync(room.W + "/go", "", SandboxRoom.Ct);

        var ended = await room.Shell.Named("one").Ended.WaitAsync(TimeSpan.FromMinutes(1), SandboxRoom.Ct);

        Assert.Contains("could not be looked through", Assert.Single(ended.Found), StringComparison.Ordinal);
        Assert.Equal("ended, exit code 0", room.Shell.Named("one").State);
        Assert.Null(Writer(room));
        Assert.Equal(ended.Found, room.Entries.OfType<Entry.Notification>().Select(entry => entry.Message));
        await room.Bash("true", ("run_in_background", true), ("name", "one"));
        await room.Shell.Named("one").Ended;
        File.Move(room.Root + "/aside", mark);
        Assert.Contains(DeniedNames.SettleLeft(room.PodDirectory, TimeProvider.System), found => found.Contains("/W/denied", StringComparison.Ordinal));
        Assert.False(Directory.Exists(room.W + "/denied"));
    }

    [Fact, Trait("case", "T09"), Trait("case", "S17")]
    public async Task A_command_that_does_not_die_keeps_its_name_and_its_place_and_the_end_of_the_Pod_comes_all_the_same()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Bash("echo x > begun; sleep 600", ("run_in_background", true), ("name", "one"));
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        var command = room.Shell.Named("one");
        // A mark that says nothing, of a process that lives: the keeper gone, nobody can say that nothing of the command is left.
        var (pid, started) = (Environment.ProcessId, PodProcess.StartTimeOf(Environment.ProcessId));
        var left = string.Create(CultureInfo.InvariantCulture, $"{room.PodDirectory}/{PodFiles.Commands}/{pid}-{started}");
        await File.WriteAllTextAsync(left, "damaged\n", SandboxRoom.Ct);
        _ = Libc.Kill(ParentOf(command.Process.Process.Pid), Libc.SigKill);

        await Assert.ThrowsAsync<TimeoutException>(() => command.Ended);
        var refused = await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true", ("run_in_background", true), ("name", "one")));
        Assert.Contains("is running", refused.Message, StringComparison.Ordinal);
        Assert.Equal("running", command.State);
        Assert.Equal("one", Writer(room));
        Assert.Equal("fine", await room.Run("echo fine"));
        Assert.Equal("one", Writer(room));
        await room.Shell.EndAllAsync();
        File.Delete(left);
    }

    [Fact, Trait("case", "T09")]
    public async Task A_command_that_cannot_be_started_holds_nothing()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", scene: root => Directory.CreateDirectory(root + "/W/part"));
        await room.LendAsync("part", "write:/W/part");
        Assert.True(await room.IsRefused("/W/part is lent to part"));
        Assert.Null(Writer(room));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_command_in_the_background_changes_nobodys_working_directory(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, scene: root => Directory.CreateDirectory(root + "/W/two"));
        using var cancel = new CancellationTokenSource();
        await room.Bash("cd two; while [ ! -e ../go ]; do sleep 0.02; done", ("run_in_background", true), ("name", "ends"));
        await room.Bash("cd two; pwd > $TMPDIR/.yoi-cwd", ("run_in_background", true), ("name", "writes"));
        await room.Shell.Named("writes").Ended;
        var killed = room.Tool("Bash").RunAsync(new ToolCall("c", "Bash", FileRoom.Json(("command", "touch go; sleep 600"))), cancel.Token);
        await room.Shell.Named("ends").Ended;
        await cancel.CancelAsync();
        Assert.StartsWith("cancelled", (await killed).Summary, StringComparison.Ordinal);
        Assert.Equal(room.W, await room.Run("pwd"));
        Assert.Equal(room.W + "/two", await room.Run("cd two; pwd")); // And one in the foreground does.
        Assert.Equal(room.W + "/two", await room.Run("pwd"));
    }

    /// <summary>The command because of which W is not lent now; null for none.</summary>
    private static string? Writer(SandboxRoom room) => room.Running.Writer([new ScopeRule(room.W, Permission.Write)])?.Name;

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S17"), Trait("case", "S06")]
    public async Task A_command_ends_with_its_tree_whoever_else_was_given_an_end_of_what_it_writes_to(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Bash("echo one; while [ ! -e go ]; do sleep 0.02; done; echo two", ("run_in_background", true), ("name", "one"));
        var command = room.Shell.Named("one");
        // As SCM_RIGHTS over a socket file that the command of another Pod can see.
        using var given = Libc.Open(string.Create(CultureInfo.InvariantCulture, $"/proc/{command.Process.Process.Pid}/fd/1"), OpenFlags.WriteOnly | OpenFlags.CloseOnExec, 0);
        await Eventually.Holds(() => command.Process.Output.Length == 4);
        Assert.Equal(3, Libc.Write(given, "mid"u8, 3)); // It is an end of that pipe.
        await Eventually.Holds(() => command.Process.Output.Length == 7);
        await File.WriteAllTextAsync(room.W + "/go", "", SandboxRoom.Ct);

        var ended = await command.Ended.WaitAsync(TimeSpan.FromMinutes(1), SandboxRoom.Ct);

        Assert.Equal("ended, exit code 0", ended.Said);
        Assert.Equal("one\nmidtwo\n", command.Process.Output.Text(0, 100));
        Assert.Null(Writer(room));
        Assert.True(Libc.Write(given, "late"u8, 4) < 0);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S17"), Trait("case", "F03")]
    public async Task A_command_whose_keeper_or_monitor_is_held_by_SIGSTOP_is_ended_all_the_same(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Bash("echo x > begun; sleep 600", ("run_in_background", true), ("name", "one"));
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        var holder = ParentOf(room.Shell.Named("one").Process.Process.Pid);
        using var held = PodProcess.Open(holder)!;
        Assert.True(held.Signal(Libc.SigStop));
        await Eventually.Holds(() => held.IsHeld);

        try
        {
            var killed = await room.Ask("KillBash", ("name", "one")).WaitAsync(TimeSpan.FromMinutes(1), SandboxRoom.Ct);

            Assert.False(killed.IsError, killed.Summary);
            Assert.Null(Writer(room));
            Assert.Equal("fine", await room.Run("echo fine"));
        }
        finally
        {
            held.Signal(Libc.SigCont); // Else the room would wait for it, too.
        }
    }

    private static int ParentOf(int pid) => int.Parse(File.ReadAllText($"/proc/{pid}/stat").Split(") ")[1].Split(' ')[1], CultureInfo.InvariantCulture);
}
