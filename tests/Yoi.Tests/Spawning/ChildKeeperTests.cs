using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Journal;
using Yoi.Tests.Models;

namespace Yoi.Tests.Spawning;

public sealed class ChildKeeperTests : IDisposable
{
    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    [Fact]
    public async Task The_end_of_a_child_that_a_full_disk_kept_out_of_the_journal_is_recorded_when_there_is_space_again()
    {
        var own = _root.Document("lead");
        var directory = _root.Directories.Pod(own.Name, own.PodId);
        using var table = new ScopeTable(_root.Directories, TimeProvider.System);
        table.Open();
        using var podLock = PodLock.TryTake(directory)!;
        await table.AcquireAsync(
            new TableRow(own.PodId, own.Name, directory, null, own.RootId, 0, false, 0, own.Scope, own.Limits, Environment.ProcessId), TestContext.Current.CancellationToken);
        using var scope = new LiveScope(_root.Directories, own.PodId);
        FaultyFile? file = null;
        var full = 0;
        var keeper = new ChildKeeper(own, new ManualTime(runDelays: true));
        await using var journal = JournalWriter.Open(directory, podLock, [keeper], TimeProvider.System, path => file = new FaultyFile(path));
        await journal.AppendAsync(Durability.Synced, new Entry.ChildSpawned("kid", "0001", -1, "0", "no boot", [], 1, null));
        file!.OnWrite = () => full++ < 2 ? (Errno.NoSpc, 10) : null;
        var ended = new TaskCompletionSource<string>();
        keeper.Ended += ended.SetResult;

        keeper.Start(journal, table, scope);

        Assert.Equal("0001", await ended.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        await keeper.DisposeAsync();
        var entries = new JournalReader(Path.Combine(directory, PodFiles.Journal)).ReadAfter(Cursor.Start, out _).Select(record => record.Entry);
        Assert.Equal(PodEnd.Lost, Assert.Single(entries.OfType<Entry.ChildEnded>()).Reason);
        Assert.True(full > 2, "the disk was never full");
    }

    [Fact]
    public async Task A_child_of_which_nobody_can_say_whether_it_lives_keeps_neither_a_stop_nor_a_handing_over_waiting()
    {
        var own = _root.Document("lead");
        var directory = _root.Directories.Pod(own.Name, own.PodId);
        using var table = new ScopeTable(_root.Directories, TimeProvider.System);
        table.Open();
        using var podLock = PodLock.TryTake(directory)!;
        await table.AcquireAsync(
            new TableRow(own.PodId, own.Name, directory, null, own.RootId, 0, false, 0, own.Scope, own.Limits, Environment.ProcessId), TestContext.Current.CancellationToken);
        using var scope = new LiveScope(_root.Directories, own.PodId);
        var keeper = new ChildKeeper(own, TimeProvider.System);
        await using var journal = JournalWriter.Open(directory, podLock, [keeper], TimeProvider.System);
        await journal.AppendAsync(Durability.Synced, new Entry.ChildSpawned("kid", "0001", -1, "0", "no boot", [], 1, null));
        var kid = new KnownPod("kid", "0001", _root.Directories.Pod("kid", "0001"));
        Directory.CreateDirectory(kid.Directory);
        File.CreateSymbolicLink(Path.Combine(kid.Directory, PodFiles.Lock), PodFiles.Lock); // No lock file is to be a link.
        Assert.True(kid.IsAlive);

        keeper.Start(journal, table, scope);

        var refused = await Assert.ThrowsAsync<StopException>(() => keeper.StopAsync("kid", "0001", force: true, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
        Assert.Contains("still holds its life-lock", refused.Message, StringComparison.Ordinal);
        await keeper.HandOverAsync("mid", ["0001"]).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        await keeper.SettledAsync("0001", TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        await keeper.DisposeAsync();
        var entries = new JournalReader(Path.Combine(directory, PodFiles.Journal)).ReadAfter(Cursor.Start, out _).Select(record => record.Entry).ToList();
        Assert.Equal("0001", Assert.Single(entries.OfType<Entry.ChildHandedOver>()).ChildId);
        Assert.Empty(entries.OfType<Entry.ChildEnded>()); // Of that nobody knows.
    }
}
