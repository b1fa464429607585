using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Cli;

public sealed class ScopesRepairTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact, Trait("case", "T25")]
    public async Task Where_two_living_Pods_claim_one_path_neither_may_write_it_and_that_is_said()
    {
        var (one, other) = (await _room.DeadPodAsync("one"), await _room.DeadPodAsync("other"));
        using var first = PodLock.TryTake(one.Directory);
        using var second = PodLock.TryTake(other.Directory);
        Assert.Equal(0, await _room.RunAsync("scopes", "repair"));
        Assert.Contains("2 living Pods", _room.Out, StringComparison.Ordinal);
        Assert.Contains("one and other both claim", _room.Error, StringComparison.Ordinal);
        var table = _room.Surroundings.Table.Read();
        Assert.All([one, other], pod => Assert.Equal(Access.Read, table.PolicyOf(pod.PodId).AccessAt(_room.Cwd + "/x")));
        Assert.Equal(0, await _room.RunAsync("scopes", "repair"));
        Assert.Contains("is good", _room.Out, StringComparison.Ordinal);
        Assert.Equal(table.Generation, _room.Surroundings.Table.Read().Generation);
    }

    [Fact, Trait("case", "T25")]
    public async Task A_living_Pod_whose_journal_does_not_say_what_it_holds_is_named_and_nothing_is_changed()
    {
        var pod = await _room.DeadPodAsync("p");
        File.WriteAllText(pod.Directory + "/" + PodFiles.Journal, "nonsense\n");
        using (PodLock.TryTake(pod.Directory))
        {
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("scopes", "repair"));
            Assert.Contains("`yoi stop p`", _room.Error, StringComparison.Ordinal);
            Assert.False(File.Exists(_room.Surroundings.Directories.ScopeTable));
        }
        Assert.Equal(0, await _room.RunAsync("scopes", "repair")); // Dead, it holds nothing.
    }

    [Fact, Trait("case", "T39")]
    public async Task A_table_of_a_newer_yoi_is_left_as_it_is()
    {
        await _room.DeadPodAsync("p");
        const string newer = """{"version":2,"generation":5,"pods":[],"colour":"blue"}""";
        File.WriteAllText(_room.Surroundings.Directories.ScopeTable, newer);
        File.SetUnixFileMode(_room.Surroundings.Directories.ScopeTable, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.Equal(ExitCode.Refused, await _room.RunAsync("scopes", "repair"));
        Assert.Contains("version 2", _room.Error, StringComparison.Ordinal);
        Assert.Equal(newer, File.ReadAllText(_room.Surroundings.Directories.ScopeTable));
    }

    [Fact, Trait("case", "F05"), Trait("case", "L09")]
    public async Task What_another_boot_left_is_cleared_away_and_no_process_of_this_one_is_signalled()
    {
        using var bystander = Process.Start("sleep", "600")!;
        try
        {
            var pod = await _room.DeadPodAsync("old", new Entry.ProcessStarted(bystander.Id, PodProcess.StartTimeOf(bystander.Id)!, "another-boot", "tools-only"));
            Directory.CreateDirectory(_room.Surroundings.Directories.Runtime);
            string[] left = [_room.Surroundings.Directories.Socket(pod.PodId), _room.Surroundings.Directories.Token(pod.PodId)];
            foreach (var file in left) File.WriteAllText(file, "");
            Assert.Equal(0, await _room.RunAsync("ps"));
            Assert.Equal(0, await _room.RunAsync("stop", "--force", "old"));
            Assert.Contains("lost (the machine was restarted)", _room.Out, StringComparison.Ordinal);
            Assert.All(left, file => Assert.False(File.Exists(file)));
            Assert.False(bystander.HasExited);
        }
        finally
        {
            bystander.Kill();
            await bystander.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public void What_the_kernel_says_of_memory_is_read_as_it_is_written()
    {
        Assert.Equal(7, OutOfMemory.CountIn(["low 0", "high 0", "max 3", "oom 3", "oom_kill 7", "oom_group_kill 0"]));
        Assert.Null(OutOfMemory.CountIn(["low 0"]));
        Assert.Equal((PodEnd.Killed, "out of memory: the kernel ended it"), new ProcessExit(null, 9, OutOfMemory: true).AsEnd());
        Assert.Equal((PodEnd.Crashed, "signal 9"), new ProcessExit(null, 9).AsEnd());
    }
}
