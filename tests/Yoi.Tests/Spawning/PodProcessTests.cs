using System.Globalization;
using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

public sealed partial class PodProcessTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);
    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    private async Task<LaunchedPod> Sleeper(string script = "exec sleep 60") => await PodLauncher.StartAsync(
        SpawningRoot.Shell("""echo '{"ready":true,"pid":1}'; """ + script), _root.Document("x"), new LaunchSecrets(null, null), Limit, TimeProvider.System, TestContext.Current.CancellationToken);

    [Fact]
    public async Task Everybody_who_watches_a_child_learns_how_it_ended()
    {
        var pod = await Sleeper("read line; sleep 0.2; exit 7");
        using var second = PodProcess.Open(pod.Pid, pod.StartTime, pod.BootId);
        Assert.NotNull(second);

        Assert.Equal(new ProcessExit(7, null), await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Equal(new ProcessExit(7, null), await second.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.False(pod.Process.Signal(Libc.SigKill));
        pod.Process.Dispose();
    }

    [Fact, Trait("case", "F04")]
    public async Task A_process_with_another_start_time_or_boot_is_not_opened()
    {
        var pod = await Sleeper();
        Assert.Null(PodProcess.Open(pod.Pid, pod.StartTime + "1", pod.BootId));
        Assert.Null(PodProcess.Open(pod.Pid, pod.StartTime, "another-boot"));
        using (var same = PodProcess.Open(pod.Pid, pod.StartTime, pod.BootId)) Assert.NotNull(same);

        pod.Process.Signal(Libc.SigKill);
        await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.Null(PodProcess.Open(pod.Pid, pod.StartTime, pod.BootId));
        pod.Process.Dispose();
    }

    [Fact, Trait("case", "T09")]
    public async Task A_signal_that_interrupts_the_wait_for_an_end_is_not_an_end_that_did_not_come()
    {
        var pod = await Sleeper();
        using var pidfd = Libc.PidfdOpen(pod.Pid)!;
        var handled = 0;
        using var handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Interlocked.Increment(ref handled));
        string? thread = null;
        var wait = Task.Factory.StartNew(() =>
        {
            Volatile.Write(ref thread, new FileInfo("/proc/thread-self").LinkTarget!.Split('/')[^1]);
            return Libc.PidfdWait(pidfd, Limit);
        }, TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        await Eventually.Holds(() => Volatile.Read(ref thread) is not null);
        for (var sent = 1; sent <= 5; sent++)
        {
            await Eventually.Holds(() => File.ReadAllText($"/proc/self/task/{thread}/stat").Contains(") S ", StringComparison.Ordinal));
            Assert.Equal(0, SignalThread(Environment.ProcessId, int.Parse(thread!, CultureInfo.InvariantCulture), SigWinch));
            await Eventually.Holds(() => Volatile.Read(ref handled) >= sent);
        }
        Assert.False(wait.IsCompleted);
        pod.Process.Signal(Libc.SigKill);
        Assert.True(await wait);
        Assert.False(Libc.PidfdWait(Libc.PidfdOpen(Environment.ProcessId)!, TimeSpan.FromMilliseconds(1))); // We live.
        pod.Process.Dispose();
    }

    [Fact]
    public async Task A_process_that_is_no_child_of_ours_ends_without_a_status()
    {
        var pod = await Sleeper($"sleep 60 & echo $! > {_root.Path}/pid.tmp; mv {_root.Path}/pid.tmp {_root.Path}/pid; wait");
        await Eventually.Holds(() => File.Exists(_root.Path + "/pid"));
        var below = int.Parse(await File.ReadAllTextAsync(_root.Path + "/pid", TestContext.Current.CancellationToken), CultureInfo.InvariantCulture);
        using var process = PodProcess.Open(below);
        Assert.NotNull(process);

        process.Signal(Libc.SigKill);
        var exit = await process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken);

        Assert.Equal((PodEnd.Lost, "exit status not observable"), exit.AsEnd());
        pod.Process.Signal(Libc.SigKill);
        await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken);
        pod.Process.Dispose();
    }

    [Fact]
    public async Task A_held_process_is_seen_as_held_until_it_goes_on()
    {
        var pod = await Sleeper();
        Assert.False(pod.Process.IsHeld);
        pod.Process.Signal(Libc.SigStop);
        await Eventually.Holds(() => pod.Process.IsHeld);
        pod.Process.Signal(Libc.SigKill);
        Assert.Equal(Libc.SigKill, (await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken)).Signal);
        pod.Process.Dispose();
    }

    [Fact, Trait("case", "F02")]
    public async Task Many_processes_leave_no_zombie_and_no_descriptor()
    {
        async Task Round()
        {
            var pod = await Sleeper();
            pod.Process.Signal(Libc.SigKill);
            await pod.Process.Exited.WaitAsync(Limit, TestContext.Current.CancellationToken);
            pod.Process.Dispose();
        }

        static int Pidfds() => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(fd => new FileInfo(fd).LinkTarget?.Contains("pidfd", StringComparison.Ordinal) == true);

        await Round();
        var before = Pidfds();
        for (var i = 0; i < 20; i++) await Round();
        await Eventually.Holds(() => Pidfds() <= before + 4); // Other tests run beside this one.
        await Eventually.Holds(() => Zombies.Count("sh") == 0);
    }

    [Theory]
    [InlineData(0, null, PodEnd.Exited, null)]
    [InlineData(3, null, PodEnd.Crashed, "exit code 3")]
    [InlineData(null, 9, PodEnd.Crashed, "signal 9")]
    [InlineData(null, null, PodEnd.Lost, "exit status not observable")]
    public void An_exit_becomes_an_end_reason_that_guesses_nothing(int? code, int? signal, PodEnd reason, string? detail) =>
        Assert.Equal((reason, detail), new ProcessExit(code, signal).AsEnd());

    [Fact, Trait("case", "T08")]
    public void A_program_that_was_replaced_on_disk_is_found_again_and_a_removed_one_is_named()
    {
        Assert.Equal(["/usr/bin/dotnet", "/x/yoi.dll", "serve"], PodProgram.Of("/usr/bin/dotnet", "/x/yoi.dll").Arguments);
        Assert.Equal(new string[] { "/bin/sh", "serve" }, PodProgram.Of("/bin/sh (deleted)", "/bin/sh").Arguments);
        Assert.Equal("/bin/sh", PodProgram.Of("/bin/sh (deleted)", "/bin/sh").Path);
        var e = Assert.Throws<LaunchException>(() => PodProgram.Of("/no/such/yoi (deleted)", "yoi"));
        Assert.Contains("/no/such/yoi was removed from disk", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_child_that_ends_at_once_is_watched_before_anybody_reaps_it() =>
        Assert.Equal("exit code 7", await StrangerWorker.RunAsync(TestContext.Current.CancellationToken));

    private const int SigWinch = 28;

    [LibraryImport("libc.so.6", EntryPoint = "tgkill", SetLastError = true)]
    private static partial int SignalThread(int process, int thread, int signal);
}
