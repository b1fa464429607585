using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Journal;

public sealed class PodLockTests
{
    [Fact, Trait("case", "L06")]
    public async Task Another_process_sees_our_lock_and_we_see_its()
    {
        await using var pod = new TempPod();
        Assert.False(PodLock.IsAlive(pod.Directory));
        Assert.False(File.Exists(pod.LockFile)); // A probe creates nothing.
        using (PodLock.TryTake(pod.Directory))
        {
            Assert.Equal("held", await OtherProcess.ProbeAsync(pod.LockFile, "0"));
            Assert.Equal("held", await OtherProcess.ProbeAsync(pod.LockFile, "1"));
            Assert.True(PodLock.IsAlive(pod.Directory));
        }
        Assert.Equal("free", await OtherProcess.ProbeAsync(pod.LockFile, "0"));
        Assert.False(PodLock.IsAlive(pod.Directory));

        using var other = await OtherProcess.HoldAsync(pod.LockFile, "0", "1");
        Assert.True(PodLock.IsAlive(pod.Directory));
        Assert.Null(PodLock.TryTake(pod.Directory));
        Assert.Null(PodLock.TryTakeJournalOfDead(pod.Directory));
    }

    [Fact]
    public async Task A_stopped_process_is_alive_and_a_killed_one_is_dead_at_once()
    {
        await using var pod = new TempPod();
        using var other = await OtherProcess.HoldAsync(pod.LockFile, "0", "1");
        await other.StopAsync();
        Assert.True(PodLock.IsAlive(pod.Directory));
        Assert.Null(PodLock.TryTake(pod.Directory));
        await other.KillAsync();
        Assert.False(PodLock.IsAlive(pod.Directory));
        using var taken = PodLock.TryTakeJournalOfDead(pod.Directory);
        Assert.NotNull(taken);
    }

    [Fact]
    public async Task Whoever_records_a_dead_Pods_end_keeps_a_new_process_from_its_journal_and_does_not_make_it_alive()
    {
        await using var pod = new TempPod();
        using (var recorder = PodLock.TryTakeJournalOfDead(pod.Directory))
        {
            Assert.NotNull(recorder);
            Assert.False(PodLock.IsAlive(pod.Directory));
            Assert.Null(PodLock.TryTakeJournalOfDead(pod.Directory));
            Assert.Null(PodLock.TryTake(pod.Directory));
            Assert.False(PodLock.IsAlive(pod.Directory)); // What failed to start holds nothing.
            await using var writer = JournalWriter.Open(pod.Directory, recorder, [], TimeProvider.System);
            await writer.AppendAsync(Durability.Synced, TempPod.Created());
        }
        using var alive = PodLock.TryTake(pod.Directory);
        Assert.NotNull(alive);
    }

    [Fact]
    public async Task A_live_Pod_whose_journal_byte_is_free_is_not_taken_for_dead()
    {
        await using var pod = new TempPod();
        using var other = await OtherProcess.HoldAsync(pod.LockFile, "0");
        Assert.Null(PodLock.TryTakeJournalOfDead(pod.Directory));
        Assert.Equal("free", await OtherProcess.ProbeAsync(pod.LockFile, "1")); // And the try has left nothing behind.
    }

    [Fact]
    public async Task Probing_disturbs_nobody()
    {
        await using var pod = new TempPod();
        using var podLock = PodLock.TryTake(pod.Directory);
        for (var i = 0; i < 100; i++) Assert.True(PodLock.IsAlive(pod.Directory)); // With POSIX locks, the first close would drop ours.
        Assert.Equal("held", await OtherProcess.ProbeAsync(pod.LockFile, "0"));
    }

