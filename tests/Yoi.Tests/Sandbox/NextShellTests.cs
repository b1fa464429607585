using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Tests.Models;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// At level <c>partial</c> a shell waits at its gate for the next command, made ready behind the one before or while the model writes the call: it
/// is that command's if the scope is the same, and else it ends. What runs in it cannot tell that it has waited.
/// </summary>
[Collection("sandbox")]
public sealed class NextShellTests
{
    [Fact, Trait("case", "S20"), Trait("case", "K05")]
    public async Task The_next_command_is_in_the_shell_that_waits_and_finds_all_as_in_a_new_one()
    {
        const string about = """echo "$- $# $((SECONDS / 2)) $PWD $_ ${OLDPWD-none} ${yoi[*]}"; set -o | grep on$; ulimit -a; env | sort; /usr/bin/python3 -c 'import os; print(*sorted(os.listdir("/proc/self/fd")), os.getsid(0) == os.getppid(), os.umask(0))'""";
        await using var room = await SandboxRoom.MakeAsync("partial");
        var first = await room.Run(about);
        var waiting = await room.NextShellAsync();
        var since = TimeProvider.System.GetTimestamp();
        await Eventually.Holds(() => TimeProvider.System.GetElapsedTime(since) > TimeSpan.FromSeconds(2.1)); // A shell counts its seconds.

        Assert.Equal(first, await room.Run(about));

        Assert.Equal(waiting, room.Entries.OfType<Entry.CommandStarted>().Last().Pid);
        Assert.Contains(" 0 0 " + room.W, first, StringComparison.Ordinal);
        Assert.NotEqual(waiting, await room.NextShellAsync());
    }

    [Theory, InlineData("printf '%s|' \"a  b\" 'c\nd' \"\\$x\" é", "a  b|c\nd|$x|é|"), InlineData("cat <<'E'\n$(echo no) \\\nE\necho -n", "$(echo no) \\"), InlineData("-", null), InlineData("echo '#'; exit 3", null)]
    public async Task It_is_given_the_command_as_it_is(string command, string? said)
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var before = await room.Bash(command);
        await room.Run("true");
        var waiting = await room.NextShellAsync();

        var after = await room.Bash(command);

