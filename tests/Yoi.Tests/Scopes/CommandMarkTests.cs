using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Shared;

namespace Yoi.Tests.Scopes;

public sealed class CommandMarkTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact, Trait("case", "P16")]
    public void A_pipe_in_the_place_of_a_mark_makes_nobody_wait()
    {
        var pod = _room.Root + "/state/pods/dead.1";
        Directory.CreateDirectory(pod + "/commands");
        using (var made = System.Diagnostics.Process.Start("mkfifo", [pod + "/commands/1-1"])) made.WaitForExit();
        Assert.Throws<IOException>(() => CommandMarks.AnyLeft(pod));
        Assert.True(PodLock.MayLive(pod)); // It cannot be known.
        File.Delete(pod + "/commands/1-1");
        Assert.False(PodLock.MayLive(pod));
    }

    [Fact]
    public void Marks_whose_directory_lost_its_owner_s_rights_are_found_all_the_same()
    {
        var pod = _room.Root + "/state/pods/dead.1";
        var mark = CommandMarks.Put(pod, new(1, "1", "another boot", 1), "something");
        File.SetUnixFileMode(mark.Path, UnixFileMode.None);
        File.SetUnixFileMode(Path.GetDirectoryName(mark.Path)!, UnixFileMode.None);
        Assert.Equal("something", Assert.Single(CommandMarks.Of(pod)).About);
        Assert.False(PodLock.MayLive(pod));
    }

    [Theory, Trait("case", "L02")]
    [InlineData("{\"command\":\"1\",\"names\":[{\"root\":\"/w")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("{\"command\":\"1\",\"names\":[],\"part\":{\"allow\":[],\"deny\":[]},\"repositories\":{\"=no base64\":null}}")]
    public void A_mark_that_cannot_be_read_is_told_and_stands_in_nobody_s_way(string about)
    {
        var pod = _room.Root + "/state/pods/dead.1";
        var mark = CommandMarks.Put(pod, new(1, "1", "another boot", 1), about);
        var told = Assert.Single(DeniedNames.SettleLeft(pod, TimeProvider.System));
        Assert.Contains(mark.Path, told, StringComparison.Ordinal);
        Assert.Equal([told], Assert.Single(CommandMarks.Of(pod)).Told); // Until somebody tells it.
        Assert.Empty(DeniedNames.SettleLeft(pod, TimeProvider.System));
    }

    [Fact, Trait("case", "S17"), Trait("case", "T34")]
    public void A_command_that_hides_from_its_user_is_ended_like_any_other()
    {
        Assert.SkipWhen(Libc.Geteuid() == 0, "nothing hides from root");
        Needs.Programs("/usr/bin/python3");
        var pod = _room.Root + "/state/pods/dead.1";
        // With PR_SET_DUMPABLE off, what is in /proc of it is root's.
        const string hides = "import ctypes, sys; print(); sys.stdin.readline(); ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(flush=True); sys.stdin.readline()";
        using var command = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", hides]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var seen = CommandMarks.Look(command.Id)!;
        CommandMarks.Put(pod, seen);
        command.StandardInput.WriteLine();
        command.StandardOutput.ReadLine();
        command.StandardOutput.ReadLine();
        Assert.Null(CommandMarks.Look(command.Id));

        Assert.False(CommandMarks.AnyLeft(pod));

        Assert.True(command.WaitForExit(TimeSpan.FromSeconds(30)));
        Assert.Empty(CommandMarks.Of(pod));
    }

    [Fact, Trait("case", "T34")]
    public void Another_process_that_has_the_number_of_a_command_by_now_is_left_alone()
    {
        var pod = _room.Root + "/state/pods/dead.1";
        using var other = Process.Start("/bin/sleep", "600");
        var seen = CommandMarks.Look(other.Id)!;
        foreach (var before in new[] { seen with { StartTime = "1" }, seen with { Namespace = 1 } })
        {
            CommandMarks.Put(pod, before);
            Assert.False(CommandMarks.AnyLeft(pod));
            Assert.Empty(CommandMarks.Of(pod));
        }
        Assert.False(other.HasExited);
        CommandMarks.Put(pod, seen);
        Assert.False(CommandMarks.AnyLeft(pod));
        Assert.True(other.WaitForExit(TimeSpan.FromSeconds(30)));
    }
}
