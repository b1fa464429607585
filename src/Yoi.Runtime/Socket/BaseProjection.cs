using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>
/// What base clients see of a Pod: a pure function of its records and deltas. Remembers only what was streamed of the
/// message in progress, so that what a provider did not stream can be told before the message's end.
/// </summary>
internal sealed class BaseProjection
{
    private static readonly HashSet<string> Levels = ["warn", "error"], Sources = ["pod", "worker", "compactor", "agents_md"];

    private readonly Dictionary<int, int> _sent = [];
    private readonly Dictionary<int, string> _calls = [];
    private bool _textSent;

    /// <summary>Events that the item means, in order.</summary>
    internal IEnumerable<Event> Of(FeedItem item) => item switch
    {
        FeedItem.Delta delta => OfDelta(delta.Value),
        FeedItem.Record record => OfRecord(record.Value),
        _ => [],
    };

    private IEnumerable<Event> OfDelta(Event.Delta delta)
    {
        // A subscription that began anew repeats what it sent of the message.
        var sent = _sent.GetValueOrDefault(delta.Block);
        var text = delta.Offset < sent ? delta.Text[Math.Min(sent - delta.Offset, delta.Text.Length)..] : delta.Text;
        _sent[delta.Block] = Math.Max(sent, delta.Offset + delta.Text.Length);
        switch (delta.Type)
        {
            case "text" when text.Length > 0:
                _textSent = true;
                yield return new Event.TextDelta(text);
                break;
            case "tool_call":
                if (delta is { Name: { } name, CallId: { } id } && _calls.TryAdd(delta.Block, id)) yield return new Event.ToolCallStart(id, name);
                if (text.Length > 0 && _calls.TryGetValue(delta.Block, out var call)) yield return new Event.ToolCallArgsDelta(call, text);
                break;
        }
    }

    private IEnumerable<Event> OfRecord(JournalRecord record) => record.Entry switch
    {
        Entry.TurnStart turn => OfTurnStart(turn),
        Entry.Assistant message => OfMessage(message),
        Entry.ToolResult result => [new Event.ToolResult(result.CallId, Output(result), result.IsError)],
        Entry.RunEnded end => [OfRunEnd(end)],
        Entry.RunPaused => [new Event.RunEnd("paused")],
        Entry.Notification notification => [OfNotification(notification, record.Time)],
        Entry.PodEnded => [new Event.Shutdown()],
        _ => [],
    };

    private IEnumerable<Event> OfTurnStart(Entry.TurnStart turn)
    {
        Forget();
        yield return new Event.TurnStart(turn.Turn);
    }

    private IEnumerable<Event> OfMessage(Entry.Assistant message)
    {
        if (!message.Partial)
        {
            foreach (var block in message.Blocks)
                foreach (var @event in OfBlock(block))
                    yield return @event;
        }
        if (message.Usage is { } usage) yield return new Event.UsageReport(usage.InputTokens, usage.OutputTokens);
        if (!message.Partial) yield return new Event.TurnEnd(message.Turn, "finished");
        Forget();
    }

    private IEnumerable<Event> OfBlock(AssistantBlock block)
    {
        switch (block)
        {
            case AssistantBlock.Text { Value.Length: > 0 } text:
                if (!_textSent) yield return new Event.TextDelta(text.Value);
                yield return new Event.TextDone(text.Value);
                break;
            case AssistantBlock.ToolCall call:
                var arguments = call.Arguments.Length > 0 ? call.Arguments : "{}";
                if (!_calls.ContainsValue(call.CallId))
                {
                    yield return new Event.ToolCallStart(call.CallId, call.Name);
                    yield return new Event.ToolCallArgsDelta(call.CallId, arguments);
                }
                yield return new Event.ToolCallDone(call.CallId, call.Name, arguments);
                break;
        }
    }

    private void Forget()
    {
        _sent.Clear();
        _calls.Clear();
        _textSent = false;
    }

    private static string Output(Entry.ToolResult result) =>
        string.IsNullOrEmpty(result.Content) ? result.Summary : $"{result.Summary}\n\n{result.Content}";

    private static Event OfRunEnd(Entry.RunEnded end) => end.Reason switch
    {
        RunEnd.Completed => new Event.RunEnd("finished"),
        RunEnd.TurnLimit or RunEnd.Budget => new Event.RunEnd("limit_reached"),
        RunEnd.ProviderError => new Event.Error(ErrorCode.ProviderError, end.Detail ?? "the provider failed"),
        RunEnd.Cancelled => new Event.Error(ErrorCode.Internal, end.By is null ? "Cancelled" : $"Cancelled by {end.By}"),
        RunEnd.Timeout => Failed("timeout", end.Detail),
        RunEnd.ContextOverflow => Failed("context_overflow", end.Detail),
        RunEnd.DiskError => Failed("disk_error", end.Detail),
        RunEnd.Interrupted => Failed("interrupted", end.Detail),
        _ => Failed(end.Reason.ToString(), end.Detail),
    };

    private static Event.Error Failed(string reason, string? detail) =>
        new(ErrorCode.Internal, detail is null ? $"the run ended: {reason}" : $"the run ended: {reason}: {detail}");

    /// <summary>Base clients know two levels and four sources; anything else is told in words.</summary>
    private static Event.Notification OfNotification(Entry.Notification told, DateTimeOffset time)
    {
        var known = Sources.Contains(told.Source);
        return new Event.Notification(
            Levels.Contains(told.Level) ? told.Level : "warn", known ? told.Source : "pod",
            known ? told.Message : $"{told.Source}: {told.Message}", time.ToUnixTimeMilliseconds());
    }
}
