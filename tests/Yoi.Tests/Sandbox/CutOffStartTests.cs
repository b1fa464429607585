using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Models;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>A start that is cut off, wherever: it comes to an end, and nothing of it is left.</summary>
[Collection("sandbox")]
public sealed partial class CutOffStartTests
{
    private static readonly TimeSpan Hanging = TimeSpan.FromMinutes(1);

    [Fact, Trait("case", "S20"), Trait("case", "S17")]
    public async Task Bubblewrap_that_hangs_before_it_says_whom_it_started_leaves_nobody()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel");
        await room.Run("true");
        var output = room.Places.Output + "/x.log";
        // It waits for its user namespace; what it says goes to its output, so that its child is never named to us.
        var command = new SandboxCommand("/usr/bin/bwrap",
            ["/usr/bin/bwrap", "--unshare-user", "--info-fd", "1", "--userns-block-fd", "0", "--die-with-parent", "--setenv", "ROOM", room.Root, "--ro-bind", "/", "/", "--", "/bin/true"], [], [], []);
        var time = new ManualTime();
        var starting = BubblewrapHold.StartAsync(room.PodDirectory, command, output, new(OutputMb: 1), time, SandboxRoom.Ct);
        await time.SomethingWaitsAsync(SandboxRoom.Ct);
        await Eventually.Holds(() => Of(room).Count == 3); // The shell, it, and its child, which does not know yet with whom it is to die.

        time.Advance(TimeSpan.FromSeconds(20));