        Assert.Equal((before.Content, before.IsError), (after.Content, after.IsError));
        Assert.Equal((said is null, said ?? after.Content), (after.IsError, after.Content?.TrimEnd('\n')));
        Assert.Equal(waiting, room.Entries.OfType<Entry.CommandStarted>().Last().Pid);
    }

    [Fact, Trait("case", "T09"), Trait("case", "S20")]
    public async Task What_is_lent_while_it_waits_the_next_command_does_not_write()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "write:/R"], scene: root => Directory.CreateDirectory(root + "/R"));
        await room.Run($"echo x > {room.Root}/R/before");
        var waiting = await room.NextShellAsync();
        await room.LendAsync("child", "write:/R");

        await room.Fails($"echo x > {room.Root}/R/after");

        Assert.NotEqual(waiting, room.Entries.OfType<Entry.CommandStarted>().Last().Pid);
        Assert.Equal(["before"], Directory.GetFiles(room.Root + "/R").Select(Path.GetFileName));
        await Eventually.Holds(() => room.Shells is [{ Waits: true } next] && next.Pid != waiting);
    }

    [Fact, Trait("case", "S20")]
    public async Task A_command_that_runs_beside_it_cannot_end_it_nor_look_into_it_nor_hand_it_anything()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Bash("""
            until read -r it < next; do sleep 0.02; done 2>/dev/null
            for try in 'kill -CONT "$it"' 'cat "/proc/$it/environ"' 'readlink "/proc/$it/fd/3"' ': >> "/proc/$it/fd/3"' 'cat "/proc/$it/mem"' 'ls "/proc/$it/cwd/"'; do
              if eval "$try" >/dev/null 2>&1; then echo "$try"; fi
            done
            [ -d "/proc/$it" ] && echo over
            """, ("run_in_background", true), ("name", "beside"));
        await room.Run("true");
        await Eventually.Holds(() => room.Shells.Any(shell => shell.Waits));

        File.WriteAllText(room.W + "/next", $"{room.Shells.Single(shell => shell.Waits).Pid}\n");
        await room.Shell.Named("beside").Ended;

        Assert.Equal("over\n", room.Shell.Named("beside").Process.Output.Text(0, 4096));
    }

    [Fact, Trait("case", "S17")]
    public async Task One_that_somebody_kills_is_not_the_next_commands()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await room.Run("true");
        var waiting = await room.NextShellAsync();
        Assert.Equal(0, Libc.Kill(waiting, Libc.SigKill));
        await Eventually.Holds(() => room.Shells.Count == 0);

        Assert.Equal("fine", await room.Run("echo fine"));
    }

    [Fact]
    public async Task One_that_nobody_needs_for_a_minute_ends()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var time = new ManualTime();
        var launcher = room.NewLauncher(time: time);
        await RunAsync(launcher, room);
        var waiting = await room.NextShellAsync();

        time.Advance(CommandKeeper.IdleLimit - TimeSpan.FromTicks(1));
        await RunAsync(launcher, room, waiting); // It was still there; and the next one waits for a minute of its own.
        var next = await room.NextShellAsync();
        await Eventually.Holds(() =>
        {
            time.Advance(CommandKeeper.IdleLimit); // Again: its minute may begin a moment after it is seen.
            return room.Shells.Count == 0;
        });

        await RunAsync(launcher, room);
        Assert.NotEqual(next, await room.NextShellAsync());
    }

    [Fact, Trait("case", "T34"), Trait("case", "S17")]
    public async Task It_ends_with_a_Pod_that_is_killed_and_with_one_that_is_stopped()
    {
        SandboxRoom.SkipWithout("partial");
        await using var room = new PodRoom();
        var (killed, stopped) = (await Root("killed"), await Root("stopped"));
        foreach (var pod in new[] { killed, stopped }) Assert.False((await pod.Call("Bash", """{"command":"true"}""")).IsError);
        await Eventually.Holds(() => Waiting() == 2);

        await killed.Killed();
        await Eventually.Holds(() => Waiting() == 1);
        using (var table = room.Table()) await new TreeStopper(room.Directories, table, TimeProvider.System).StopAsync(stopped.Known, "human", force: false, room.Ct);
        Assert.Equal(0, Waiting());

        Task<RoomPod> Root(string name) =>
            room.Root(name: name, with: d => d with { SandboxLevel = "partial", Cwd = room.Folder(name), Scope = new([new(room.Folder(name), Permission.Write)], []) });
        int Waiting() => WaitingIn(room);
    }

    [Fact]
    public async Task Each_call_that_a_model_begins_keeps_it_for_another_minute()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var time = new ManualTime();
        var launcher = room.NewLauncher(time: time);
        var order = room.Order("true");
        await ExpectAsync();
        var waiting = await room.NextShellAsync();
        for (var i = 0; i < 3; i++)
        {
            time.Advance(CommandKeeper.IdleLimit - TimeSpan.FromTicks(1));
            await ExpectAsync();
        }

        await RunAsync(launcher, room, waiting);

        Task ExpectAsync() => launcher.PrepareAsync(order.PodDirectory, order.Policy, order.View, order.Places, order.Limits, isLate: () => false);
    }

    [Fact]
    public async Task None_is_made_beside_a_command_that_is_there_already()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        Task<ToolOutcome> command;
        using (await room.Scope.HoldLendingAsync(SandboxRoom.Ct))
        {
            room.Tool("Bash").Expect();
            command = room.Bash("echo x > begun; sleep 600", ("run_in_background", true));
        }
        await command;
        await room.Shell.Prepared;
        await Eventually.Holds(() => File.Exists(room.W + "/begun")); // Until it has its command, its own shell waits, too.

        Assert.DoesNotContain(room.Shells, shell => shell.Waits);
    }

    [Fact]
    public async Task The_first_one_is_made_while_its_call_is_written()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        room.Tool("Bash").Expect();
        var waiting = await room.NextShellAsync();

        Assert.Equal("inside", (await room.Run("cat f")).TrimEnd('\n'));

        Assert.Equal(waiting, room.Entries.OfType<Entry.CommandStarted>().Single().Pid);
    }

    [Fact, Trait("case", "T09"), Trait("case", "S20")]
    public async Task Behind_a_change_of_the_scope_the_one_that_a_call_has_made_is_held_by_the_new_one()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "write:/R"], scene: root => Directory.CreateDirectory(root + "/R"));
        await room.Run("true");
        var old = await room.NextShellAsync();
        await room.LendAsync("child", "write:/R");
        room.Tool("Bash").Expect();
        await Eventually.Holds(() => room.Shells is [{ Waits: true } next] && next.Pid != old);
        var waiting = await room.NextShellAsync();

        await room.Fails($"echo x > {room.Root}/R/after");

        Assert.Equal(waiting, room.Entries.OfType<Entry.CommandStarted>().Last().Pid);
        Assert.Empty(Directory.GetFiles(room.Root + "/R"));
    }

    [Fact, Trait("case", "T09"), Trait("case", "S20")]
    public async Task One_that_a_call_has_made_does_not_write_what_is_lent_before_the_call_is_run()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "write:/R"], scene: root => Directory.CreateDirectory(root + "/R"));
        room.Tool("Bash").Expect();
        var waiting = await room.NextShellAsync();
        await room.LendAsync("child", "write:/R");

        await room.Fails($"echo x > {room.Root}/R/after");

        Assert.NotEqual(waiting, room.Entries.OfType<Entry.CommandStarted>().Single().Pid);
        Assert.Empty(Directory.GetFiles(room.Root + "/R"));
    }

    [Fact, Trait("case", "S20")]
    public async Task Where_the_scope_cannot_be_held_none_is_made_and_the_command_says_why()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "-read:/W/secret"], scene: root => Directory.CreateDirectory(root + "/W/secret"));
        room.Tool("Bash").Expect();
        await room.Shell.Prepared;

        Assert.Empty(room.Shells);
        Assert.True(await room.IsRefused("secret"));
    }

    [Fact, Trait("case", "S17")]
    public async Task One_whose_call_never_comes_ends_with_the_Pods_commands_and_none_is_made_behind_them()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        room.Tool("Bash").Expect();
        await room.NextShellAsync();

        await room.Shell.EndAllAsync();
        Assert.Empty(room.Shells);
        room.Tool("Bash").Expect();
        await room.Shell.Prepared;

        Assert.False(Directory.Exists(room.Places.Root));
        Assert.Empty(room.Shells);
    }

    [Fact, Trait("case", "S17")]
    public async Task The_Pods_end_waits_for_what_is_being_made_and_leaves_nothing_of_it()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        Task ended;
        using (await room.Scope.HoldLendingAsync(SandboxRoom.Ct))
        {
            room.Tool("Bash").Expect();
            ended = room.Shell.EndAllAsync();
            Assert.False(ended.IsCompleted);
        }
        await ended;

        Assert.False(Directory.Exists(room.Places.Root));
        Assert.Empty(room.Shells);
    }

    [Fact, Trait("case", "S17")]
    public async Task What_goes_wrong_while_one_is_made_keeps_nothing_of_the_Pods_end_from_being_done()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        await using var launcher = new CommandLauncher(room.Level, () => throw new TaskSchedulerException("there is no thread"), null, _ => null, TimeProvider.System);
        var shell = room.NewShell(launcher);
        await room.Run("true");
        shell.Expect();
        await Assert.ThrowsAsync<TaskSchedulerException>(() => shell.Prepared);

        await shell.EndAllAsync();

        Assert.False(Directory.Exists(room.Places.Root));
    }

    [Fact, Trait("case", "T34")]
    public async Task A_Pod_makes_it_when_its_model_begins_the_call_and_runs_nothing_before_the_message_is_whole()
    {
        SandboxRoom.SkipWithout("partial");
        await using var room = new PodRoom();
        var pod = await room.Root(with: d => d with { SandboxLevel = "partial" });
        await pod.Client.RunAsync("SLOW 600000\nCALL Bash {\"command\":\"echo x > ran\"}", ct: room.Ct);
        await Eventually.Holds(() => Waiting() == 1);
        await pod.Client.CancelAsync(ct: room.Ct);
        await pod.Until(entry => entry is Entry.RunEnded);

        Assert.Equal(1, Waiting());
        Assert.Empty(pod.All<Entry.CommandStarted>());
        Assert.Empty(Directory.GetFiles(pod.Document.Cwd));
        await pod.Killed();
        await Eventually.Holds(() => Waiting() == 0);

        int Waiting() => WaitingIn(room);
    }

    private static int WaitingIn(PodRoom room) =>
        Directory.EnumerateDirectories("/proc").Count(path => SandboxRoom.Waits(path) && SandboxRoom.Text(path + "/environ").Contains(room.Path, StringComparison.Ordinal));

    private static async Task RunAsync(CommandLauncher launcher, SandboxRoom room, int? inside = null)
    {
        await using var command = await launcher.StartAsync(room.Order("true"), SandboxRoom.Ct);
        Assert.Equal(inside ?? command.Process.Pid, command.Process.Pid);
        command.Go();
        Assert.Equal(0, (await command.Ended).Exit?.Code);
    }
}
