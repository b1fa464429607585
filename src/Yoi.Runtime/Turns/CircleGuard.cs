using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Turns;

/// <summary>
/// Notices a run that goes in circles: turn after turn the same calls with the same results, or two kinds of turn that alternate.
/// A fold of the journal: a Pod that comes back has not forgotten. Holds the texts of two turns, which the conversation of the run holds anyway,
/// and none between runs. Not thread-safe: asked between two turns, when nothing is appended.
/// </summary>
internal sealed class CircleGuard : IJournalFold
{
    /// <summary>After so many turns without anything new the model is told, and after so many the run ends.</summary>
    internal const int WarnAfter = 8, EndAfter = 24;

    private const int Compared = 2;

    private readonly Queue<List<string>> _before = new(Compared + 1);
    private List<string> _turn = [];
    private int _open;

    /// <summary>How many of the last turns brought nothing that one of the two before them had not brought.</summary>
    internal int Turns { get; private set; }

    public void Apply(JournalRecord record)
    {
        switch (record.Entry)
        {
            case Entry.RunStart or Entry.RunEnded:
                _before.Clear();
                (_turn, Turns) = ([], 0);
                break;
            case Entry.Assistant { Partial: false } assistant:
                Begin(assistant);
                break;
            case Entry.ToolResult result:
                _turn.AddRange([result.Summary, result.Content ?? ""]);
                if (--_open == 0) Close();
                break;
        }
    }

    private void Begin(Entry.Assistant assistant)
    {
        (_turn, _open) = ([], 0);
        foreach (var call in assistant.Blocks.OfType<AssistantBlock.ToolCall>())
        {
            _turn.AddRange([call.Name, call.Arguments]);
            _open++;
        }
    }

    private void Close()
    {
        Turns = _before.Any(turn => turn.SequenceEqual(_turn)) ? Turns + 1 : 0;
        _before.Enqueue(_turn);
        if (_before.Count > Compared) _before.Dequeue();
        _turn = [];
    }
}
