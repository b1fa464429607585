using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary><c>yoi demo</c> as a newcomer runs it, and what it says when a step of it is broken.</summary>
public sealed partial class DemoTests
{
    /// <summary>A room whose temporary directory is its own, so that whatever the demo leaves is seen.</summary>
    private static YoiRoom Room()
    {
        var room = new YoiRoom();
        room.Variable("TMPDIR", Directory.CreateDirectory(room.Root + "/tmp").FullName);
        return room;
    }

    private static void AssertNothingIsLeft(YoiRoom room)
    {
        Assert.Empty(Directory.GetFileSystemEntries(room.Root + "/tmp"));
        Assert.False(Directory.Exists(room.Root + "/y"), "the demo touched the user's own root");
        Assert.Empty(room.Processes());
    }

    private static void AssertInOrder(string text, params string[] words)
    {
        var at = 0;
        foreach (var word in words)
        {
            var found = text.IndexOf(word, at, StringComparison.Ordinal);
            Assert.True(found >= 0, $"\"{word}\" does not come behind what was before it in:\n{text}");
            at = found;
        }
    }

    [Fact]
    public async Task The_demo_tells_each_step_keeps_every_promise_and_leaves_nothing()
    {
        await using var room = Room();
        room.Variable("HOME", room.Root + "/no-such-home");

        var ran = (await room.RunAsync("demo")).Expect(0);

        AssertInOrder(ran.Out,
            "the model is scripted", "spawned words as process", "REFUSED: Edit words/__init__.py", "words/__init__.py is lent to `words`", "SendToPod words",
            "WaitForPods words, lines: 2 of 2", "ReadPodOutput lines", "words ended: stopped by lead; back: words/", "lines ended: stopped by lead; back: lines/",
            "writes words/__init__.py", "3 Pods, 3 processes", "The model was scripted");
        // The table is looked at beside the journals: its lines have an order of their own.
        AssertInOrder(ran.Out,
            "may write: lead: textkit/\n", "lead: textkit/ but words/, lines/ · words: words/ · lines: lines/\n", "may write: lead: textkit/\n",
            "nobody may write anything any more", "3 Pods, 3 processes");
        Assert.Equal(9, Promise().Count(ran.Out));
        Assert.DoesNotContain('\e', ran.Out);
        Assert.Equal("", ran.Error);
        AssertNothingIsLeft(room);
    }

    [Fact]
    public async Task Programs_get_who_wrote_what_the_refusal_and_each_promise_as_one_object()
    {
        await using var room = Room();

        var demo = (await room.RunAsync("demo", "--json")).Expect(0).Json;

        Assert.True(demo.GetProperty("ok").GetBoolean());
        Assert.Equal("scripted", demo.GetProperty("model").GetString());
        Assert.Equal(3, demo.GetProperty("processes").GetInt32());
        // Promised of what users get; a debug build compiles itself meanwhile.
        if (!File.Exists(Path.ChangeExtension(YoiRoom.Program, "dll"))) Assert.InRange(demo.GetProperty("seconds").GetDouble(), 0, 10);
        Assert.Equal(
            ["lead: words/__init__.py, CHANGELOG.md", "words: words/count.py, words/test_count.py", "lines: lines/wrap.py"],
            demo.GetProperty("pods").EnumerateArray().Select(pod => $"{pod.GetProperty("name")}: {string.Join(", ", pod.GetProperty("wrote").EnumerateArray())}"));
        var refusal = Assert.Single(demo.GetProperty("refusals").EnumerateArray());
        Assert.Equal("words/__init__.py", refusal.GetProperty("path").GetString());
        Assert.All(demo.GetProperty("checks").EnumerateArray(), check => Assert.Equal("", check.GetProperty("fault").ToString()));
        AssertNothingIsLeft(room);
    }

