using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>A file that a Pod wrote, or was not allowed to.</summary>
/// <param name="Seq">The entry of the Pod's journal that says so.</param>
/// <param name="Path">Absolute, if the Pod's directory is known.</param>
/// <param name="Words">What the tool answered.</param>
internal sealed record FileTouch(long Seq, string Path, string Words);

/// <summary>
/// What one Pod did, as its journal tells it: processes, turns, files written and refused, children, how it ended. A pure fold: a
/// screen feeds it entry by entry, a check feeds it a whole journal, and both hear the same story.
/// </summary>
internal sealed class PodStory(string id)
{
    private readonly Dictionary<string, AssistantBlock.ToolCall> _calls = new(StringComparer.Ordinal);
    private string? _answer;

    internal string Id { get; } = id;
    internal string Name => Created?.Name ?? Id;
    internal Entry.PodCreated? Created { get; private set; }
    internal List<Entry.ProcessStarted> Processes { get; } = [];
    internal List<Entry.Input> Inputs { get; } = [];
    internal List<FileTouch> Wrote { get; } = [];
    internal List<FileTouch> Refused { get; } = [];
    internal List<Entry.ChildSpawned> Spawned { get; } = [];
    /// <summary>Ends of children, with the seq of the entry that tells each.</summary>
    internal List<(long Seq, Entry.ChildEnded Child)> ChildEnds { get; } = [];
    internal Entry.RunEnded? LastRun { get; private set; }
    internal Entry.PodEnded? End { get; private set; }
    internal int Turns { get; private set; }
    internal DateTimeOffset Began { get; private set; }
    internal DateTimeOffset Last { get; private set; }

    /// <summary>In one word.</summary>
    internal string State { get; private set; } = "starting";

    /// <summary>What it does at this moment, or did last.</summary>
    internal string Doing { get; private set; } = "";

    internal void Take(long seq, DateTimeOffset time, Entry entry)
    {
        if (Created is null) Began = time;
        Last = time;
        switch (entry)
        {
            case Entry.PodCreated created:
                Created = created;
                break;
            case Entry.ProcessStarted process:
                Processes.Add(process);
                State = "idle";
                break;
            case Entry.Input input:
                Inputs.Add(input);
                break;
            case Entry.RunStart:
                State = "running";
                break;
            case Entry.TurnStart:
                Turns++;
                Doing = "asks its model";
                break;
            case Entry.Assistant message:
                Take(message);
                break;
            case Entry.ToolResult result:
                Take(seq, result);
                break;
            case Entry.RunEnded run:
                (LastRun, State, Doing) = (run, "idle", run.Reason == RunEnd.Completed ? _answer ?? "" : EntryText.RunEndText(run));
                break;
            case Entry.ChildSpawned child:
                Spawned.Add(child);
                break;
            case Entry.ChildEnded child:
                ChildEnds.Add((seq, child));
                break;
            case Entry.PodEnded end:
                (End, State, Doing) = (end, "ended", EntryText.EndText(end.Reason, end.By, end.Detail));
                break;
        }
    }

    /// <summary>Text that streams: no fact, shown until its entry comes.</summary>
    internal void Hear(Event.Delta delta)
    {
        if (delta.Type == "text") Doing = "says: " + SafeText.Line(delta.Text);
    }

    private void Take(Entry.Assistant message)
    {
        foreach (var call in message.Blocks.OfType<AssistantBlock.ToolCall>()) _calls[call.CallId] = call;
        if (string.Concat(message.Blocks.OfType<AssistantBlock.Text>().Select(text => text.Value)) is { Length: > 0 } said) _answer = SafeText.Line(said);
        if (message.Blocks.OfType<AssistantBlock.ToolCall>().FirstOrDefault() is { } first) Doing = Asked(first);
    }

    private void Take(long seq, Entry.ToolResult result)
    {
        if (!_calls.Remove(result.CallId, out var call)) return;
        if (call.Name is "Write" or "Edit" && FilePath(call.Arguments) is { Length: > 0 } path)
            (result.IsError ? Refused : Wrote).Add(new FileTouch(seq, System.IO.Path.GetFullPath(path, Created?.Cwd ?? "/"), result.Summary));
        if (_calls.Values.FirstOrDefault() is { } next) Doing = Asked(next);
    }

    /// <summary>A call as it stands on a screen: <c>Edit words/count.py</c>, <c>WaitForPods words, lines</c>.</summary>
    private static string Asked(AssistantBlock.ToolCall call) => $"{call.Name} {EntryText.Asked(call.Arguments)}".TrimEnd();

    private static string? FilePath(string arguments)
    {
        try
        {
            using var document = JsonDocument.Parse(arguments);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("file_path", out var value)
                && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (JsonException)
        {
            return null; // A model may send what is no JSON; the tool's own result says so.
        }
    }
}
