using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Who may write what, now, over all Pods of this user and state root. Every change is made under <c>scopes.lock</c>,
/// by write-aside, fsync, rename and fsync of the directory. Reads take no lock. Unreadable content fails closed.
/// Dead Pods' rows are dropped under the lock (their children move to the nearest living ancestor): all when a root starts, else
/// those of the tree that changes.
/// </summary>
internal sealed class ScopeTable(YoiDirectories directories, TimeProvider time, Func<string, bool>? isAlive = null) : IDisposable
{
    /// <summary>Longest wait for the lock before the refusal that names its holder.</summary>
    internal static readonly TimeSpan LockWait = TimeSpan.FromSeconds(5);

    private readonly Func<string, bool> _isAlive = isAlive ?? PodLock.MayLive;
    private readonly TableFile _file = new(directories);
    private readonly SemaphoreSlim _turn = new(1, 1);

    private readonly List<string> _found = [];

    /// <summary>What this process writes into the lock file; a Pod's name once it has a row.</summary>
    private volatile string _name = "yoi";

    /// <summary>Longest wait of this one.</summary>
    internal TimeSpan Wait { get; init; } = LockWait;

    /// <summary>What was found of dead Pods' commands as their scopes were taken back through this one.</summary>
    internal IReadOnlyList<string> Found
    {
        get { lock (_found) return [.. _found]; }
    }

    /// <summary>Makes and checks the directories and the lock file. To be called before the Pod takes its life-lock.</summary>
    /// <exception cref="ScopeException">They are not this user's alone.</exception>
    internal void Open() => StateRoot.Open(directories, _isAlive, alsoRuntime: true);

    /// <summary>The table as it is; an absent file is an empty table only if no Pod has ever held a scope, or none lives.</summary>
    /// <exception cref="ScopeException">Unreadable or impossible content; names the repair command.</exception>
    internal TableDocument Read()
    {
        if (_file.Read() is { } table) return table;
        try
        {
            using var file = PrivateFile.OpenToRead(directories.ScopeLock);
            return Absent(file is null ? null : LockText.Read(file).Generation, own: null);
        }
        catch (IOException e)
        {
            throw _file.Untrusted(e.Message, e);
        }
    }

    /// <summary>A root Pod takes its scope. The caller holds its own <c>pod.lock</c>.</summary>
    /// <returns>The row's generation.</returns>
    /// <exception cref="ScopeException">Held by another (names it), name in use, or busy.</exception>
    internal async Task<long> AcquireAsync(TableRow row, CancellationToken ct)
    {
        _name = row.Name;
        var table = await ChangeAsync(null, table => TableChange.Acquire(Living(table, _ => true), row), row.Directory, ct);
        return table.Find(row.PodId)!.Generation;
    }

    /// <summary>
    /// A restored Pod takes back what it had, its living descendants with it. The caller holds its own <c>pod.lock</c>, and nobody
    /// above it lives.
    /// </summary>
    /// <param name="spawnerOf">Who spawned a Pod, as its journal says.</param>
    /// <param name="withoutHeld">True: without the right to write what others hold by now.</param>
    /// <returns>The row as it is now.</returns>
    /// <exception cref="ScopeException">Held by another (names it), name in use, or busy.</exception>
    internal async Task<TableRow> TakeBackAsync(TableRow row, Func<string, string?> spawnerOf, bool withoutHeld, CancellationToken ct)
    {
        _name = row.Name;
        var table = await ChangeAsync(null, table => TableReturn.TakeBack(Living(table, _ => true), row, spawnerOf, withoutHeld), row.Directory, ct);
        return table.Find(row.PodId)!;
    }

    /// <summary>A spawner lends: checks subset, overlap, name, children, depth and tree limits, adds the child's row as pending.</summary>
    /// <returns>The grant's generation.</returns>
    internal async Task<long> LendAsync(string spawnerId, TableRow child, CancellationToken ct)
    {
        var table = await ChangeAsync(spawnerId, table => TableChange.Lend(LivingTree(table, spawnerId, child.Name), spawnerId, child), null, ct);
        return table.Find(child.PodId)!.Generation;
    }

    /// <summary>The same for a Pod that comes back below a living one: its own living descendants come below it again.</summary>
    /// <param name="spawnerOf">Who spawned a Pod, as its journal says.</param>
    /// <param name="withoutHeld">True: rules that cannot be lent by now are only read, or left out.</param>
    /// <returns>The child's row.</returns>
    internal async Task<TableRow> LendAgainAsync(string spawnerId, TableRow child, Func<string, string?> spawnerOf, bool withoutHeld, CancellationToken ct)
    {
        var table = await ChangeAsync(spawnerId, table => TableReturn.LendAgain(LivingTree(table, spawnerId, child.Name), spawnerId, child, spawnerOf, withoutHeld), null, ct);
        return table.Find(child.PodId)!;
    }

    /// <summary>The child takes its pending grant. The caller holds its own <c>pod.lock</c>.</summary>
    /// <exception cref="ScopeException">The grant was withdrawn or has another generation: the child exits, having touched nothing.</exception>
    internal async Task AdoptAsync(string childId, long generation, int pid, CancellationToken ct)
    {
        var table = await ChangeAsync(childId, table => TableChange.Adopt(LivingTree(table, childId), childId, generation, pid), null, ct);
        _name = table.Find(childId)!.Name;
    }