    [Fact]
    public async Task Kept_files_can_be_looked_at_as_any_other_Pods()
    {
        await using var room = Room();

        var ran = (await room.RunAsync("demo", "--keep")).Expect(0);

        var kept = Assert.Single(Directory.GetDirectories(room.Root + "/tmp"));
        Assert.Contains($"YOI_HOME={kept}/home yoi ps", ran.Out, StringComparison.Ordinal);
        Assert.Contains("1.0.1", room.Read(kept + "/textkit/words/__init__.py"), StringComparison.Ordinal);
        room.Variable("YOI_HOME", kept + "/home");
        Assert.Equal(["lead", "words", "lines"], (await room.PodsAsync()).Keys);
        Assert.Contains("is lent to `words`", (await room.RunAsync("log", "lead")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Equal("[]", (await room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
    }

    [Theory]
    [InlineData("spawn.task:eio", "words was not spawned")]
    [InlineData("tool.before_result:kill", "lead did its run to the end: it ended in its run: ")]
    [InlineData("file.before_rename:eio", "words wrote nothing")]
    [InlineData("table.write:enospc", "the scope table could not be written")]
    [InlineData("stop.shutdown:eio", "failpoint stop.shutdown")]
    public async Task A_step_that_fails_is_named_and_the_exit_code_is_not_zero(string failpoint, string named)
    {
        await using var room = Room();
        room.Variable("YOI_FAILPOINT", failpoint);

        var ran = await room.RunAsync("demo");

        Assert.NotEqual(0, ran.ExitCode);
        Assert.Contains(named, ran.Error, StringComparison.Ordinal);
        Assert.Empty(room.Processes());
    }

    [Fact]
    public async Task A_child_that_is_killed_in_the_midst_is_named()
    {
        await using var room = Room();
        await using var demo = room.Start("demo");
        await demo.SaysAsync("spawned words as process ");
        var pid = int.Parse(SpawnedPid().Match(demo.Out).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        using (var child = System.Diagnostics.Process.GetProcessById(pid)) child.Kill();

        var ran = (await demo.EndAsync()).Expect(1);

        Assert.Contains("both children were stopped by lead: words: crashed (signal 9)", ran.Error, StringComparison.Ordinal);
        Assert.Contains("FAULT  both children were stopped by lead\n", ran.Out, StringComparison.Ordinal);
        AssertNothingIsLeft(room);
    }

    [Fact]
    public async Task A_file_that_somebody_else_writes_in_the_midst_is_named()
    {
        await using var room = Room();
        await using var demo = room.Start("demo");
        await demo.SaysAsync("spawned words as process ");
        File.WriteAllText(Assert.Single(Directory.GetDirectories(room.Root + "/tmp")) + "/textkit/lines/stray.py", "");

        var ran = (await demo.EndAsync()).Expect(1);

        Assert.Contains("the files are as the job wants them: lines/stray.py should not be there", ran.Error, StringComparison.Ordinal);
        AssertNothingIsLeft(room);
    }

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130), InlineData(PosixSignal.SIGTERM, 143)]
    public async Task A_signal_in_the_midst_stops_the_tree_and_removes_the_files(PosixSignal signal, int code)
    {
        await using var room = Room();
        await using var demo = room.Start("demo");
        await demo.SaysAsync("spawned words as process ");
        demo.Signal(signal);

        (await demo.EndAsync()).Expect(code);

        AssertNothingIsLeft(room);
    }

    [Fact]
    public async Task A_signal_while_the_lead_does_not_get_ready_ends_the_demo_at_once()
    {
        await using var room = Room();
        room.Variable("YOI_FAILPOINT", "child.adopt:stop");
        await using var demo = room.Start("demo");
        await demo.SaysAsync("A lead Pod and two children work on");
        demo.Signal(PosixSignal.SIGINT);

        (await demo.EndAsync()).Expect(130);

        AssertNothingIsLeft(room);
    }

    [Fact]
    public async Task On_a_terminal_the_tree_is_redrawn_in_place_and_the_cursor_comes_back()
    {
        Needs.Programs("script");
        await using var room = Room();
        await using var shell = room.Start("/bin/sh", ["-c", $"script -qec 'stty cols 80 rows 24; exec {YoiRoom.Program} demo' /dev/null"]);

        var ran = (await shell.EndAsync()).Expect(0);

        Assert.Contains("POD       STATE    MAY WRITE", ran.Out, StringComparison.Ordinal);
        Assert.Contains("├─ ", ran.Out, StringComparison.Ordinal);
        Assert.True(ran.Out.LastIndexOf("\e[?25h", StringComparison.Ordinal) > ran.Out.LastIndexOf("\e[?25l", StringComparison.Ordinal));
        Assert.All(ran.Out.Split('\n').Where(line => !line.Contains(room.Root, StringComparison.Ordinal)), line => Assert.True(Sequence().Replace(line, "").TrimEnd('\r').Length <= 80, line));
        AssertNothingIsLeft(room);
    }

    [GeneratedRegex("^ok     ", RegexOptions.Multiline)]
    private static partial Regex Promise();

    [GeneratedRegex("spawned words as process ([0-9]+)")]
    private static partial Regex SpawnedPid();

    [GeneratedRegex("\e\\[[?0-9;]*[A-Za-z]")]
    private static partial Regex Sequence();
}
