using Xunit;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Tests.Models;

namespace Yoi.Tests.Scopes;

public sealed class TableLockTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Task<TableLock> Take(TimeSpan? limit = null, TimeProvider? time = null) =>
        TableLock.TakeAsync(_room.Directories, _room.IsAlive, time ?? TimeProvider.System, "tester", limit ?? TimeSpan.FromSeconds(20), Ct);

    [Fact, Trait("case", "F06")]
    public async Task Of_fifty_that_want_one_name_at_once_one_gets_it()
    {
        var rows = Enumerable.Range(0, 50).Select(number => _room.Row("same", $"write:/w/{number}")).ToList();
        var outcomes = await Task.WhenAll(rows.Select(async row =>
        {
            using var table = _room.NewTable();
            try
            {
                await table.AcquireAsync(row, Ct);
                return "won";
            }
            catch (ScopeException e)
            {
                return e.Message;
            }
        }));
        Assert.Single(outcomes, "won");
        Assert.All(outcomes.Where(outcome => outcome != "won"), outcome => Assert.Contains("the name same is in use", outcome, StringComparison.Ordinal));
        Assert.Single(_room.Table.Read().Pods);
    }

    [Fact, Trait("case", "L13")]
    public async Task A_lock_file_that_is_removed_or_replaced_makes_no_second_holder()
    {
        var inside = 0;
        _room.Table.Open();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(number => Task.Run(
            async () =>
            {
                for (var i = 0; i < 40; i++)
                {
                    using var held = await Take();
                    Assert.Equal(1, Interlocked.Increment(ref inside));
                    if ((number + i) % 3 == 0) File.Delete(_room.Directories.ScopeLock);
                    else if ((number + i) % 3 == 1) Libc.Rename(_room.Directories.ScopeLock, _room.Root + "/moved");
                    // Time for the others to take the lock file that they now find, if that were enough.
                    for (var turn = 0; turn < 50; turn++)
                    {
                        using var other = PrivateFile.OpenToWrite(_room.Directories.ScopeLock);
                        await Task.Yield();
                    }
                    Interlocked.Decrement(ref inside);
                }
            },
            Ct)));
    }

    [Fact]
    public async Task The_lock_file_names_its_holder_and_a_waiter_can_be_cancelled()
    {
        using var held = await Take();
        held.Remember(41);
        using (var file = PrivateFile.OpenToRead(_room.Directories.ScopeLock)!)
            Assert.Equal(new(Environment.ProcessId, "tester", 41), LockText.Read(file));
        var busy = await Assert.ThrowsAsync<ScopeException>(() => Take(TimeSpan.FromMilliseconds(20)));
        Assert.Contains($"tester (pid {Environment.ProcessId})", busy.Message, StringComparison.Ordinal);
        using var table = _room.NewTable();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var waiting = table.AcquireAsync(_room.Row("lead", "write:/w"), cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact, Trait("case", "T30")]
    public async Task A_queue_that_moves_is_waited_for_within_bounds_and_one_that_stands_still_is_not()
    {
        var limit = TimeSpan.FromSeconds(1);
        var held = await Take();
        var generation = 0;
        var standsStill = new ManualTime(runDelays: true);
        var busy = await Assert.ThrowsAsync<ScopeException>(() => Take(limit, standsStill));
        Assert.Contains("tester (pid ", busy.Message, StringComparison.Ordinal);
        Assert.InRange(standsStill.Elapsed, limit, limit * 1.1);

        var moves = new ManualTime(runDelays: true, () => held.Remember(++generation));
        busy = await Assert.ThrowsAsync<ScopeException>(() => Take(limit, moves));
        Assert.Contains("many processes have changed it in turn for 12 s", busy.Message, StringComparison.Ordinal);
        Assert.InRange(moves.Elapsed, limit * 12, limit * 12.1);

        ManualTime ends = null!;
        ends = new ManualTime(runDelays: true, () =>
        {
            held.Remember(++generation);
            if (ends.Elapsed > limit * 6) held.Dispose();
        });
        using var taken = await Take(limit, ends);
        Assert.Equal(generation, taken.Generation);
    }

    [Theory, Trait("case", "L06")]
    [InlineData("link", "link")]
    [InlineData("directory", "")]
    [InlineData("read-only", "mode 444")]
    [InlineData("foreign", "uid")]
    public async Task A_lock_file_that_is_not_ours_to_lock_is_refused_and_left_alone(string kind, string word)
    {
        var path = _room.Directories.ScopeLock;
        _room.Table.Open();
        File.Delete(path);
        switch (kind)
        {
            case "link":
                File.WriteAllText(_room.Root + "/elsewhere", "");
                File.CreateSymbolicLink(path, _room.Root + "/elsewhere");
                break;
            case "directory":
                Directory.CreateDirectory(path);
                break;
            case "read-only":
                File.WriteAllText(path, "");
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
                break;
            default:
                if (Libc.Geteuid() != 0) Assert.Skip("only root can give a file away");
                File.WriteAllText(path, "");
                Chown(path);
                word = "user 65534";
                break;
        }
        if (kind == "read-only" && Libc.Geteuid() != 0) word = "ermission"; // The kernel says so first.
        using var table = _room.NewTable();
        Libc.Identify(path, out var before);
        var refused = await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("lead", "write:/w"), Ct));
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
        Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        Libc.Identify(path, out var after);
        Assert.True(before.IsUnchanged(after) && before.Permissions == after.Permissions && before.Owner == after.Owner);
    }

    [Theory, Trait("case", "C12"), Trait("case", "L06")]
    [InlineData("link", "symbolic link")]
    [InlineData("file", "not a directory")]
    [InlineData("open", "mode 777")]
    [InlineData("foreign", "belongs to uid")]
    public void A_state_or_runtime_directory_that_others_could_change_is_refused_and_left_alone(string kind, string word)
    {
        foreach (var path in (string[])[_room.Directories.State, _room.Directories.Runtime])
        {
            _room.Table.Open(); // The positive control, and the other directory.
            if (kind == "foreign" && Libc.Geteuid() != 0)
            {
                // Only root can give a directory away; anybody can meet one of root's.
                using var table = new ScopeTable(path == _room.Directories.State ? _room.Directories with { State = "/usr" } : _room.Directories with { Runtime = "/usr" }, TimeProvider.System, _room.IsAlive);
                Assert.Contains("/usr belongs to uid 0", Assert.Throws<ScopeException>(table.Open).Message, StringComparison.Ordinal);
                continue;
            }
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            switch (kind)
            {
                case "link":
                    Directory.CreateSymbolicLink(path, _room.Root);
                    break;
                case "file":
                    File.WriteAllText(path, "");
                    break;
                case "open":
                    Directory.CreateDirectory(path);
                    File.SetUnixFileMode(path, (UnixFileMode)0x1ff);
                    break;
                default:
                    Directory.CreateDirectory(path);
                    Chown(path);
                    break;
            }
            Libc.Identify(path, out var before);
            var refused = Assert.Throws<ScopeException>(_room.Table.Open);
            Assert.Contains(path, refused.Message, StringComparison.Ordinal);
            Assert.Contains(word, refused.Message, StringComparison.Ordinal);
            Libc.Identify(path, out var after);
            Assert.True(before.IsSameFile(after) && before.Permissions == after.Permissions && before.Owner == after.Owner);
            if (Directory.Exists(path) && !before.IsLink) Directory.Delete(path, recursive: true);
            else File.Delete(path);
        }
    }

    private static void Chown(string path)
    {
        using var chown = System.Diagnostics.Process.Start("chown", ["65534:65534", path]);
        chown.WaitForExit();
        Assert.Equal(0, chown.ExitCode);
    }

    [Fact]
    public async Task What_a_dead_Pod_left_running_is_ended_before_the_lock_is_taken_and_not_under_it()
    {
        var (dead, next) = (_room.Row("dead", "write:/w"), _room.Row("next", "write:/w"));
        using var table = new ScopeTable(_room.Directories, TimeProvider.System) { Wait = TimeSpan.FromMinutes(2) };
        using (PodLock.TryTake(dead.Directory)!) await table.AcquireAsync(dead, Ct);
        using var command = System.Diagnostics.Process.Start("sleep", "600");
        CommandMarks.Put(dead.Directory, CommandMarks.Look(command.Id)!);
        using var life = PodLock.TryTake(next.Directory)!;
        Task taken;
        using (await Take())
        {
            taken = table.AcquireAsync(next, Ct);
            await command.WaitForExitAsync(Ct).WaitAsync(TimeSpan.FromMinutes(1), Ct); // The lock is ours all the while.
            Assert.False(taken.IsCompleted);
        }
        await taken;
        Assert.Equal(["next"], table.Read().Pods.Select(row => row.Name));
    }
}
