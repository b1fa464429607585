using Yoi.Protocol;

namespace Yoi.Runtime.Delivery;

/// <summary>One thing that a spawner should learn of a child.</summary>
/// <param name="Told">The cursor that covers it.</param>
/// <param name="IsFailure">True for everything but a completed run and an ordinary stop.</param>
internal sealed record NewsItem(string Child, string PodId, string Text, Told Told, bool IsFailure);

/// <summary>What a child's journal said up to a moment.</summary>
/// <param name="RunsEnded">Runs that ended behind the place where reading began.</param>
/// <param name="InputsWaiting">Inputs and notices that no run has taken up yet.</param>
internal sealed record ChildState(
    string Name, string PodId, Cursor ReadTo, int RunsEnded, int InputsWaiting, bool RunIsOpen, bool IsPaused, Entry.RunEnded? LastRun, Entry.PodEnded? End);

/// <summary>
/// Follows a child's journal: whether it works, has input waiting, has ended, and its news. Folded entry by entry; holds
/// nothing that grows with the journal. Its owner guards it.
/// </summary>
internal sealed class ChildView(string name, string podId, Cursor from)
{
    private readonly HashSet<long> _queued = [], _fresh = [], _notices = [];

    private readonly HashSet<string> _background = new(StringComparer.Ordinal);

    /// <summary>The run (or the next one) works on input, on news of the child's own children or on what its own commands came to, not on notices alone.</summary>
    private bool _atWork;
    private ChildState _now = new(name, podId, from, 0, 0, false, false, null, null);

    internal ChildState Now => _now with { InputsWaiting = _queued.Count + _fresh.Count + _notices.Count };

    /// <summary>Takes a record in; the news it carries, if any.</summary>
    internal NewsItem? Apply(JournalRecord record)
    {
        _now = _now with { ReadTo = record.End };
        switch (record.Entry)
        {
            case Entry.Input { Queued: true }:
                _queued.Add(record.Seq);
                return null;
            case Entry.Input:
                _fresh.Add(record.Seq);
                _atWork = true;
                return null;
            case Entry.Notify:
                _notices.Add(record.Seq);
                return null;
            case Entry.News:
                _atWork = true;
                return null;
            case Entry.CommandStarted { Background: true } started:
                _background.Add(started.Command);
                return null;
            case Entry.CommandEnded ended:
                _atWork |= _background.Remove(ended.Command); // What it began goes on: no notice from outside.
                return null;
            case Entry.RunStart start:
                _now = _now with { RunIsOpen = true, IsPaused = false };
                _fresh.Clear();
                if (start.Cause is { } cause) _atWork |= _queued.RemoveWhere(seq => seq <= cause) > 0; // Queued input is taken in order.
                return null;
            case Entry.TurnStart:
                _notices.Clear(); // Each request contains all notices before it.
                return null;
            case Entry.RunPaused:
                _now = _now with { IsPaused = true };
                return null;
            case Entry.RunResumed:
                _now = _now with { IsPaused = false };
                _fresh.Clear();
                return null;
            case Entry.RunEnded ended:
                _now = _now with { RunIsOpen = false, IsPaused = false, LastRun = ended, RunsEnded = _now.RunsEnded + 1 };
                // Notices that a child dealt with are its own business: they must not set a whole tree to work.
                var isNews = _atWork || ended.Reason != RunEnd.Completed;
                _atWork = false;
                return isNews ? new NewsItem(name, podId, NewsText.Of(name, ended), ToldBy(record), ended.Reason != RunEnd.Completed) : null;
            case Entry.ProcessStarted:
                _now = _now with { End = null }; // Restored.
                return null;
            case Entry.PodEnded ended:
                _now = _now with { RunIsOpen = false, IsPaused = false, End = ended };
                return new NewsItem(name, podId, NewsText.Of(name, ended), ToldBy(record), ended.Reason is not (PodEnd.Stopped or PodEnd.Exited));
            default:
                return null;
        }
    }

    private Told ToldBy(JournalRecord record) => new(podId, Told.NewsCursor, record.Seq, record.End.Offset, record.Crc);
}
