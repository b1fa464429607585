using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>
/// What one Pod does, as it does it: its text while it streams, one line a call, what becomes of its children. Feeds on what
/// an attached client receives, or on a journal (<c>yoi log</c>). Text that was streamed is not shown again when its entry comes.
/// </summary>
/// <param name="times">True to begin each line with seq and time.</param>
/// <param name="results">True to show below each call what it gave the model.</param>
/// <param name="quiet">
/// True to leave out how the Pod was set up, that a run completed and that the reader stopped it: it is the reader's own Pod. Other ends
/// are errors then.
/// </param>
internal sealed class PodView(Screen screen, bool times = false, bool quiet = false, bool results = false)
{
    private readonly Dictionary<string, string> _calls = new(StringComparer.Ordinal);
    private readonly Dictionary<int, int> _streamed = [];
    private SafeText _filter = new();
    private long _message = -1;
    private int _block = -1;

    internal void Take(PodMessage message)
    {
        switch (message)
        {
            case PodMessage.Streaming { Delta: { Type: "text" } delta }:
                Stream(delta);
                break;
            case PodMessage.Entered entered:
                Show(entered);
                break;
        }
    }

    private void Stream(Event.Delta delta)
    {
        if (delta.Seq != _message)
        {
            _message = delta.Seq;
            _streamed.Clear();
            _block = -1;
        }
        var shown = _streamed.GetValueOrDefault(delta.Block);
        if (delta.Block != _block || (delta.Offset == 0 && shown > 0))
        {
            screen.EndLine();
            _block = delta.Block;
            _filter = new SafeText();
            if (delta.Offset == 0) shown = 0; // A failed message begins anew.
        }
        var skip = Math.Clamp(shown - delta.Offset, 0, delta.Text.Length);
        Print(_filter.Next(delta.Text.AsSpan(skip)));
        _streamed[delta.Block] = Math.Max(shown, delta.Offset + delta.Text.Length);
    }

    private void Show(PodMessage.Entered entered)
    {
        if (entered.Entry is Entry.Assistant assistant)
        {
            ShowMessage(entered, assistant);
            return;
        }
        if (quiet && entered.Entry is Entry.PodCreated or Entry.Prompt or Entry.ProcessStarted or Entry.ScopeChanged or Entry.Input { From: "human" }
            or Entry.RunEnded { Reason: RunEnd.Completed } or Entry.PodEnded { Reason: PodEnd.Stopped, By: "human" }) return;
        foreach (var said in EntryText.Of(entered.Entry, _calls))
        {
            screen.EndLine();
            if (quiet && entered.Entry is Entry.RunEnded or Entry.PodEnded) screen.Error(said.Text);
            else if (quiet && said.Tone == Tone.Warning) screen.Remark(said.Text, Tone.Warning);
            else Tell(entered, said);
        }
        if (results && entered.Entry is Entry.ToolResult { Content: { Length: > 0 } content }) ShowResult(content);
    }

    private void ShowResult(string content)
    {
        foreach (var line in SafeText.Of(content).TrimEnd('\n').Split('\n')) screen.Line("    " + line);
    }

    private void ShowMessage(PodMessage.Entered entered, Entry.Assistant assistant)
    {
        for (var i = 0; i < assistant.Blocks.Count; i++)
        {
            if (assistant.Blocks[i] is not AssistantBlock.Text { Value: var text } || !_streamed.TryGetValue(i, out var shown)) continue;
            if (_block == i && shown < text.Length) Print(_filter.Next(text.AsSpan(shown)));
        }
        screen.EndLine();
        var rest = assistant with { Blocks = [.. assistant.Blocks.Where((block, i) => block is not AssistantBlock.Text || !_streamed.ContainsKey(i))] };
        foreach (var said in EntryText.Of(rest, _calls)) Tell(entered, said);
        _streamed.Clear();
        _message = _block = -1;
    }

    private void Tell(PodMessage.Entered entered, Said said)
    {
        if (!times)
        {
            // What a model or a person said stays as it is, so that it can be copied; a remark of ours is laid out.
            if (entered.Entry is Entry.Assistant or Entry.Input or Entry.Notify || said.Text.Contains('\n', StringComparison.Ordinal)) screen.Line(said.Text, said.Tone);
            else screen.Hang(said.Text, 2, said.Tone);
            return;
        }
        var stamp = Stamp(entered);
        foreach (var line in said.Text.Split('\n'))
        {
            screen.Write(stamp, Tone.Dim);
            screen.Hang(line, stamp.Length, said.Tone);
            stamp = new string(' ', stamp.Length);
        }
    }

    private string Stamp(PodMessage.Entered entered) => times ? $"{entered.Seq,5} {entered.Time.ToLocalTime():HH:mm:ss}  " : "";

    private void Print(string text)
    {
        if (text.Length > 0) screen.Write(text);
    }
}
