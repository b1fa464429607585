using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>A command's life hangs on its Pod and on nothing less: the kernel's signal at a parent's death is that of a thread.</summary>
[Collection("sandbox")]
public sealed class CommandLifeTests
{
    private const string Beats = "while :; do echo x >> beat; sleep 0.02; done";

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F09")]
    public async Task A_command_outlives_the_thread_that_asked_for_it(string level)
    {
        // What would happen: this one dies with the thread that started it.
        Process control = null!;
        await EndedThreadAsync(() =>
        {
            control = Process.Start("/usr/bin/setpriv", ["--pdeathsig", "KILL", "sleep", "600"]);
            Eventually.Holds(() => Text($"/proc/{control.Id}/comm") == "sleep\n").GetAwaiter().GetResult(); // It has asked for the signal.
        });
        await control.WaitForExitAsync(SandboxRoom.Ct).WaitAsync(TimeSpan.FromSeconds(30), SandboxRoom.Ct);
        control.Dispose();

        await using var room = await SandboxRoom.MakeAsync(level);
        await EndedThreadAsync(() => Assert.False(room.Bash(Beats, ("run_in_background", true), ("name", "one")).GetAwaiter().GetResult().IsError));
        long Length() => File.Exists(room.W + "/beat") ? new FileInfo(room.W + "/beat").Length : 0;
        var length = Length();
        await Eventually.Holds(() => Length() > length + 20);
        Assert.Contains("one [running]", (await room.Ask("BashOutput")).Content, StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "G13"), Trait("case", "F09")]
    public async Task A_command_whose_mark_is_not_on_disk_does_not_begin(string level)
    {
        SandboxRoom.SkipWithout(level);
        const string touch = """{"command":"echo x > ran"}""";
        await using var room = new PodRoom();
        var pod = await room.Root("command.mark#2:kill,command.mark#1:eio", with: d => d with { SandboxLevel = level });

        var refused = await pod.Call("Bash", touch);
        Assert.True(refused.IsError);
        Assert.Contains("the command was not run", refused.Summary, StringComparison.Ordinal);
        Assert.Contains("errno 5", refused.Summary, StringComparison.Ordinal);
        Assert.False(File.Exists(room.Work + "/ran"));

        await pod.Client.RunAsync("CALL Bash " + touch, ct: room.Ct);
        await pod.Launched.Process.Exited.WaitAsync(PodRoom.Patience, room.Ct);
        await pod.Client.DisposeAsync();
        await Eventually.Holds(() => !pod.Known.IsAlive);
        var back = await room.Restore(pod);
        await back.Calls(); // Its model hears of the call that was cut off.
        Assert.False(File.Exists(room.Work + "/ran"));
        Assert.False((await back.Call("Bash", touch)).IsError); // The control.
        Assert.True(File.Exists(room.Work + "/ran"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "F09")]
    public async Task A_command_dies_with_its_Pod(string level)
    {
        SandboxRoom.SkipWithout(level);
        await using var room = new PodRoom();
        var pod = await room.Root(with: d => d with { SandboxLevel = level });
        var begun = await pod.Call("Bash", $$"""{"command":"setsid -f sh -c '{{Beats}}'; sleep 600","run_in_background":true}""");
        Assert.False(begun.IsError, begun.Summary);
        var beat = room.Work + "/beat";
        await Eventually.Holds(() => File.Exists(beat) && new FileInfo(beat).Length > 20);
        var command = Assert.Single(pod.All<Entry.CommandStarted>());
        Assert.Equal(command.StartTime, CommandMarks.Look(command.Pid)?.StartTime);

        pod.Signal(Libc.SigKill);
        await Eventually.Holds(() => CommandMarks.Look(command.Pid)?.StartTime != command.StartTime);
        await Eventually.Holds(() => !pod.Known.IsAlive);
        await Eventually.Holds(() => !Directory.EnumerateDirectories("/proc").Any(path => Text(path + "/cmdline").Contains("echo x >> beat", StringComparison.Ordinal) && IsIn(room.Work, path)));
        await Eventually.Holds(() => !pod.Known.IsAlive);
        var length = new FileInfo(beat).Length;
        Assert.Equal(length, new FileInfo(beat).Length);
    }

    private static bool IsIn(string directory, string process) => new FileInfo(process + "/cwd").LinkTarget == directory;

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // It has ended, or is another user's.
        }
    }

    /// <summary>Runs this on a thread of its own; returns when the kernel has none of it any more.</summary>
    private static async Task EndedThreadAsync(Action action)
    {
        var task = "";
        var thread = new Thread(() =>
        {
            task = new FileInfo("/proc/thread-self").LinkTarget!;
            action();
        });
        thread.Start();
        thread.Join();
        await Eventually.Holds(() => !Directory.Exists("/proc/" + task));
    }
}
