using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Shared;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Scopes;

/// <summary>The door while somebody moves the walls, and while something is being lent.</summary>
public sealed class DoorRaceTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    [Trait("case", "P05")]
    public async Task A_directory_that_becomes_a_link_at_any_moment_never_leads_outside()
    {
        const int reads = 9000, writes = 1000;
        _room.Put("d/f", "inside\n");
        _room.Link("evil", _room.O + "/d");
        _room.RememberOutside();
        await _room.Read("d/f");
        var race = await RaceAsync("d", "evil", "d/f", reads, writes);
        Assert.True(race.Swaps > reads, $"{race.Swaps} swaps");
        _room.AssertOutsideUntouched();
        _room.AssertNoSpareFiles();
    }

    [Theory]
    [Trait("case", "P05")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_file_that_becomes_a_link_at_any_moment_never_leads_outside(bool inPlace)
    {
        _room.Put("d/f", "inside\n");
        _room.Link("d/evil", _room.O + "/f");
        if (inPlace) _room.Allow(new ScopeRule(_room.W + "/d/f", Permission.Write));
        _room.RememberOutside();
        await _room.Read("d/f");
        await RaceAsync("d/f", "d/evil", "d/f", reads: 1500, writes: 500);
        _room.AssertOutsideUntouched();
        _room.AssertNoSpareFiles();
    }

    /// <summary>Two names change places again and again while the tools use a path that goes through one of them.</summary>
    private async Task<(int Swaps, int Served, int Refused)> RaceAsync(string one, string other, string path, int reads, int writes)
    {
        using var stop = new CancellationTokenSource();
        var swaps = 0;
        var swapper = Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested && Native.Exchange($"{_room.W}/{one}", $"{_room.W}/{other}") == 0) swaps++;
            },
            stop.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var (served, refused) = (0, 0);
        try
        {
            for (var i = 0; i < reads + writes; i++)
                try
                {
                    if (i % (1 + (reads / writes)) == 0) await _room.Run("Write", ("file_path", path), ("content", $"inside {i}\n"));
                    else Assert.StartsWith("     1\tinside", await _room.Read(path), StringComparison.Ordinal);
                    served++;
                }
                catch (ToolFailure)
                {
                    refused++;
                }
        }
        finally
        {
            await stop.CancelAsync();
            await swapper;
        }
        Assert.True(served > 0 && refused > 0, $"no race: {served} served, {refused} refused, {swaps} swaps");
        return (swaps, served, refused);
    }

    [Fact]
    [Trait("case", "P06")]
    public async Task A_directory_swapped_before_the_rename_is_written_where_it_was_opened()
    {
        _room.Put("d/f", "old");
        _room.Link("evil", _room.O + "/d");
        _room.RememberOutside();
        await _room.Files.WriteAsync(
            "d/f",
            existing =>
            {
                Assert.Equal(0, Native.Exchange(_room.W + "/d", _room.W + "/evil"));
                return "new"u8.ToArray();
            },
            TestContext.Current.CancellationToken);
        Assert.Equal("new", File.ReadAllText(_room.W + "/evil/f"));
        _room.AssertOutsideUntouched();
        _room.AssertNoSpareFiles();
    }

    [Fact]
    [Trait("case", "P06")]
    public async Task A_process_stopped_before_its_rename_and_continued_after_a_swap_changes_nothing_outside()
    {
        _room.Put("d/f", "old");
        _room.Link("evil", _room.O + "/d");
        _room.RememberOutside();
        using var writer = DoorWorker.Start(_room.W, "write", "d/f", ("YOI_FAILPOINT", "file.before_rename:stop"));
        Assert.Equal(0x137f, Native.WaitStopped(writer.Id));
        Assert.Single(Directory.EnumerateFiles(_room.W + "/d", ".yoi-*.tmp"));
        Assert.Equal(0, Native.Exchange(_room.W + "/d", _room.W + "/evil"));
        Assert.Equal(0, Yoi.Runtime.Linux.Libc.Kill(writer.Id, Yoi.Runtime.Linux.Libc.SigCont));
        await writer.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, writer.ExitCode);
        Assert.Equal("written by a worker", File.ReadAllText(_room.W + "/evil/f"));
        _room.AssertOutsideUntouched();
        _room.AssertNoSpareFiles();
    }

    [Fact]
    [Trait("case", "P15")]
    public async Task What_is_mounted_inside_the_scope_belongs_to_it_and_what_is_denied_stays_denied()
    {
        Needs.Namespaces();
        _room.Put("mounted/keep", "");
        _room.Put("hidden/keep", "");
        const string script = "mount --bind \"$1/d\" mounted && mount -t tmpfs none hidden && echo in-tmpfs > hidden/f && shift && exec \"$@\"";
        foreach (var (path, expected) in ((string, string)[])[("mounted/f", FileRoom.Canary), ("hidden/f", "in-tmpfs\n")])
        {
            using var reader = DoorWorker.StartIn(_room.W, ["unshare", "-rm", "sh", "-c", script, "sh", _room.O], "read", path);
            Assert.Equal("     1\t" + expected, await reader.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
            await reader.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        using var denied = DoorWorker.StartIn(_room.W, ["unshare", "-rm", "sh", "-c", script, "sh", _room.O], "read-denied", "hidden/f");
        Assert.StartsWith("refused: " + _room.W + "/hidden/f is denied by the scope", await denied.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await denied.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    [Trait("case", "T37")]
    public async Task A_write_that_was_opened_is_complete_before_the_directory_is_lent()
    {
        _room.Put("api/f", "old");
        using var release = new ManualResetEventSlim();
        var opened = new TaskCompletionSource();
        var write = Task.Run(() => _room.Files.WriteAsync(
            "api/f",
            _ =>
            {
                opened.SetResult();
                release.Wait(TestContext.Current.CancellationToken);
                return "new"u8.ToArray();
            },
            TestContext.Current.CancellationToken));
        await opened.Task;
        var lending = _room.Gate.EnterAsync(exclusive: true, TestContext.Current.CancellationToken).AsTask();
        var second = _room.Files.WriteAsync("api/g", _ => "late"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.False(lending.IsCompleted);
        release.Set();
        using (await lending)
        {
            Assert.Equal("new", File.ReadAllText(_room.W + "/api/f"));
            Assert.False(second.IsCompleted);
            _room.Lend("api", new ScopeRule(_room.W + "/api", Permission.Write));
        }
        await write;
        var refusal = (await Assert.ThrowsAsync<PathException>(() => second)).Message;
        Assert.Equal($"{_room.W}/api/g is lent to `api`: it can be read here, not written. Ask `api` with SendToPod, or take it back with StopPod.", refusal);
        Assert.False(File.Exists(_room.W + "/api/g"));
        Assert.Contains("new", await _room.Read("api/f"), StringComparison.Ordinal);
    }
}
