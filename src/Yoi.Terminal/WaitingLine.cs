using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>
/// What a Pod is waited for and how long by now, below all else on a terminal: its model, a call, Pods below it. Shown when a second has passed, and
/// never while its text comes. Elsewhere than on a terminal it is nothing.
/// </summary>
internal sealed class WaitingLine : IDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    private readonly Screen _screen;
    private readonly TimeProvider _time;
    private readonly string _model;
    private readonly ITimer? _timer;
    private readonly Lock _gate = new();
    private readonly OrderedDictionary<string, string> _calls = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, string> _children = new(StringComparer.Ordinal);
    private string? _what;
    private DateTimeOffset _since;

    /// <param name="model">As people name it.</param>
    internal WaitingLine(Screen screen, TimeProvider time, string model)
    {
        (_screen, _time, _model) = (screen, time, model);
        if (screen.IsLive) _timer = time.CreateTimer(_ => Draw(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>To be called before a message is shown.</summary>
    internal void Take(PodMessage message)
    {
        lock (_gate)
        {
            if (message is PodMessage.Streaming { Delta.Type: "text" }) WaitFor_NeedsLock(null, default);
            else if (message is PodMessage.Entered entered) Take_NeedsLock(entered.Entry, entered.Time);
        }
    }

    /// <summary>Takes it away.</summary>
    public void Dispose()
    {
        lock (_gate) WaitFor_NeedsLock(null, default);
        _timer?.Dispose();
    }

    private void Take_NeedsLock(Entry entry, DateTimeOffset at)
    {
        switch (entry)
        {
            case Entry.TurnStart:
                WaitFor_NeedsLock(_model, at);
                break;
            case Entry.Assistant message:
                _calls.Clear();
                foreach (var call in message.Blocks.OfType<AssistantBlock.ToolCall>()) _calls[call.CallId] = $"{SafeText.Line(call.Name)} {EntryText.Asked(call.Arguments)}".TrimEnd();
                WaitFor_NeedsLock(Calls(), at);
                break;
            case Entry.ToolResult result:
                _calls.Remove(result.CallId);
                WaitFor_NeedsLock(Calls(), at);
                break;
            case Entry.ChildSpawned child:
                _children[child.ChildId] = child.Child;
                break;
            case Entry.ChildEnded child:
                _children.Remove(child.ChildId);
                break;
            case Entry.RunEnded:
                WaitFor_NeedsLock(_children.Count == 0 ? null : $"Pods below: {SafeText.Line(string.Join(", ", _children.Values))}", at);
                break;
            case Entry.RunPaused or Entry.PodEnded:
                WaitFor_NeedsLock(null, at);
                break;
        }
    }

    private string? Calls() => _calls.Count switch { 0 => null, 1 => _calls.GetAt(0).Value, var count => $"{_calls.GetAt(0).Value}, and {count - 1} more" };

    private void WaitFor_NeedsLock(string? what, DateTimeOffset since)
    {
        (_what, _since) = (what, since);
        _timer?.Change(what is null ? Timeout.InfiniteTimeSpan : Step, Timeout.InfiniteTimeSpan);
        if (what is null && _timer is not null) _screen.Waiting("");
    }

    private void Draw()
    {
        lock (_gate)
        {
            if (_what is not { } what) return; // Said, meanwhile.
            _screen.Waiting($"… {what} · {Amounts.Roughly(_time.GetUtcNow() - _since)}");
            _timer?.Change(Step, Timeout.InfiniteTimeSpan);
        }
    }
}
