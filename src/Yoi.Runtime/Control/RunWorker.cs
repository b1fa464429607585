using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Turns;

namespace Yoi.Runtime.Control;

/// <summary>What begins a run.</summary>
internal abstract record RunCause
{
    private RunCause() { }

    /// <summary>Input or a notice that is journalled together with the run's start; a paused run goes on with it.</summary>
    internal sealed record Fresh(Entry Entry) : RunCause;

    /// <summary>Input that was queued.</summary>
    internal sealed record Queued(long Seq) : RunCause;

    /// <summary>Notices and news that no request contains yet.</summary>
    internal sealed record Notices : RunCause;

    /// <summary>Somebody asked to go on.</summary>
    internal sealed record Resumed(string By) : RunCause;

    /// <summary>Somebody cancelled a held run: it ends, and nothing is begun.</summary>
    internal sealed record GivenUp(string By) : RunCause;
}

/// <summary>What stops a run from outside. Set by the controller, read by the run.</summary>
internal sealed class RunControl : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private volatile string _cancelledBy = "human";
    private volatile string? _pausedBy;
    private volatile bool _begun;

    internal CancellationToken Token => _cancel.Token;
    internal string CancelledBy => _cancelledBy;
    internal string? PausedBy => _pausedBy;

    /// <summary>What begins it is in the journal: from here on the journal says when it is over.</summary>
    internal bool Begun { get => _begun; set => _begun = value; }

    internal void Cancel(string by)
    {
        if (_cancel.IsCancellationRequested) return;
        _cancelledBy = by;
        _cancel.Cancel();
    }

    internal void Pause(string by) => _pausedBy = by;

    public void Dispose() => _cancel.Dispose();
}

/// <summary>Carries one run from its first entry to its last. Every way out leaves exactly one end, or says that it could not be written.</summary>
internal sealed class RunWorker(PodLedger ledger, JournalWriter journal, TurnLoop turns, NewsDesk news)
{
    /// <summary>Works the run that <paramref name="cause"/> begins.</summary>
    /// <param name="owed">The end of an earlier run that could not be written then; it is written first.</param>
    /// <param name="accepted">Told the seq under which the cause is on disk; or the failure, then nothing was begun.</param>
    /// <returns>The run's end if it could not be written, else null.</returns>
    internal async Task<Entry.RunEnded?> WorkAsync(RunCause cause, Entry.RunEnded? owed, RunControl control, TaskCompletionSource<long> accepted)
    {
        int run;
        try
        {
            if (await OpenAsync(cause, owed) is not { } seq)
            {
                control.Begun = true;
                accepted.SetResult(0);
                return owed;
            }
            lock (ledger.Gate) run = ledger.Run!.Value;
            control.Begun = true;
            accepted.SetResult(seq);
        }
        catch (JournalException e)
        {
            accepted.SetException(e);
            return owed;
        }
        return await RunAsync(run, control);
    }

    /// <summary>Journals what begins the run; null if there is nothing more to do.</summary>
    private async Task<long?> OpenAsync(RunCause cause, Entry.RunEnded? owed)
    {
        if (cause is RunCause.GivenUp { By: var by })
        {
            Entry.RunEnded end;
            lock (ledger.Gate) end = new Entry.RunEnded(ledger.Run!.Value, RunEnd.Cancelled, by, null, ledger.TurnsOfRun);
            await journal.AppendAsync(Durability.Synced, end);
            return null;
        }
        // Not to be cancelled: a run that was cancelled before it began would leave no end behind which what waits is started.
        if (cause is RunCause.Notices) await news.TellAsync(CancellationToken.None);
        var entries = Unwritten(owed);
        int causeAt;
        lock (ledger.Gate)
        {
            if (cause is RunCause.Notices && ledger.UnseenNotice is null) return null;
            causeAt = entries.Count;
            var goesOn = ledger.Held && owed is null;
            var next = new Entry.RunStart(ledger.NextRun, cause switch
            {
                RunCause.Queued queued => queued.Seq,
                RunCause.Notices => ledger.UnseenNotice,
                _ => null,
            });
            switch (cause)
            {
                case RunCause.Fresh fresh: entries.Add(fresh.Entry); break;
                case RunCause.Resumed when !goesOn: entries.Add(new Entry.Correction("[yoi] The run was interrupted. Look at what was done, then go on.")); break;
            }
            entries.Add(goesOn ? new Entry.RunResumed(ledger.Run!.Value, cause is RunCause.Resumed resumed ? resumed.By : "input") : next);
        }
        var records = await journal.AppendAsync(Durability.Synced, entries);
        return records[causeAt].Seq;
    }

    /// <summary>The result of a call whose own was lost: it may have run, and is not run again.</summary>
    internal static Entry Closed(AssistantBlock.ToolCall call) => Closed(call, $"the Pod went away while {call.Name} ran");

    private static Entry.ToolResult Closed(AssistantBlock.ToolCall call, string why) => new(
        call.CallId, call.Name, $"outcome unknown: {why}; it was not run again. Look before you repeat it.", null, IsError: true, OutcomeUnknown: true);

    /// <summary>What a failed disk kept out of the journal: results of calls, then the end of their run.</summary>
    internal List<Entry> Unwritten(Entry? end)
    {
        lock (ledger.Gate)
            return [.. ledger.OpenCalls.Select(call => Closed(call, "its result could not be written")), .. end is null ? Array.Empty<Entry>() : [end]];
    }

    private async Task<Entry.RunEnded?> RunAsync(int run, RunControl control)
    {
        var end = await WorkToEndAsync(run, control);
        if (end is null) return null;
        try
        {
            await journal.AppendAsync(Durability.Synced, Unwritten(end));
            return null;
        }
        catch (JournalException e)
        {
            // Memory must not say more than the journal: the controller shows this end as owed and writes it first, later.
            return end is Entry.RunEnded ended ? ended with { Reason = RunEnd.DiskError, Detail = e.Message } : null;
        }
    }

    private async Task<Entry?> WorkToEndAsync(int run, RunControl control)
    {
        Entry.RunEnded End(RunEnd reason, string? detail = null, string? by = null)
        {
            lock (ledger.Gate) return new Entry.RunEnded(run, reason, by, detail, ledger.TurnsOfRun);
        }
        try
        {
            int turn, before;
            lock (ledger.Gate) (turn, before) = (ledger.NextTurn, ledger.TurnsOfRun);
            return await turns.RunAsync(turn, before, () => control.PausedBy is not null, control.Token) switch
            {
                RunOutcome.Ended ended => End(ended.Reason, ended.Detail),
                _ => new Entry.RunPaused(run, control.PausedBy ?? "human"),
            };
        }
        catch (OperationCanceledException) when (control.Token.IsCancellationRequested)
        {
            return End(RunEnd.Cancelled, by: control.CancelledBy);
        }
        catch (JournalException e)
        {
            return End(RunEnd.DiskError, e.Message);
        }
    }
}