    /// <summary>
    /// Takes a Pod's row out: a withdrawn pending grant, a stopped Pod, the Pod's own exit. Its children move up. A second time
    /// changes nothing. The caller has verified that nothing of the Pod can write any more, or is the Pod itself, last thing.
    /// </summary>
    /// <returns>The rules that went back; empty if there was no row.</returns>
    internal async Task<IReadOnlyList<ScopeRule>> ReleaseAsync(string podId, CancellationToken ct)
    {
        IReadOnlyList<ScopeRule> returned = [];
        await ChangeAsync(
            podId,
            table =>
            {
                // First the row, then the dead: a stopped Pod is dead already, and what it held is still to be told.
                if (table.Find(podId) is not { } row) return table;
                returned = row.Scope.Allow;
                var left = TableChange.Without(table, new HashSet<string>(StringComparer.Ordinal) { podId });
                return Living(left, other => other.RootId == row.RootId);
            },
            null, ct);
        return returned;
    }

    /// <summary>
    /// By hand: a table that cannot be used, or is gone, is made anew from the journals; the old one is kept beside it. One that can be
    /// used only loses the rows of the dead.
    /// </summary>
    /// <returns>Null if nothing was wrong with it; else the new one.</returns>
    /// <exception cref="ScopeException">It is of a newer yoi, or a living Pod's journal does not say what it holds.</exception>
    internal async Task<RebuiltTable?> RepairAsync(CancellationToken ct)
    {
        RebuiltTable? made = null;
        await Task.Run(
            async () =>
            {
                using var held = await TableLock.TakeAsync(directories, _isAlive, time, _name, Wait, ct);
                var good = _file.ReadIfGood();
                made = good is null ? TableRebuild.FromJournals(directories, _isAlive, held.Generation, own: null, strict: false) : null;
                var after = made?.Table ?? Living(good!, _ => true);
                if (ReferenceEquals(after, good)) return;
                foreach (var row in good is null ? [] : TableChange.Gone(good, after)) Settle(row, isDropped: true);
                if (made is not null) _file.PutAside();
                _file.Replace(after);
                held.Remember(after.Generation);
            },
            ct);
        return made;
    }

    public void Dispose()
    {
        _file.Dispose();
        _turn.Dispose();
    }

    /// <summary>One change under the lock. Off the caller's thread: a disk may stall.</summary>
    /// <param name="near">The change looks at the tree of this Pod only; null: at everybody's.</param>
    private Task<TableDocument> ChangeAsync(string? near, Func<TableDocument, TableDocument> change, string? own, CancellationToken ct) => Task.Run(
        async () =>
        {
            await _turn.WaitAsync(ct);
            try
            {
                EndWhatTheDeadLeft(near);
                using var held = await TableLock.TakeAsync(directories, _isAlive, time, _name, Wait, ct);
                var found = _file.Read();
                var before = found ?? Lost(held.Generation, own);
                var after = change(before);
                if (own is not null) Settle(own);
                if (ReferenceEquals(after, found)) return after;
                foreach (var row in TableChange.Gone(before, after)) Settle(row, isDropped: row.PodId != near);
                _file.Replace(after);
                held.Remember(after.Generation);
                return after;
            }
            catch (IOException e)
            {
                throw new ScopeException($"the scope table was not changed: {e.Message}", cause: e);
            }
            finally
            {
                _turn.Release();
            }
        },
        ct);

    /// <summary>
    /// To ask who lives ends what the dead left running, which can take seconds: that is over before the lock is taken, for which others wait.
    /// Under it everybody is asked again.
    /// </summary>
    private void EndWhatTheDeadLeft(string? near)
    {
        if (_file.Read() is not { } table) return;
        var root = near is null ? null : table.Find(near)?.RootId;
        foreach (var row in table.Pods)
            if (near is null || row.RootId == root) _ = _isAlive(row.Directory);
    }

    /// <param name="isDropped">True: it is that of a Pod found dead. Whoever drops it is the last that looks at one whose spawner was killed, too.</param>
    private void Settle(TableRow gone, bool isDropped)
    {
        Settle(gone.Directory);
        if (isDropped) directories.RemoveRuntimeFiles(gone.PodId);
    }

    /// <summary>No scope is given on before what a dead Pod's commands and its last write left is dealt with.</summary>
    private void Settle(string podDirectory)
    {
        var found = DeniedNames.SettleLeft(podDirectory, time);
        var spare = SpareMark.Settle(podDirectory);
        lock (_found)
        {
            _found.AddRange(found);
            if (spare is not null) _found.Add(spare);
        }
    }

    private TableDocument Living(TableDocument table, Func<TableRow, bool> concerns) => TableChange.WithoutDead(table, _isAlive, concerns);

    private TableDocument LivingTree(TableDocument table, string podId, string? name = null)
    {
        var root = table.Find(podId)?.RootId;
        return Living(table, row => row.RootId == root || row.Name == name);
    }

    private TableDocument Absent(long? generation, string? own)
    {
        if (generation == 0) return TableDocument.Empty(0);
        if (StateRoot.AnyAlive(directories, _isAlive, own)) throw _file.Untrusted("it is missing, and Pods are living that hold scopes");
        return TableDocument.Empty(generation ?? 0);
    }

    /// <summary>A table that was and is gone is made anew; one that never was is empty.</summary>
    private TableDocument Lost(long? generation, string? own) =>
        generation == 0 ? TableDocument.Empty(0) : TableRebuild.FromJournals(directories, _isAlive, generation, own, strict: true).Table;
}
