using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Sandbox;

/// <summary>The tool as a model knows it.</summary>
[Collection("sandbox")] // One after the other: numbers of namespaces are used again.
public sealed class BashTests
{
    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_command_runs_where_the_Pod_works_and_its_output_and_exit_code_come_back(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var good = await room.Bash("pwd; cat f; echo more >&2; echo new > made");
        Assert.Equal($"{room.W}\ninside\nmore", good.Content);
        Assert.False(good.IsError);
        Assert.StartsWith("exit code 0", good.Summary, StringComparison.Ordinal);
        Assert.Equal("new\n", await File.ReadAllTextAsync(room.W + "/made", SandboxRoom.Ct));
        var bad = await room.Bash("exit 7");
        Assert.True(bad.IsError);
        Assert.StartsWith("exit code 7", bad.Summary, StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task The_working_directory_is_kept_and_nothing_else_is(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run("mkdir sub; cd sub; x=1; export y=2");
        Assert.Equal(room.W + "/sub :", await room.Run("echo $PWD $x:$y"));
        await room.Bash("cd ..; exit 3");
        Assert.Equal(room.W, await room.Run("pwd"));
        Assert.Equal(room.Places.SeenHome, await room.Run("cd; pwd"));
        Assert.Equal(room.Places.SeenHome, await room.Run("pwd"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S02")]
    public async Task A_working_directory_that_is_not_seen_is_not_taken_and_changes_no_rule(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run($"ln -s {room.O} link; printf '%s' {room.O} > $TMPDIR/.yoi-cwd; trap - EXIT");
        Assert.Equal(room.W, await room.Run("pwd"));
        await room.Run("rm -f $TMPDIR/.yoi-cwd; ln -s /etc/hostname $TMPDIR/.yoi-cwd; trap - EXIT");
        Assert.Equal(room.W, await room.Run("pwd"));
        await room.Run("rm -f $TMPDIR/.yoi-cwd; mkfifo $TMPDIR/.yoi-cwd; trap - EXIT");
        Assert.Equal(room.W, await room.Run("rm -f $TMPDIR/.yoi-cwd; pwd"));
        await room.Run("cd /; true");
        await room.Fails($"echo x > {room.O}/f");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S17")]
    public async Task A_command_past_its_limit_is_gone_with_everything_it_started(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        ToolOutcome outcome;
        var limit = 1500;
        while (true)
        {
            outcome = await room.Bash("for i in $(seq 50); do (setsid sh -c 'while :; do echo x >> late; sleep 0.05; done' &) ; done; echo begun; sleep 600", ("timeout", limit));
            Assert.True(outcome.IsError);
            Assert.Contains($"{limit} ms", outcome.Summary, StringComparison.Ordinal);
            if ((outcome.Content == "begun" && File.Exists(room.W + "/late")) || limit > 20_000) break;
            limit *= 3; // A busy machine had not begun by then.
        }
        Assert.Equal("begun", outcome.Content);
        AssertNothingRuns(room);
        var length = new FileInfo(room.W + "/late").Length;
        Assert.True(length > 0);
        await room.Run("true");
        Assert.Equal(length, new FileInfo(room.W + "/late").Length);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S15")]
    public async Task A_daemon_ends_with_the_call_that_started_it(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        Assert.Equal("done", await room.Run("nohup setsid sh -c 'sleep 0.3; echo x > late; sleep 600' >/dev/null 2>&1 & disown; echo done"));
        AssertNothingRuns(room);
        Assert.False(File.Exists(room.W + "/late"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S17"), Trait("case", "T20")]
    public async Task A_cancelled_call_leaves_nothing(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        using var cancel = new CancellationTokenSource();
        var running = room.Tool("Bash").RunAsync(new ToolCall("c", "Bash", Tools.Files.FileRoom.Json(("command", "echo x > begun; sleep 600"))), cancel.Token);
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        await cancel.CancelAsync();
        Assert.StartsWith("cancelled", (await running).Summary, StringComparison.Ordinal);
        AssertNothingRuns(room);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task Long_output_is_shown_by_its_ends_and_the_rest_can_be_read(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var outcome = await room.Bash("seq 100000");
        Assert.StartsWith("1\n2\n", outcome.Content, StringComparison.Ordinal);
        Assert.EndsWith("\n100000", outcome.Content, StringComparison.Ordinal);
        Assert.InRange(outcome.Content!.Length, 20_000, 32_000);
        var file = outcome.Content.Split("all of it is in ")[1].Split(',')[0];
        Assert.Equal("50000", await room.Run($"sed -n 50000p {file}"));
        await room.Fails($"echo x > {file}");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S18")]
    public async Task A_command_that_writes_without_end_is_ended_and_the_limit_named(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var outcome = await room.Bash("yes", ("timeout", 60_000));
        Assert.True(outcome.IsError);
        Assert.Contains("64 MiB", outcome.Summary, StringComparison.Ordinal);
        Assert.InRange(outcome.Content!.Length, 1, 32_000);
        AssertNothingRuns(room);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task Messages_of_the_shell_name_the_lines_of_the_command(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var said = await room.Fails("no-such-one\necho $LINENO\nno-such-two");
        Assert.Matches("^bash: line 1: no-such-one: [^\n]*\n2\nbash: line 3: no-such-two: [^\n]*$", said);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F12"), Trait("case", "S18")]
    public async Task A_command_that_takes_all_memory_fails_alone(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var said = await room.Fails("/usr/bin/python3 -c 'x = bytearray(20 << 30)'");
        Assert.Contains("MemoryError", said, StringComparison.Ordinal);
        Assert.Equal("ok", await room.Run("/usr/bin/python3 -c 'x = bytearray(64 << 20); print(\"ok\")'"));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_background_command_is_named_read_and_ended(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var started = await room.Bash("echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; sleep 600", ("run_in_background", true), ("name", "server"));
        Assert.Contains("`server`", started.Summary, StringComparison.Ordinal);
        Assert.Equal("one", (await room.Ask("BashOutput", ("name", "server"), ("wait_seconds", 20))).Content);
        Assert.Contains("nothing new", (await room.Ask("BashOutput", ("name", "server"))).Summary, StringComparison.Ordinal);
        await room.Run("touch go");
        Assert.Equal("two", (await room.Ask("BashOutput", ("name", "server"), ("wait_seconds", 20))).Content);
        Assert.Contains("server [running]", (await room.Ask("BashOutput")).Content, StringComparison.Ordinal);
        Assert.Contains("is running", (await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true", ("run_in_background", true), ("name", "server")))).Message, StringComparison.Ordinal);
        Assert.Contains("is gone", (await room.Ask("KillBash", ("name", "server"))).Summary, StringComparison.Ordinal);
        AssertNothingRuns(room);
        Assert.Contains("already ended", (await room.Ask("KillBash", ("name", "server"))).Summary, StringComparison.Ordinal);
        Assert.Contains("there are: `server`", (await Assert.ThrowsAsync<ToolFailure>(() => room.Ask("BashOutput", ("name", "sever")))).Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_background_command_that_ends_by_itself_is_told_to_the_model_and_one_that_was_ended_is_not(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var ended = new TaskCompletionSource();
        room.Shell.BackgroundEnded += ended.SetResult;
        await room.Bash("sleep 600", ("run_in_background", true), ("name", "stopped"));
        await room.Ask("KillBash", ("name", "stopped"));
        await room.Bash("echo said; exit 3", ("run_in_background", true), ("name", "build"));
        await ended.Task.WaitAsync(TimeSpan.FromMinutes(2), SandboxRoom.Ct);
        Assert.Equal(new Entry.Notify("bash", "background command `build` has ended, exit code 3; BashOutput shows what it wrote"), room.Entries.OfType<Entry.Notify>().Single());
        Assert.Contains("`build` [ended, exit code 3]", (await Assert.ThrowsAsync<ToolFailure>(() => room.Ask("KillBash", ("name", "biuld")))).Message, StringComparison.Ordinal);
        Assert.Equal("said", (await room.Ask("BashOutput", ("name", "build"))).Content);
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_command_is_in_the_journal_before_it_runs_with_what_names_its_process_for_good(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var inode = await room.Run("readlink /proc/self/ns/pid");
        var started = room.Entries.OfType<Entry.CommandStarted>().Single();
        Assert.Equal(inode, $"pid:[{started.Namespace.ToString(CultureInfo.InvariantCulture)}]");
        Assert.Equal((level, "call", false, room.W), (started.Level, started.CallId, started.Background, started.Cwd));
        Assert.Equal((0, "exited"), (room.Entries.OfType<Entry.CommandEnded>().Single() is var ended ? ended.ExitCode : null, room.Entries.OfType<Entry.CommandEnded>().Single().Why));
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task The_end_of_the_Pod_ends_what_runs_in_the_background(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Bash("echo x > begun; sleep 600", ("run_in_background", true));
        await Eventually.Holds(() => File.Exists(room.W + "/begun"));
        await room.Shell.EndAllAsync();
        AssertNothingRuns(room);
        Assert.Equal("pod_ended", room.Entries.OfType<Entry.CommandEnded>().Single().Why);
        Assert.False(Directory.Exists(room.PodDirectory + "/sandbox"));
        await Assert.ThrowsAsync<ToolFailure>(() => room.Bash("true"));
    }

    /// <summary>No process of any command of this room: each has its name and identity in a mark until it is gone.</summary>
    private static void AssertNothingRuns(SandboxRoom room)
    {
        foreach (var started in room.Entries.OfType<Entry.CommandStarted>())
            Assert.NotEqual(started.StartTime, CommandMarks.Look(started.Pid)?.StartTime);
        if (room.Level == "partial")
        {
            Assert.DoesNotContain(room.Shells, shell => !shell.Waits); // No namespace of their own: their environment tells them.
            return;
        }
        var namespaces = room.Entries.OfType<Entry.CommandStarted>().Select(started => started.Namespace).ToHashSet();
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1])))
            if (CommandMarks.Look(int.Parse(process[6..], CultureInfo.InvariantCulture)) is { } living) Assert.DoesNotContain(living.Namespace, namespaces); // Zombies do nothing.
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task A_working_directory_that_was_removed_ends_no_command_after_it(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        Assert.Equal(room.W + "/d", await room.Run("mkdir d; cd d; pwd"));
        await room.Bash("rm -rf ../d");
        Assert.Equal($"[yoi] {room.W}/d cannot be entered any more; the working directory is {room.W}\n{room.W}", await room.Run("pwd"));
        Assert.Equal(room.W, await room.Run("pwd"));
    }
}
