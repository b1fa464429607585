using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Control;

/// <summary>
/// What the controller decides by, folded from the journal: the same after a restart as before it.
/// Read under <see cref="Gate"/>; written only by the journal's loop.
/// </summary>
internal sealed class PodLedger : IJournalFold
{
    private readonly List<AssistantBlock.ToolCall> _openCalls = [];
    private readonly Queue<long> _queued = [];
    private readonly Dictionary<string, ChildRef> _children = new(StringComparer.Ordinal);
    private long _lastTurnStart;
    private long _newestNotice;
    private long _lastCancel;
    private bool _interrupted, _inputWaits;

    internal Lock Gate { get; } = new();

    internal Entry.PodCreated? Created { get; private set; }

    /// <summary>True if the prompt is in the journal: its text is long and nobody asks for it here.</summary>
    internal bool HasPrompt { get; private set; }

    internal Entry.PodEnded? Ended { get; private set; }

    /// <summary>The newest process that served it.</summary>
    internal Entry.ProcessStarted? Process { get; private set; }

    /// <summary>The run that began and has not ended; null between runs.</summary>
    internal int? Run { get; private set; }

    /// <summary>True if that run is held after a turn.</summary>
    internal bool Held { get; private set; }

    /// <summary>True if the last run was found unfinished after a crash, or never began with its input; <c>resume</c> starts a new one.</summary>
    internal bool Interrupted => _interrupted || _inputWaits;

    internal int TurnsOfRun { get; private set; }
    internal int NextRun { get; private set; }
    internal int NextTurn { get; private set; }
    internal Totals Totals { get; private set; } = new();
    internal string SandboxLevel => Process?.SandboxLevel ?? "tools-only";

    /// <summary>Queued inputs that no run has taken yet, oldest first.</summary>
    internal int QueuedInputs => _queued.Count;

    internal long? FirstQueued => _queued.TryPeek(out var seq) ? seq : null;

    /// <summary>Seq of the newest notice or news that no request contains yet; null if all were seen.</summary>
    internal long? UnseenNotice => _newestNotice > _lastTurnStart ? _newestNotice : null;

    /// <summary>The same, null also if a run was cancelled since: whoever cancels wants rest, and the notice waits for the next run.</summary>
    internal long? WakingNotice => UnseenNotice > _lastCancel ? UnseenNotice : null;

    /// <summary>Calls that have no result.</summary>
    internal IReadOnlyList<AssistantBlock.ToolCall> OpenCalls => [.. _openCalls];

    internal IReadOnlyList<ChildRef> Children => [.. _children.Values];

    public void Apply(JournalRecord record)
    {
        lock (Gate)
        {
            ApplyEntry(record);
            LastSeq = record.Seq;
        }
    }

    /// <summary>Up to where the rest of this is true.</summary>
    internal long LastSeq { get; private set; }

    private void ApplyEntry(JournalRecord record)
    {
        Totals = Totals.After(record.Entry);
        switch (record.Entry)
        {
            case Entry.PodCreated created: Created = created; break;
            case Entry.Prompt: HasPrompt = true; break;
            case Entry.ProcessStarted started: (Process, Ended) = (started, null); break;
            case Entry.PodEnded ended: Ended = ended; break;
            case Entry.Input { Queued: true }: _queued.Enqueue(record.Seq); break;
            case Entry.Input: _inputWaits = true; break; // Until the entry behind it, which begins its run.
            case Entry.Notify or Entry.News: _newestNotice = record.Seq; break;
            case Entry.RunStart start: Begin(start); break;
            case Entry.TurnStart turn: Take(record.Seq, turn); break;
            case Entry.Assistant { Partial: false } assistant: _openCalls.AddRange(assistant.Blocks.OfType<AssistantBlock.ToolCall>()); break;
            case Entry.ToolResult result: _openCalls.RemoveAll(call => call.CallId == result.CallId); break;
            case Entry.RunPaused: Held = true; break;
            case Entry.RunResumed: (Held, _inputWaits) = (false, false); break;
            case Entry.RunEnded ended: End(record.Seq, ended); break;
            case Entry.ChildSpawned child: _children[child.ChildId] = new ChildRef(child.Child, child.ChildId, Ended: false); break;
            case Entry.ChildHandedOver child: _children.Remove(child.ChildId); break;
            case Entry.ChildEnded child: _children[child.ChildId] = new ChildRef(child.Child, child.ChildId, Ended: true); break;
        }
    }

    private void Begin(Entry.RunStart start)
    {
        (Run, NextRun, TurnsOfRun, Held, _interrupted, _inputWaits) = (start.Run, start.Run + 1, 0, false, false, false);
        if (start.Cause is { } cause && _queued.TryPeek(out var first) && first == cause) _queued.Dequeue();
    }

    private void Take(long seq, Entry.TurnStart turn)
    {
        _lastTurnStart = seq;
        NextTurn = turn.Turn + 1;
        TurnsOfRun++;
    }

    private void End(long seq, Entry.RunEnded ended)
    {
        if (ended.Reason == RunEnd.Cancelled) _lastCancel = seq;
        (Run, Held) = (null, false);
        _interrupted = ended.Reason == RunEnd.Interrupted;
    }
}
