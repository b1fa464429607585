using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Owns this Pod's living children until their end is recorded: watches their processes, and when one is gone gives its scope
/// back, completes its journal and appends <see cref="Entry.ChildEnded"/>, exactly once. Folds the own journal to know, at
/// start, whose end was missed and which spawns were cut off half way.
/// </summary>
internal sealed class ChildKeeper(LaunchDocument own, TimeProvider time) : IJournalFold, IAsyncDisposable
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20), LongestPause = TimeSpan.FromSeconds(1), RetryPause = TimeSpan.FromSeconds(5),
        CaughtUpLimit = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry.ChildSpawned> _open = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Entry.LendIntended> _intended = new(StringComparer.Ordinal);
    private readonly Dictionary<string, KeptChild> _kept = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _restart = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _closing = new();

    /// <summary>Held from the look at who came until that is in the journal: of two children that end at once both would bring the same.</summary>
    private readonly SemaphoreSlim _taking = new(1);

    private IReadOnlyList<LentRules>? _lent;
    private JournalWriter _journal = null!;
    private ScopeTable _table = null!;
    private LiveScope _scope = null!;
    private SpawnUndo? _undo;

    /// <summary>
    /// Raised (on any thread) with a child whose end this process recorded; true if it was seen alive and was not ended by this process. Must not block.
    /// </summary>
    internal event Action<Entry.ChildSpawned, Entry.ChildEnded, bool>? Died;

    /// <summary>Raised (on any thread) with a child's id when its end is in the own journal. Must not block.</summary>
    internal event Action<string>? Ended;

    public void Apply(JournalRecord record)
    {
        lock (_gate)
        {
            if (record.Entry is Entry.ChildSpawned or Entry.ChildEnded or Entry.ChildHandedOver) _lent = null;
            switch (record.Entry)
            {
                case Entry.LendIntended intended: _intended[intended.ChildId] = intended; break;
                case Entry.SpawnFailed failed: _intended.Remove(failed.ChildId); break;
                case Entry.ChildSpawned spawned:
                    _intended.Remove(spawned.ChildId);
                    _open[spawned.ChildId] = spawned;
                    if (spawned.Restart is { } restart) _restart[spawned.ChildId] = restart;
                    break;
                case Entry.ChildEnded ended: _open.Remove(ended.ChildId); break;
                case Entry.ChildHandedOver gone: _open.Remove(gone.ChildId); break;
            }
        }
    }

    /// <summary>
    /// After the journal was replayed: watches the children that live, records the end of those that do not, and undoes spawns
    /// that were cut off by our own death. Returns when that has begun, not when it is done.
    /// </summary>
    internal void Start(JournalWriter journal, ScopeTable table, LiveScope scope)
    {
        (_journal, _table, _scope, _undo) = (journal, table, scope, new SpawnUndo(own, table, journal, time));
        Entry.ChildSpawned[] open;
        Entry.LendIntended[] cutOff;
        lock (_gate) (open, cutOff) = ([.. _open.Values], [.. _intended.Values]);
        var heirs = new Heirs(own, table);
        var (left, came) = heirs.Changed(open, cutOff.Select(spawn => spawn.ChildId).ToHashSet(StringComparer.Ordinal));
        foreach (var child in open.Where(child => left.All(gone => gone.ChildId != child.ChildId)))
        {
            var pod = PodOf(child.Child, child.ChildId);
            Keep(child, pod, pod.FindProcess(child));
        }
        if (left.Count + came.Count + cutOff.Length > 0) Undoing = SettleAsync(left, cutOff);
    }

    /// <summary>Completes when the end of that child, if it is being recorded, is in the own journal.</summary>
    internal async Task SettledAsync(string childId, CancellationToken ct)
    {
        await Undoing.WaitAsync(ct);
        Task? watching;
        lock (_gate) watching = _kept.GetValueOrDefault(childId)?.Watching;
        if (watching is not null) await watching.WaitAsync(ct);
    }

    /// <summary>Waits until the journal has the ends of children whose scope the table has back: whoever hears of an end may use what came back.</summary>
    internal async Task CaughtUpAsync(CancellationToken ct)
    {
        try
        {
            List<Task> going = [];
            foreach (var child in _scope.Back())
            {
                lock (_gate)
                    if (_kept.TryGetValue(child.ChildId, out var kept)) going.Add(kept.Watching);
            }
            await Task.WhenAll(going).WaitAsync(CaughtUpLimit, time, ct);
        }
        catch (Exception e) when (e is TimeoutException or ScopeException)
        {
            // What is there stays lent, and whoever needs it is refused with the reason.
        }
    }

    /// <summary>These are another's from here on; those that are not ours anyway are passed over.</summary>
    internal async Task HandOverAsync(string to, IReadOnlyList<string> childIds)
    {
        KeptChild[] all;
        lock (_gate) all = [.. childIds.Select(id => _kept.GetValueOrDefault(id)).OfType<KeptChild>()];
        foreach (var kept in all)
        {
            await kept.Busy.WaitAsync();
            try
            {
                if (kept.Recorded) continue;
                await _journal.AppendAsync(Durability.Synced, new Entry.ChildHandedOver(kept.Pod.Name, kept.Pod.PodId, to));
                kept.Recorded = true; // Its end is not ours to record.
            }
            finally
            {
                kept.Busy.Release();
            }
        }
    }

    /// <summary>Completes when it was tried to undo the spawns that our own death cut off.</summary>
    internal Task Undoing { get; private set; } = Task.CompletedTask;

    /// <summary>What is left of its last start is being undone.</summary>
    internal bool IsUndoing(string podId) => _undo?.IsOf(podId) == true;

    /// <summary>A spawn that came to nothing and could not be undone yet: it is tried again, and recorded when it is done.</summary>
    internal void UndoLater(Entry.SpawnFailed failed, ProcessExit? exit) => _undo!.Later(failed, exit);

    /// <summary>Watches a child that was just spawned. Takes the process over.</summary>
    internal void Track(Entry.ChildSpawned child, PodProcess process) => Keep(child, PodOf(child.Child, child.ChildId), process);

    /// <summary>What its spawner asked for in case that it crashes.</summary>
    internal string? RestartOf(string childId)
    {
        lock (_gate) return _restart.GetValueOrDefault(childId);
    }

    /// <summary>Ids of children whose end is not recorded yet.</summary>
    internal IReadOnlyList<string> Open
    {
        get { lock (_gate) return [.. _open.Keys]; }
    }

    /// <summary>
    /// What the own journal says is lent for writing: of children whose end is not recorded yet. The table may have it back already.
    /// The same object until that changes.
    /// </summary>
    internal IReadOnlyList<LentRules> Lent
    {
        get { lock (_gate) return _lent ??= [.. _open.Values.Select(LentTo).Where(lent => lent.Rules.Count > 0)]; }
    }

    /// <summary>Stops a child and everything below it; its end is in the own journal when this returns. Idempotent.</summary>
    /// <exception cref="StopException">Something of it still lives.</exception>
    internal async Task<StopOutcome> StopAsync(string name, string childId, bool force, CancellationToken ct)
    {
        var stopper = new TreeStopper(own.Directories, _table, time);
        var pod = PodOf(name, childId);
        KeptChild? kept;
        lock (_gate) kept = _kept.GetValueOrDefault(childId);
        if (kept is null) return await stopper.StopAsync(pod, own.Name, force, ct);
        await kept.Busy.WaitAsync(ct);
        try
        {
            var outcome = await stopper.StopAsync(pod, own.Name, force, ct);
            var exit = kept.Process?.Exited is { IsCompletedSuccessfully: true } exited ? await exited : null;
            await RecordAsync(kept, exit, outcome.Returned, ct);
            return outcome;
        }
        finally
        {
            kept.Busy.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await Undoing;
        if (_undo is not null) await _undo.DisposeAsync();
        KeptChild[] all;
        lock (_gate) all = [.. _kept.Values];
        foreach (var kept in all)
        {
            await kept.Watching;
            kept.Process?.Dispose();
        }
        _closing.Dispose();
        _taking.Dispose();
    }

    private static LentRules LentTo(Entry.ChildSpawned child) =>
        new(child.Child, child.ChildId, [.. child.Rules.Where(rule => rule.Permission == Permission.Write)], child.Generation);

    private KnownPod PodOf(string name, string id) => new(name, id, own.Directories.Pod(name, id));

    private void Keep(Entry.ChildSpawned child, KnownPod pod, PodProcess? process)
    {
        var kept = new KeptChild(child, pod, process);
        lock (_gate) _kept[child.ChildId] = kept;
        kept.Watching = WatchAsync(kept, _closing.Token);
    }

    private async Task WatchAsync(KeptChild kept, CancellationToken ct)
    {
        try
        {
            var exit = kept.Process is { } process ? await process.Exited.WaitAsync(ct) : null;
            while (true)
            {
                // What it started outlives it by a moment. A process that nobody can name may live for days, and of some it cannot be known: a stop
                // must come through meanwhile.
                for (var pause = ShortestPause; !kept.Recorded && kept.Pod.IsAlive; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause) await Task.Delay(pause, time, ct);
                await kept.Busy.WaitAsync(ct); // A stop that is going on records the end in its own words.
                try
                {
                    if (await TryRecordAsync(kept, exit, ct))
                    {
                        lock (_gate)
                        {
                            if (_kept.GetValueOrDefault(kept.Pod.PodId) == kept) _kept.Remove(kept.Pod.PodId);
                        }
                        kept.Process?.Dispose();
                        return;
                    }
                }
                finally
                {
                    kept.Busy.Release();
                }
                await Task.Delay(RetryPause, time, ct);
            }
        }
        catch (OperationCanceledException)
        {
            // We end first; whoever opens our journal next finds the child without an end.
        }
    }

    /// <summary>False if it lives again, or the table or a disk would not let us: a lock is held, or there is no space. Tried again.</summary>
    private async Task<bool> TryRecordAsync(KeptChild kept, ProcessExit? exit, CancellationToken ct)
    {
        try
        {
            if (!kept.Recorded && kept.Pod.IsAlive) return false;
            await RecordAsync(kept, exit, null, ct);
            return true;
        }
        catch (Exception e) when (e is ScopeException or IOException or UnauthorizedAccessException)
        {
            if (!kept.Reported) await ReportAsync($"pod `{kept.Pod.Name}` has ended, but its scope could not be taken back yet: {e.Message}");
            kept.Reported = true;
            return false;
        }
        catch (JournalException)
        {
            return false; // Nothing of the entry is in the journal.
        }
    }

    private async Task ReportAsync(string trouble)
    {
        try
        {
            await _journal.AppendAsync(Durability.Written, new Entry.Notification("error", "spawning", trouble));
        }
        catch (JournalException)
        {
            // The next try says it, or has nothing to say.
        }
    }

    /// <param name="returned">What a stop of ours gave back; null if it ended without that.</param>
    private async Task RecordAsync(KeptChild kept, ProcessExit? exit, IReadOnlyList<ScopeRule>? returned, CancellationToken ct)
    {
        if (kept.Recorded) return;
        var back = returned ?? await _table.ReleaseAsync(kept.Pod.PodId, ct);
        own.Directories.RemoveRuntimeFiles(kept.Pod.PodId); // Before its end stands in its journal: of an ended Pod nobody looks for them.
        var end = await EndOfAsync(kept.Pod, exit, back, ct);
        if (back.Count == 0) back = end.Returned.Count > 0 ? end.Returned : kept.Child.Rules;
        var ended = new Entry.ChildEnded(kept.Pod.Name, kept.Pod.PodId, end.Reason, end.By, end.Detail, back);
        var came = await AppendAsync(kept.Pod, ended, ct);
        kept.Recorded = true;
        Adopt(came);
        Ended?.Invoke(kept.Pod.PodId);
        Died?.Invoke(kept.Child, ended, kept.WasAlive && returned is null);
    }

    /// <summary>Appends the end of a child, and with it those below it that are ours from here on.</summary>
    /// <returns>Those.</returns>
    private async Task<IReadOnlyList<Entry.ChildSpawned>> AppendAsync(KnownPod pod, Entry.ChildEnded ended, CancellationToken ct)
    {
        await _taking.WaitAsync(ct);
        try
        {
            var policy = _scope.Current();
            HashSet<string> known;
            lock (_gate) known = [.. _open.Keys, .. _intended.Keys];
            var came = new Heirs(own, _table).Of(pod, known);
            await _journal.AppendAsync(Durability.Synced,
            [
                ended,
                new Entry.ScopeChanged(policy.Rules, [.. policy.Lent.Where(lent => lent.ChildId != pod.PodId)], policy.Generation, $"pod `{pod.Name}` ended"),
                .. came,
                .. Heirs.Words(came),
            ]);
            return came;
        }
        finally
        {
            _taking.Release();
        }
    }

    /// <summary>Its recorded end; where its journal cannot be written, the end as we know it.</summary>
    private async Task<Entry.PodEnded> EndOfAsync(KnownPod pod, ProcessExit? exit, IReadOnlyList<ScopeRule> back, CancellationToken ct)
    {
        try
        {
            return await EndRecord.CompleteAsync(pod, exit, back, own.Name, time, ct);
        }
        catch (Exception e) when (e is JournalException or IOException or UnauthorizedAccessException)
        {
            var (reason, detail) = (exit ?? new ProcessExit(null, null)).AsEnd();
            return new Entry.PodEnded(reason, null, $"{detail}; its own journal could not record that: {e.Message}", back, new Totals());
        }
    }

    private void Adopt(IReadOnlyList<Entry.ChildSpawned> came)
    {
        foreach (var child in came)
        {
            var pod = PodOf(child.Child, child.ChildId);
            Keep(child, pod, pod.FindProcess(child));
        }
    }

    private async Task SettleAsync(IReadOnlyList<Entry.ChildHandedOver> left, Entry.LendIntended[] cutOff)
    {
        try
        {
            Adopt(await AppendAsync(left));
        }
        catch (JournalException)
        {
            return; // The table still says whose they are: the next start finds them.
        }
        foreach (var spawn in cutOff) await _undo!.BeginAsync(new Entry.SpawnFailed(spawn.Child, spawn.ChildId, "interrupted", "this Pod ended before the spawn was complete"));
    }

    /// <summary>The same at the start, of what came while this Pod was gone.</summary>
    private async Task<IReadOnlyList<Entry.ChildSpawned>> AppendAsync(IReadOnlyList<Entry.ChildHandedOver> left)
    {
        await _taking.WaitAsync();
        try
        {
            Entry.ChildSpawned[] open;
            HashSet<string> starting;
            lock (_gate) (open, starting) = ([.. _open.Values], [.. _intended.Keys]);
            var came = new Heirs(own, _table).Changed(open, starting).Came;
            if (left.Count + came.Count > 0) await _journal.AppendAsync(Durability.Synced, [.. left, .. came]);
            return came;
        }
        finally
        {
            _taking.Release();
        }
    }
}
