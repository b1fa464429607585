using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;

namespace Yoi.Runtime.Turns;

/// <summary>
/// A message while it streams: passes deltas on (they are no facts) and remembers enough to commit the partial text on cancel.
/// </summary>
internal sealed class MessageInFlight(JournalWriter journal)
{
    private long _seq = journal.HeadSeq;
    private bool _anew;
    private readonly SortedDictionary<int, (string Type, StringBuilder Text)> _blocks = [];

    /// <summary>Tokens as far as the provider has reported them.</summary>
    internal Usage? Usage { get; private set; }

    /// <summary>True once anything was handed on.</summary>
    internal bool Produced => _blocks.Count > 0;

    internal void Take(ModelEvent streamed)
    {
        switch (streamed)
        {
            case ModelEvent.TextDelta text: Pass(text.Block, "text", text.Text); break;
            case ModelEvent.ThinkingDelta thinking: Pass(thinking.Block, "thinking", thinking.Text); break;
            case ModelEvent.ToolCallStart start: Pass(start.Block, "tool_call", "", start.Name, start.CallId); break;
            case ModelEvent.ToolArgumentsDelta arguments: Pass(arguments.Block, "tool_call", arguments.Json, callId: arguments.CallId); break;
            case ModelEvent.UsageSoFar soFar: Usage = soFar.Usage; break;
            case ModelEvent.WaitsForRetry waits: _anew |= waits.Anew; break;
            case ModelEvent.Completed: break;
        }
    }

    /// <summary>What was said so far, text only: a call that is not whole is never run and never kept.</summary>
    internal IReadOnlyList<AssistantBlock> Text() =>
        [.. _blocks.Values.Where(b => b.Type == "text" && b.Text.Length > 0).Select(b => new AssistantBlock.Text(b.Text.ToString()))];

    private void Pass(int number, string type, string text, string? name = null, string? callId = null)
    {
        if (_anew) Begin();
        if (!_blocks.TryGetValue(number, out var block)) _blocks[number] = block = (type, new StringBuilder());
        journal.PublishDelta(new Event.Delta(_seq, number, block.Text.Length, type, text, name, callId));
        block.Text.Append(text);
    }

    /// <summary>What a try that broke has said stands until the next says something: a cancel in between still keeps it.</summary>
    private void Begin()
    {
        (_seq, _anew) = (journal.HeadSeq, false);
        _blocks.Clear();
    }
}
