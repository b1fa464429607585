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
        await using var lead = await Lead.MakeAsync(_root, new ManualTime(runDelays: true));
        var full = 0;
        await lead.Journal.AppendAsync(Durability.Synced, Spawned("kid", "0001"));
        lead.File.OnWrite = () => full++ < 2 ? (Errno.NoSpc, 10) : null;
        var ended = new TaskCompletionSource<string>();
        lead.Keeper.Ended += ended.SetResult;

        lead.Start();

        Assert.Equal("0001", await ended.Task.WaitAsync(TimeSpan.FromSeconds(20), Ct));
        await lead.Keeper.DisposeAsync();
        Assert.Equal(PodEnd.Lost, Assert.Single(lead.Entries.OfType<Entry.ChildEnded>()).Reason);
        Assert.True(full > 2, "the disk was never full");
    }

    [Fact]
    public async Task What_an_ended_child_gave_back_is_written_again_when_the_journal_has_its_end_and_not_before()
    {
        await using var lead = await Lead.MakeAsync(_root, new ManualTime(runDelays: true));
        ScopeRule part = new($"{_root.Work}/part", Permission.Write);
        var kid = await Stand.MakeAsync(lead, _root.Document("kid", new([part], [])), lead.Own);
        await lead.Journal.AppendAsync(Durability.Synced, Spawned("kid", kid.Own.PodId) with { Rules = [part] });
        kid.Dispose();
        await lead.Table.ReleaseAsync(kid.Own.PodId, Ct); // As a child does, last thing.
        List<Access> meanwhile = [];
        lead.File.OnWrite = () =>
        {
            if (meanwhile.Count == 2) return null;
            meanwhile.Add(lead.Scope.Current().AccessAt(part.Target));
            return (Errno.NoSpc, 10);
        };
        var ended = new TaskCompletionSource<string>();
        lead.Keeper.Ended += ended.SetResult;
        Assert.Equal("kid", lead.Scope.Current().Decide(part.Target).Holder?.Child);
        Assert.Equal(Access.Write, lead.Scope.Current().AccessAt($"{_root.Work}/other"));

        lead.Start();
        await ended.Task.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        await lead.Keeper.DisposeAsync();

        Assert.Equal([Access.Read, Access.Read], meanwhile);
        Assert.Equal(Access.Write, lead.Scope.Current().AccessAt(part.Target));
        Assert.Empty(Assert.Single(lead.Entries.OfType<Entry.ScopeChanged>()).Lent);
    }

    [Fact]
    public async Task A_child_of_which_nobody_can_say_whether_it_lives_keeps_neither_a_stop_nor_a_handing_over_waiting()
    {
        await using var lead = await Lead.MakeAsync(_root, TimeProvider.System);
        await lead.Journal.AppendAsync(Durability.Synced, Spawned("kid", "0001"));
        var kid = new KnownPod("kid", "0001", _root.Directories.Pod("kid", "0001"));
        Directory.CreateDirectory(kid.Directory);
        File.CreateSymbolicLink(Path.Combine(kid.Directory, PodFiles.Lock), PodFiles.Lock); // No lock file is to be a link.
        Assert.True(kid.IsAlive);

        lead.Start();

        var refused = await Assert.ThrowsAsync<StopException>(() => lead.Keeper.StopAsync("kid", "0001", force: true, Ct).WaitAsync(TimeSpan.FromMinutes(1), Ct));
        Assert.Contains("still holds its life-lock", refused.Message, StringComparison.Ordinal);
        await lead.Keeper.HandOverAsync("mid", ["0001"]).WaitAsync(TimeSpan.FromMinutes(1), Ct);
        await lead.Keeper.SettledAsync("0001", Ct).WaitAsync(TimeSpan.FromMinutes(1), Ct);
        await lead.Keeper.DisposeAsync();
        Assert.Equal("0001", Assert.Single(lead.Entries.OfType<Entry.ChildHandedOver>()).ChildId);
        Assert.Empty(lead.Entries.OfType<Entry.ChildEnded>()); // Of that nobody knows.
    }

    [Fact, Trait("case", "G10")]
    public async Task A_child_whose_journal_cannot_be_read_keeps_nobody_from_coming_back()
    {
        await using var lead = await Lead.MakeAsync(_root, TimeProvider.System);
        await lead.Journal.AppendAsync(Durability.Synced, Spawned("kid", "0001"));
        var kid = new KnownPod("kid", "0001", _root.Directories.Pod("kid", "0001"));
        using var orphan = await Stand.MakeAsync(lead, _root.Document("orphan", ScopeRules.None), lead.Own);
        foreach (var pod in new[] { kid, orphan.Pod })
        {
            Directory.CreateDirectory(pod.Directory);
            File.Delete($"{pod.Directory}/{PodFiles.Journal}");
            File.CreateSymbolicLink($"{pod.Directory}/{PodFiles.Journal}", PodFiles.Journal); // No journal is to be a link.
        }
        var ended = new TaskCompletionSource<string>();
        lead.Keeper.Ended += ended.SetResult;

        lead.Start();

        Assert.Equal("0001", await ended.Task.WaitAsync(TimeSpan.FromMinutes(1), Ct));
        await lead.Keeper.Undoing.WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Contains("0001", lead.Entries.OfType<Entry.ChildEnded>().Select(end => end.ChildId));
        Assert.Contains("orphan", lead.Entries.OfType<Entry.ChildSpawned>().Select(child => child.Child));
        await lead.Keeper.DisposeAsync();
    }

    [Fact, Trait("case", "T32")]
    public async Task Of_children_that_end_at_once_each_brings_its_own_and_once()
    {
        await using var lead = await Lead.MakeAsync(_root, TimeProvider.System);
        var below = _root.Document("leaf", ScopeRules.None);
        using var middle = await Stand.MakeAsync(lead, _root.Document("middle", ScopeRules.None), lead.Own, Spawned("leaf", below.PodId));
        using var leaf = await Stand.MakeAsync(lead, below, middle.Own);
        List<Stand> others = [];
        for (var i = 0; i < 6; i++) others.Add(await Stand.MakeAsync(lead, _root.Document($"other-{i}", ScopeRules.None), lead.Own));
        foreach (var child in others.Prepend(middle)) await lead.Journal.AppendAsync(Durability.Synced, Spawned(child.Own.Name, child.Own.PodId));
        using var ended = new CountdownEvent(others.Count + 1);
        using var allDead = new ManualResetEventSlim();
        lead.Keeper.Ended += _ => ended.Signal();
        lead.Start();
        // While the end of the one that has a child is on its way to the disk, all others end, too.
        lead.File.OnFlush = () =>
        {
            others.ForEach(child => child.Dispose());
            return allDead.Wait(TimeSpan.FromMinutes(1)) ? null : Errno.Io;
        };

        middle.Dispose();
        await Eventually.Holds(() => others.TrueForAll(child => EndRecord.Of(child.Pod) is not null));
        allDead.Set();

        Assert.True(await Task.Run(() => ended.Wait(TimeSpan.FromMinutes(1)), Ct));
        await lead.Keeper.DisposeAsync();
        Assert.Equal("middle", Assert.Single(lead.Entries.OfType<Entry.ChildSpawned>(), child => child.Child == "leaf").From);
        Assert.Contains("pod `middle` has ended", Assert.Single(lead.Entries.OfType<Entry.Correction>()).Text, StringComparison.Ordinal);
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static Entry.ChildSpawned Spawned(string name, string id) => new(name, id, -1, "0", "no boot", [], 1, null);

    /// <summary>A Pod in this process, as far as its keeper of children needs one.</summary>
    private sealed class Lead(LaunchDocument own, ScopeTable table, PodLock podLock, LiveScope scope, ChildKeeper keeper, string directory) : IAsyncDisposable
    {
        internal LaunchDocument Own => own;
        internal LiveScope Scope => scope;
        internal ScopeTable Table => table;
        internal ChildKeeper Keeper => keeper;
        internal FaultyFile File { get; private set; } = null!;
        internal JournalWriter Journal { get; private set; } = null!;

        internal IReadOnlyList<Entry> Entries => [.. new JournalReader(Path.Combine(directory, PodFiles.Journal)).ReadAfter(Cursor.Start, out _).Select(record => record.Entry)];

        internal static async Task<Lead> MakeAsync(SpawningRoot root, TimeProvider time)
        {
            var own = root.Document("lead");
            var table = new ScopeTable(root.Directories, TimeProvider.System);
            table.Open();
            var directory = root.Directories.Pod(own.Name, own.PodId);
            var podLock = PodLock.TryTake(directory)!;
            await table.AcquireAsync(new TableRow(own.PodId, own.Name, directory, null, own.RootId, 0, false, 0, own.Scope, own.Limits, Environment.ProcessId), Ct);
            var keeper = new ChildKeeper(own, time);
            var lead = new Lead(own, table, podLock, new LiveScope(root.Directories, own.PodId, lent: () => keeper.Lent), keeper, directory);
            lead.Journal = JournalWriter.Open(directory, podLock, [lead.Keeper], TimeProvider.System, path => lead.File = new FaultyFile(path));
            return lead;
        }

        internal void Start() => keeper.Start(Journal, table, scope);

        public async ValueTask DisposeAsync()
        {
            await Journal.DisposeAsync();
            scope.Dispose();
            table.Dispose();
            podLock.Dispose();
        }
    }

    /// <summary>A Pod of which there are lock, row and journal, and no process: it lives until this is disposed.</summary>
    private sealed class Stand(LaunchDocument own, PodLock podLock) : IDisposable
    {
        internal LaunchDocument Own => own;
        internal KnownPod Pod { get; } = new(own.Name, own.PodId, own.Directories.Pod(own.Name, own.PodId));

        internal static async Task<Stand> MakeAsync(Lead lead, LaunchDocument own, LaunchDocument spawner, params IReadOnlyList<Entry> more)
        {
            var directory = own.Directories.Pod(own.Name, own.PodId);
            var podLock = PodLock.TryTake(directory)!;
            var generation = await lead.Table.LendAsync(spawner.PodId, new TableRow(own.PodId, own.Name, directory, spawner.PodId, lead.Own.RootId, 1, true, 0, own.Scope, own.Limits, null), Ct);
            await lead.Table.AdoptAsync(own.PodId, generation, Environment.ProcessId, Ct);
            await using var journal = JournalWriter.Open(directory, podLock, [], TimeProvider.System);
            await journal.AppendAsync(Durability.Synced, [new Entry.PodCreated(
                JournalCodec.Version, own.PodId, own.Name, own.Cwd, own.Model, own.Scope, 1, new SpawnerRef(spawner.Name, spawner.PodId, ""), 1, null, own.Limits, "none", "test"), .. more]);
            return new(own, podLock);
        }

        public void Dispose() => podLock.Dispose();
    }
}
