using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Control;

/// <summary>
/// Decides what each method does in each state, one run at a time. Decisions are made under one lock and wait for nothing;
/// the journal's appends and the run itself are tasks of their own, so that <c>status</c> and <c>cancel</c> answer on a
/// stalled disk. What happened comes out of the journal.
/// </summary>
internal sealed class PodController : IAsyncDisposable
{
    private static readonly TimeSpan NewsDelay = TimeSpan.FromMilliseconds(200), DiskPause = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly PodLedger _ledger;
    private readonly JournalWriter _journal;
    private readonly RunWorker _worker;
    private readonly NewsDesk _news;
    private readonly StatusSource _status;
    private readonly Func<IReadOnlyList<ScopeRule>> _held;
    private readonly Func<Task> _beforeEnd;
    private readonly ITimer _newsTimer;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Below: only under _gate.
    private Task _working = Task.CompletedTask;
    private RunControl? _running;
    private string? _stoppedBy;
    private Entry.RunEnded? _owed;
    private string? _unbegun;
    private bool _resting;

    /// <param name="held">The rules that go back when the Pod ends.</param>
    /// <param name="beforeEnd">Ends what the Pod has running, before its end entry: nothing is appended behind that.</param>
    internal PodController(
        PodLedger ledger, JournalWriter journal, RunWorker worker, NewsDesk news, StatusSource status,
        Func<IReadOnlyList<ScopeRule>> held, TimeProvider time, Func<Task>? beforeEnd = null)
    {
        (_ledger, _journal, _worker, _news, _status, _held) = (ledger, journal, worker, news, status, held);
        _beforeEnd = beforeEnd ?? (() => Task.CompletedTask);
        _newsTimer = time.CreateTimer(_ => StartWaiting(again: true), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _news.Arrived += OnNews;
    }

    /// <summary>Brings an ended Pod back below this one.</summary>
    /// <exception cref="RefusedException">It came to nothing.</exception>
    internal Func<Method.Restore, Task> Restore { private get; init; } = _ => throw new RefusedException(ErrorCode.NotRestored, "this Pod restores none");

    /// <summary>Completes when the Pod has ended its work and written its end entry; the process may exit. Faults if a run failed by our own mistake.</summary>
    internal Task Completion => _completion.Task;

    /// <summary>
    /// Does what a client asks. Completes when it is accepted (journalled as durable as the method demands), not when it has
    /// run its course. <c>hello</c>, <c>read</c>, <c>attach</c> and <c>get_history</c> are the connection's own business.
    /// </summary>
    /// <exception cref="RefusedException">Refused, with a code and what would have worked.</exception>
    internal async Task<ReplyResult> HandleAsync(Method method, Caller caller)
    {
        try
        {
            return method switch
            {
                Method.Run run => await RunAsync(run, caller),
                Method.Notify notify => await NotifyAsync(notify),
                Method.Resume => await Resume(caller),
                Method.Cancel => await CancelAsync(caller),
                Method.Pause => Pause(caller),
                Method.Shutdown => Shutdown(caller.Name),
                Method.Poke poke => Poke(poke, caller),
                Method.Restore restore => await RestoreAsync(restore),
                Method.Status => new ReplyResult.Status(Status()),
                _ => throw new RefusedException(ErrorCode.UnknownMethod, $"the controller does not take {method.GetType().Name}"),
            };
        }
        catch (JournalException e)
        {
            throw new RefusedException(ErrorCode.DiskError, $"not accepted: {e.Message}");
        }
    }

    /// <summary>What the Pod does now. Never waits for anything.</summary>
    internal PodStatus Status()
    {
        PodState state;
        long head;
        string? trouble;
        lock (_gate)
        {
            // Of one moment: who reads on from there misses no end of what the state says.
            lock (_ledger.Gate) (state, head) = (State_NeedsLock(), _ledger.LastSeq);
            // What a run begins with is written behind all that was owed. The newest failure: a disk that was full may fail for good by now.
            var why = _running is { Begun: true } ? null : _unbegun ?? _owed?.Detail;
            trouble = why is null ? null : $"disk: {why}";
        }
        return _status.Make(state, head, trouble);
    }

    /// <summary>A Pod that lived before starts nothing by itself: what waits, waits until somebody gives it work or says <c>resume</c>.</summary>
    internal void Rest()
    {
        lock (_gate) _resting = true;
    }

    /// <summary>Starts what waits: queued input first, then news that no request contains. Called once after the composition is complete.</summary>
    internal void StartWaiting() => StartWaiting(again: false);

    /// <param name="again">Also where the journal could not be written before: by now there may be space.</param>
    private void StartWaiting(bool again)
    {
        lock (_gate)
        {
            if (_resting || State_NeedsLock() != PodState.Idle || (_owed is not null && !again)) return;
            if (Waiting_NeedsLock() is { } cause) Begin_NeedsLock(cause);
        }
    }

    private RunCause? Waiting_NeedsLock()
    {
        lock (_ledger.Gate)
        {
            if (_ledger.FirstQueued is { } queued) return new RunCause.Queued(queued);
            return _ledger.WakingNotice is not null || _news.Untold > 0 ? new RunCause.Notices() : null;
        }
    }

    // ---- methods ----

    private async Task<ReplyResult> RunAsync(Method.Run run, Caller caller)
    {
        var from = run.From ?? (caller.ChildId is null ? "human" : caller.Name);
        Task<long>? begun = null;
        Task<ReplyResult>? journalled = null;
        lock (_gate)
        {
            RefuseIfStopping_NeedsLock();
            if (Active_NeedsLock() is null) begun = Begin_NeedsLock(new RunCause.Fresh(new Entry.Input(run.Input, from)));
            else if (run.Mode == SendMode.Reject)
                throw new RefusedException(ErrorCode.AlreadyRunning, "Pod is already executing a turn; wait for it, or send with mode \"queue\"", ["queue"]);
            else journalled = JournalAsync_NeedsLock(new Entry.Input(run.Input, from, Queued: true), queued: true);
        }
        return journalled is not null ? await journalled : Accepted(await begun!);
    }

    private static ReplyResult.Accepted Accepted(long seq)
    {
        Failpoint.Pass(Failpoints.ChildAccepted);
        return new ReplyResult.Accepted(seq);
    }

    private async Task<ReplyResult> NotifyAsync(Method.Notify notify)
    {
        var entry = new Entry.Notify(notify.Source, notify.Message);
        Task<long>? begun = null;
        Task<ReplyResult>? journalled = null;
        lock (_gate)
        {
            RefuseIfStopping_NeedsLock();
            if (State_NeedsLock() == PodState.Idle) begun = Begin_NeedsLock(new RunCause.Fresh(entry));
            else journalled = JournalAsync_NeedsLock(entry, queued: false);
        }
        return journalled is not null ? await journalled : new ReplyResult.Accepted(await begun!);
    }

    /// <summary>Asked for under the lock, so that what is accepted stands before the Pod's end.</summary>
    private async Task<ReplyResult> JournalAsync_NeedsLock(Entry entry, bool queued)
    {
        var appending = _journal.AppendAsync(Durability.Synced, entry);
        await Task.Yield(); // From here on without it.
        var records = await appending;
        StartWaiting(); // The run that was in the way may have ended meanwhile.
        return new ReplyResult.Accepted(records[0].Seq, queued);
    }

    private async Task<ReplyResult> Resume(Caller caller)
    {
        Task<long> begun;
        lock (_gate)
        {
            RefuseIfStopping_NeedsLock();
            begun = State_NeedsLock() switch
            {
                PodState.Running => throw new RefusedException(ErrorCode.AlreadyRunning, "Pod is already executing a turn"),
                PodState.Idle => throw new RefusedException(ErrorCode.NotPaused, "Pod is not paused"),
                _ => Begin_NeedsLock(GoingOn_NeedsLock(caller)),
            };
        }
        return new ReplyResult.Accepted(await begun);
    }

    /// <summary>The run that was held or cut off; at a Pod that rests with none of these, what waits.</summary>
    private RunCause GoingOn_NeedsLock(Caller caller)
    {
        lock (_ledger.Gate)
        {
            if (_ledger.Held || _ledger.Interrupted) return new RunCause.Resumed(caller.Name);
            return _ledger.FirstQueued is { } seq ? new RunCause.Queued(seq) : new RunCause.Notices();
        }
    }

    private async Task<ReplyResult> CancelAsync(Caller caller)
    {
        Task<long> ended;
        lock (_gate)
        {
            if (Active_NeedsLock() is { } running)
            {
                running.Cancel(caller.Name);
                return new ReplyResult.Done();
            }
            RefuseIfStopping_NeedsLock();
            lock (_ledger.Gate)
            {
                if (!_ledger.Held) throw new RefusedException(ErrorCode.NotRunning, "Pod is not running");
            }
            ended = Begin_NeedsLock(new RunCause.GivenUp(caller.Name)); // In turn with runs: nobody resumes what is being ended.
        }
        await ended;
        return new ReplyResult.Done();
    }

    private ReplyResult.Done Pause(Caller caller)
    {
        lock (_gate)
        {
            RefuseIfStopping_NeedsLock();
            if (State_NeedsLock() == PodState.Idle) throw new RefusedException(ErrorCode.NotRunning, "Pod is not running");
            Active_NeedsLock()?.Pause(caller.Name);
            return new ReplyResult.Done();
        }
    }

    /// <summary>Ends the Pod: no new work from here on, the run is cancelled, the end entry written, then <see cref="Completion"/>.</summary>
    internal ReplyResult.Done Shutdown(string by)
    {
        lock (_gate)
        {
            if (_stoppedBy is not null) return new ReplyResult.Done();
            _stoppedBy = by;
            _running?.Cancel(by);
            _working = EndAsync(_working, by);
            return new ReplyResult.Done();
        }
    }

    private ReplyResult.Done Poke(Method.Poke poke, Caller caller)
    {
        if (caller.ChildId is not null && caller.ChildId != poke.PodId)
            throw new RefusedException(ErrorCode.NotAllowed, "a child pokes for itself only", [caller.ChildId]);
        _news.Poked(poke.PodId);
        return new ReplyResult.Done();
    }

    /// <summary>Besides whatever run goes on: lending takes its turn with writes by itself.</summary>
    private async Task<ReplyResult> RestoreAsync(Method.Restore restore)
    {
        lock (_gate) RefuseIfStopping_NeedsLock();
        await Restore(restore);
        return new ReplyResult.Done();
    }

    // ---- runs ----

    /// <summary>
    /// The run that goes on; null as soon as its end is journalled: who hears of the end may ask for the next run at once,
    /// unless queued input comes first.
    /// </summary>
    private RunControl? Active_NeedsLock()
    {
        if (_running is not { Begun: true }) return _running;
        lock (_ledger.Gate) return (_ledger.Run is null && _ledger.FirstQueued is null) || _ledger.Held ? null : _running;
    }

    private PodState State_NeedsLock()
    {
        if (_stoppedBy is not null) return PodState.Stopping;
        if (Active_NeedsLock() is not null) return PodState.Running;
        lock (_ledger.Gate)
        {
            var waits = _resting && (_ledger.FirstQueued is not null || _ledger.WakingNotice is not null || _news.Untold > 0);
            return _ledger.Held || _ledger.Interrupted || waits ? PodState.Paused : PodState.Idle;
        }
    }

    private void RefuseIfStopping_NeedsLock()
    {
        if (_stoppedBy is not null) throw new RefusedException(ErrorCode.Stopping, "the Pod is stopping and takes no new work");
    }

    /// <summary>Begins a run (or gives a held one up); the task completes when its cause is on disk.</summary>
    private Task<long> Begin_NeedsLock(RunCause cause)
    {
        var accepted = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        _resting = false;
        _running = new RunControl();
        _working = WorkAsync(_working, cause, _running, accepted);
        return accepted.Task;
    }

    private async Task WorkAsync(Task before, RunCause cause, RunControl control, TaskCompletionSource<long> accepted)
    {
        await Task.Yield(); // The caller holds the lock.
        await before; // Its end is journalled; it may have yet to say so.
        Entry.RunEnded? owed;
        lock (_gate) owed = _owed;
        Entry.RunEnded? stillOwed;
        try
        {
            stillOwed = await _worker.WorkAsync(cause, owed, control, accepted);
        }
        catch (Exception e)
        {
            // We are wrong, and nobody knows what the run came to. The process ends by this; its journal resumes.
            accepted.TrySetException(e);
            _completion.TrySetException(e);
            return;
        }
        lock (_gate)
        {
            if (_running == control) _running = null;
            _owed = stillOwed;
            _unbegun = accepted.Task.Exception?.InnerException?.Message;
            // What waits is tried again when there may be space: nobody else would start it then.
            if ((_owed is not null || _unbegun is not null) && Waiting_NeedsLock() is not null) _newsTimer.Change(DiskPause, Timeout.InfiniteTimeSpan);
        }
        control.Dispose();
        if (!accepted.Task.IsFaulted) StartWaiting();
    }

    private async Task EndAsync(Task working, string by)
    {
        await working;
        if (_completion.Task.IsCompleted) return; // It failed: no ordinary end.
        try
        {
            await _beforeEnd();
            Totals totals;
            lock (_ledger.Gate) totals = _ledger.Totals;
            Failpoint.Pass(Failpoints.PodEnding);
            Entry.RunEnded? owed;
            lock (_gate) owed = _owed;
            if (_worker.Unwritten(owed) is { Count: > 0 } unwritten) await _journal.AppendAsync(Durability.Written, unwritten);
            await _journal.AppendLastAsync(new Entry.PodEnded(PodEnd.Stopped, by, null, _held(), totals));
        }
        catch (JournalException e)
        {
            await Console.Error.WriteLineAsync($"yoi: the end entry could not be written: {e.Message}");
        }
        catch (Exception e)
        {
            _completion.TrySetException(e); // We are wrong: the process ends by this.
        }
        finally
        {
            _completion.TrySetResult();
        }
    }

    /// <summary>News at an idle Pod waits a moment, so that items that come together start one run.</summary>
    private void OnNews()
    {
        lock (_gate)
        {
            if (State_NeedsLock() == PodState.Idle) _newsTimer.Change(NewsDelay, Timeout.InfiniteTimeSpan);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _news.Arrived -= OnNews;
        await _newsTimer.DisposeAsync();
        Task working;
        lock (_gate) working = _working;
        await working;
    }
}