        Assert.Contains("not ready within", (await Assert.ThrowsAsync<SandboxException>(() => starting.WaitAsync(Hanging, SandboxRoom.Ct))).Message, StringComparison.Ordinal);
        Assert.Empty(Of(room));
        Assert.False(File.Exists(output));
    }

    [Fact, Trait("case", "T41"), Trait("case", "F02")]
    public async Task A_Pod_that_dies_while_what_bubblewrap_made_waits_for_its_word_leaves_nobody()
    {
        SandboxRoom.SkipWithout("kernel");
        await using var room = new PodRoom();
        var pod = await room.Root(with: d => d with { SandboxLevel = "kernel" });
        var (bubblewrap, call) = await HeldBetween(pod);
        Assert.Contains(bubblewrap, Of(room.Work));

        await pod.Killed();
        await Assert.ThrowsAnyAsync<Exception>(() => call);
        Assert.Equal(0, Libc.Kill(bubblewrap, Libc.SigCont));

        await Eventually.Holds(() => Of(room.Work).Count == 0);
    }

    [Fact, Trait("case", "F02")]
    public async Task Bubblewrap_that_is_killed_while_what_it_made_waits_for_its_word_leaves_nobody()
    {
        SandboxRoom.SkipWithout("kernel");
        await using var room = new PodRoom();
        var pod = await room.Root(with: d => d with { SandboxLevel = "kernel" });
        var (bubblewrap, call) = await HeldBetween(pod);

        Assert.Equal(0, Libc.Kill(bubblewrap, Libc.SigKill));

        var result = await call;
        Assert.True(result.IsError);
        Assert.Contains("the sandbox could not be made", result.Content + result.Summary, StringComparison.Ordinal);
        Assert.Empty(Of(room.Work));
        Assert.False((await pod.Call("Bash", """{"command":"true"}""")).IsError);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S17")]
    public async Task A_start_that_is_cancelled_at_any_moment_ends_and_leaves_nobody(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run("true");
        for (var i = 0; i < 12; i++)
        {
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(i * 2));
            try
            {
                await using var started = await room.Launcher.StartAsync(room.Order("true"), cancel.Token).WaitAsync(Hanging, SandboxRoom.Ct);
            }
            catch (OperationCanceledException)
            {
                // In time.
            }
        }
        await Eventually.Holds(() => Of(room).Count == 0); // The last one may be as far as that it is killed.
        Assert.False(CommandMarks.AnyLeft(room.PodDirectory));
    }

    [Fact, Trait("case", "S20")]
    public async Task A_keeper_that_was_never_asked_for_a_command_is_not_waited_for()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var order = room.Order("true");
        await using var keeper = CommandKeeper.Start(SandboxRoom.Keeper, null, TimeProvider.System);
        using var none = new SafeFileHandle(-1, ownsHandle: false);
        using var last = new LastRuleset();
        using var command = Landlock.Compose(last, order.Policy, order.View, order.Places, order.Limits, order.Cwd, order.Line, _ => null);

        var refused = await Assert.ThrowsAsync<SandboxException>(() =>
            keeper.StartAsync(order.PodDirectory, command with { Shell = command.Shell with { Ruleset = none } }, order.OutputPath, order.Limits, null, SandboxRoom.Ct).WaitAsync(Hanging, SandboxRoom.Ct));

        Assert.Contains("could not be started", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(order.OutputPath));
        await using var next = await keeper.StartAsync(order.PodDirectory, command, order.OutputPath, order.Limits, null, SandboxRoom.Ct);
        next.Go();
        Assert.Equal(0, (await next.Ended).Exit?.Code);
    }

    [Fact, Trait("case", "S20")]
    public async Task A_keeper_that_died_before_it_was_asked_is_not_waited_for()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var order = room.Order("true");
        await using var keeper = CommandKeeper.Start(new("/bin/false", ["false"]), null, TimeProvider.System);
        await Eventually.Holds(() => keeper.IsGone);
        using var last = new LastRuleset();
        using var command = Landlock.Compose(last, order.Policy, order.View, order.Places, order.Limits, order.Cwd, order.Line, _ => null);

        var refused = await Assert.ThrowsAsync<SandboxException>(() =>
            keeper.StartAsync(order.PodDirectory, command, order.OutputPath, order.Limits, null, SandboxRoom.Ct).WaitAsync(Hanging, SandboxRoom.Ct));

        Assert.Contains("ended from outside", refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(order.OutputPath));
    }

    [Fact]
    public void Without_descriptors_nothing_is_watched_and_nobody_waits_for_the_watch()
    {
        var path = Directory.CreateTempSubdirectory("yoi-watch-").FullName;
        List<bool> watched = [];
        void Try()
        {
            using var watch = MaskWatch.Start([path], () => false);
            watched.Add(watch is not null);
        }
        // A thread with a table of descriptors of its own, in which first one is free, then enough are.
        var thread = new Thread(() =>
        {
            if (Unshare(CloneFiles) != 0) return;
            var last = -1;
            while (Duplicate(0) is >= 0 and var fd) last = fd;
            _ = Libc.Sockets.Close(last);
            Try();
            for (var i = 1; i < 20; i++) _ = Libc.Sockets.Close(last - i);
            Try();
        });
        thread.IsBackground = true;
        Try();
        thread.Start();
        Assert.True(thread.Join(Hanging), "it waits for a watch that nothing wakes");
        Assert.Equal([true, false, true], watched);
        Directory.Delete(path);
    }

    /// <summary>A bubblewrap below this Pod, stopped when it had made a process and before that one did anything; and the call that it is for.</summary>
    private static async Task<(int Bubblewrap, Task<Entry.ToolResult> Call)> HeldBetween(RoomPod pod)
    {
        while (true)
        {
            var call = pod.Call("Bash", """{"command":"true"}""");
            if (Hold(pod.Launched.Process.Pid, call) is { } held) return (held, call);
            Assert.False((await call).IsError);
        }
    }

    /// <summary>Stops the next bubblewrap where it is. Null if that is elsewhere; then it goes on.</summary>
    private static int? Hold(int pod, Task call)
    {
        while (!call.IsCompleted)
        {
            foreach (var bubblewrap in Threads(pod).SelectMany(ChildrenOf).SelectMany(child => PodProcess.ChildrenOf(child).Prepend(child)).Where(pid => Text($"/proc/{pid}/comm") == "bwrap\n"))
            {
                if (Libc.Kill(bubblewrap, Libc.SigStop) != 0) continue;
                while (StateOf(bubblewrap) is not ('T' or 'Z' or null)) { }
                if (PodProcess.ChildrenOf(bubblewrap) is [var made] && PodProcess.ChildrenOf(made).Count == 0 && StateOf(made) == 'S') return bubblewrap;
                _ = Libc.Kill(bubblewrap, Libc.SigCont);
                return null;
            }
        }
        return null;
    }

    private static IEnumerable<string> Threads(int pid) => Directory.Exists($"/proc/{pid}/task") ? Directory.EnumerateDirectories($"/proc/{pid}/task") : [];

    private static IEnumerable<int> ChildrenOf(string thread) =>
        Text(thread + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => int.Parse(word, CultureInfo.InvariantCulture));

    private static char? StateOf(int pid) => Text($"/proc/{pid}/stat") is { Length: > 0 } stat ? stat[stat.LastIndexOf(')') + 2] : null;

    private static List<int> Of(SandboxRoom room) => Of(room.Root);

    /// <summary>Processes of bubblewrap for a room, and the shells above.</summary>
    private static List<int> Of(string directory) =>
    [
        .. Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1]))
            .Where(path => Text(path + "/cmdline") is var words && words.Contains("bwrap\0", StringComparison.Ordinal) && words.Contains(directory, StringComparison.Ordinal))
            .Select(path => int.Parse(path["/proc/".Length..], CultureInfo.InvariantCulture)),
    ];

    private static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private const int CloneFiles = 0x400;

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "dup", SetLastError = true)]
    private static partial int Duplicate(int fd);
}