    [Theory, Trait("case", "L06")]
    [InlineData("symlink", "symbolic link")]
    [InlineData("dangling", "symbolic link")]
    [InlineData("directory", "directory")]
    [InlineData("fifo", "not a regular file")]
    [InlineData("readonly", "mode 444")]
    [InlineData("owner", "belongs to user")]
    public async Task A_lock_file_that_is_not_ours_is_refused_with_the_reason(string what, string reason)
    {
        await using var pod = new TempPod();
        var elsewhere = Path.Combine(pod.Directory, "elsewhere");
        switch (what)
        {
            case "symlink":
                await File.WriteAllTextAsync(elsewhere, "", TempPod.Ct);
                File.CreateSymbolicLink(pod.LockFile, elsewhere);
                break;
            case "dangling": File.CreateSymbolicLink(pod.LockFile, elsewhere); break;
            case "directory": Directory.CreateDirectory(pod.LockFile); break;
            case "fifo": await RunAsync("mkfifo", pod.LockFile); break;
            case "readonly":
                await File.WriteAllTextAsync(pod.LockFile, "", TempPod.Ct);
                File.SetUnixFileMode(pod.LockFile, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
                break;
            case "owner" when Libc.Geteuid() != 0:
                // Only root can give a file away; anybody can meet a directory of root's.
                Assert.Contains(reason, Assert.Throws<IOException>(() => PrivateFile.CreateDirectory("/usr")).Message, StringComparison.Ordinal);
                return;
            case "owner":
                await File.WriteAllTextAsync(pod.LockFile, "", TempPod.Ct);
                await RunAsync("chown", "12345", pod.LockFile);
                break;
        }
        var refusal = Assert.ThrowsAny<IOException>(() => PodLock.TryTake(pod.Directory));
        if (what == "readonly" && Libc.Geteuid() != 0) reason = "Permission denied";
        Assert.Contains(reason, refusal.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("pod.lock", refusal.Message, StringComparison.Ordinal);
        if (what != "readonly") Assert.ThrowsAny<IOException>(() => PodLock.IsAlive(pod.Directory)); // Unknown is not dead.
        Assert.False(what == "dangling" && File.Exists(elsewhere));

        if (Directory.Exists(pod.LockFile)) Directory.Delete(pod.LockFile);
        else File.Delete(pod.LockFile);
        using var control = PodLock.TryTake(pod.Directory);
        Assert.NotNull(control);
    }

    [Theory]
    [InlineData(UnixFileMode.None)]
    [InlineData(UnixFileMode.UserWrite | UnixFileMode.UserExecute)]
    public async Task A_file_whose_owner_lost_the_right_to_read_it_can_be_read_all_the_same(UnixFileMode mode)
    {
        await using var pod = new TempPod();
        await File.WriteAllTextAsync(pod.Journal, "text", TempPod.Ct);
        File.SetUnixFileMode(pod.Journal, mode);
        Assert.Equal("text", PrivateFile.ReadText(pod.Journal));
        if (Libc.Geteuid() != 0) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(pod.Journal)); // Root asks no mode.
    }

    [Fact, Trait("case", "L06")]
    public void A_directory_that_cannot_be_made_is_refused()
    {
        Assert.ThrowsAny<IOException>(() => PodLock.TryTake("/proc/yoi/pods/worker"));
        Assert.Contains("/proc/yoi", PodLock.SelfTest("/proc/yoi"), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L06")]
    public async Task The_self_test_passes_here_and_leaves_the_directory_as_it_was()
    {
        await using var pod = new TempPod();
        const UnixFileMode shared = (UnixFileMode)0x3ff; // 1777, as the machine's temporary directory.
        File.SetUnixFileMode(pod.Directory, shared);
        Assert.Null(PodLock.SelfTest(pod.Directory));
        Assert.Empty(Directory.GetFileSystemEntries(pod.Directory));
        PrivateFile.CreateDirectory(pod.Directory);
        Assert.Equal(shared, File.GetUnixFileMode(pod.Directory));
        Assert.NotNull(PodLock.SelfTest(pod.Directory + "/missing"));
        Assert.False(Directory.Exists(pod.Directory + "/missing"));
    }

    [Fact, Trait("case", "L16")]
    public async Task A_started_program_inherits_neither_lock_nor_journal()
    {
        await using var pod = new TempPod();
        pod.Open();
        await pod.Append(TempPod.Created());
        var leaky = Path.Combine(pod.Directory, "leaky");
        using var control = Libc.Open(leaky, OpenFlags.ReadWrite | OpenFlags.Create, 0x180);
        using var child = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "ls -l /proc/self/fd; echo end; read line"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        try
        {
            var listing = "";
            while (await child.StandardOutput.ReadLineAsync(TempPod.Ct) is { } line && line != "end") listing += line + "\n";
            Assert.Contains("leaky", listing, StringComparison.Ordinal); // What is not marked is inherited.
            Assert.DoesNotContain("pod.lock", listing, StringComparison.Ordinal);
            Assert.DoesNotContain("journal.jsonl", listing, StringComparison.Ordinal);
            await pod.CloseAsync();
            using var again = PodLock.TryTake(pod.Directory); // The child lives and keeps nothing locked.
            Assert.NotNull(again);
        }
        finally
        {
            child.StandardInput.Close();
            await child.WaitForExitAsync(TempPod.Ct);
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(TempPod.Ct);
        Assert.Equal(0, process.ExitCode);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_command_is_ended_only_if_nobody_holds_the_life_lock_when_it_is_known_what_would_be_ended(bool byEnvironment)
    {
        await using var pod = new TempPod();
        using var command = Command(byEnvironment ? CommandMarks.PrivateTemp(pod.Directory) : "/tmp");
        using var first = Command("/tmp");
        CommandMarks.Put(pod.Directory, CommandMarks.Look(byEnvironment ? first.Id : command.Id)!);
        var probes = 0;
        // The Pod comes back while it is looked at: an observer that was held in between would end what is the new process's.
        Assert.True(CommandMarks.AnyLeft(pod.Directory, () => ++probes > (byEnvironment ? 1 : 0)));
        Assert.False(command.HasExited);
        Assert.Equal(byEnvironment ? 2 : 1, probes);

        Assert.False(PodLock.IsAlive(pod.Directory)); // The control: nobody holds it.
        await command.WaitForExitAsync(TempPod.Ct);
        if (!byEnvironment) first.Kill();
    }

    private static Process Command(string temporary)
    {
        var start = new ProcessStartInfo("sleep", "600");
        start.Environment["TMPDIR"] = temporary;
        return Process.Start(start)!;
    }
}
