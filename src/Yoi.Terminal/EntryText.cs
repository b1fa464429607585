using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>One safe line (or paragraph) about an entry.</summary>
internal readonly record struct Said(Tone Tone, string Text);

/// <summary>
/// What each kind of entry says to a person. The one place that turns entries into words; every case of the closed
/// hierarchy is here, and a kind of a newer build is shown by its name.
/// </summary>
internal static class EntryText
{
    /// <summary>Lines about an entry; nothing for those that only mark a place.</summary>
    /// <param name="calls">Arguments of calls seen so far, by call id: results are shown with what was asked.</param>
    internal static IEnumerable<Said> Of(Entry entry, IDictionary<string, string> calls)
    {
        switch (entry)
        {
            case Entry.PodCreated e:
                yield return new(Tone.Dim, $"Pod {Safe(e.Name)} ({e.PodId}), model {Safe(ModelName(e.Model))}, {KeyText(e.KeySource)}, in {Safe(e.Cwd)}");
                yield return new(Tone.Dim, $"scope: {Rules(e.Scope.Allow)}{(e.Scope.Deny.Count > 0 ? $"; {Amounts.Count(e.Scope.Deny.Count, "deny rule")}" : "")}{(e.Spawner is { } s ? $"; lent by {Safe(s.Name)}" : "")}");
                break;
            case Entry.Prompt e:
                yield return new(Tone.Dim, $"prompt of {e.System.Length} characters; tools: {Safe(string.Join(", ", e.Tools.Select(t => t.Name)))}");
                break;
            case Entry.ProcessStarted e:
                yield return new(Tone.Dim, $"process {e.Pid}, sandbox {Safe(e.SandboxLevel)}");
                break;
            case Entry.ScopeChanged e:
                yield return new(Tone.Dim, $"scope changed ({Safe(e.Why)}){(e.Lent.Count > 0 ? ": lent " + string.Join("; ", e.Lent.Select(l => $"{Safe(l.Child)} {Rules(l.Rules)}")) : "")}");
                break;
            case Entry.PodEnded e:
                yield return new(Tone.Strong, $"Pod ended: {EndText(e.Reason, e.By, e.Detail)}");
                break;
            case Entry.Repaired { Lost: true }:
                yield return new(Tone.Warning, "journal repaired: what stood here was damaged and could not be restored");
                break;
            case Entry.Repaired e:
                yield return new(Tone.Warning, $"journal repaired: {e.CutBytes} bytes of an unfinished record cut off, {Amounts.Count(e.DamagedLines, "damaged line")} skipped");
                break;
            case Entry.Input e:
                yield return new(Tone.Strong, $"> {Text(e.Text)}{(e.From == "human" ? "" : $" (from {Safe(e.From)})")}{(e.Queued ? " (queued)" : "")}");
                break;
            case Entry.Notify e:
                yield return new(Tone.Strong, $"> notice of {Safe(e.Source)}: {Text(e.Message)}");
                break;
            case Entry.Assistant e:
                foreach (var block in e.Blocks)
                    if (Block(block, calls) is { } said) yield return said;
                if (e.Partial) yield return new(Tone.Dim, "(cut off)");
                break;
            case Entry.ToolResult e:
                yield return Result(e, calls);
                break;
            case Entry.Correction e:
                yield return new(Tone.Dim, $"note to the model: {SafeText.Line(e.Text)}");
                break;
            case Entry.RunPaused e:
                yield return new(Tone.Dim, $"run {e.Run} paused by {Safe(e.By)}");
                break;
            case Entry.RunResumed e:
                yield return new(Tone.Dim, $"run {e.Run} goes on ({Safe(e.By)})");
                break;
            case Entry.RunEnded e:
                yield return new(e.Reason == RunEnd.Completed ? Tone.Dim : Tone.Bad, RunEndText(e));
                break;
            case Entry.Notification e:
                yield return new(e.Level == "info" ? Tone.Dim : Tone.Warning, $"{Safe(e.Level)}: {(e.Source == "worker" ? "" : Safe(e.Source) + ": ")}{Text(e.Message)}");
                break;
            case Entry.ChildSpawned e:
                yield return new(Tone.Good, $"+ {Safe(e.Child)} (process {e.Pid}) holds {Rules(e.Rules)}{(e.From is { } from ? $"; it was {Safe(from)}'s" : "")}");
                break;
            case Entry.ChildHandedOver e:
                yield return new(Tone.Dim, $"{Safe(e.Child)} is {Safe(e.To)}'s from here on");
                break;
            case Entry.SpawnFailed e:
                yield return new(Tone.Bad, $"! {Safe(e.Child)} was not spawned ({Safe(e.Step)}): {SafeText.Line(e.Why)}");
                break;
            case Entry.ChildEnded e:
                yield return new(Tone.Good, $"- {Safe(e.Child)} ended: {EndText(e.Reason, e.By, e.Detail)}{(e.Returned.Count > 0 ? $"; back: {Rules(e.Returned)}" : "")}");
                break;
            case Entry.News e:
                yield return new(Tone.Dim, $"news of {Safe(e.Child)}: {SafeText.Line(e.Text)}");
                break;
            case Entry.CommandStarted { Background: true } e:
                yield return new(Tone.Dim, $"$ {SafeText.Line(e.Line, 200)} (in the background as {Safe(e.Command)})");
                break;
            case Entry.CommandEnded { Why: not "exited" } e:
                yield return new(Tone.Warning, $"command {Safe(e.Command)} ended: {Safe(e.Why)}");
                break;
            case Entry.Unknown e:
                yield return new(Tone.Dim, $"{Safe(e.Kind)} (of a newer yoi)");
                break;
            case Entry.RunStart or Entry.TurnStart or Entry.LendIntended or Entry.CommandStarted or Entry.CommandEnded:
                break;
        }
    }

    private static Said? Block(AssistantBlock block, IDictionary<string, string> calls)
    {
        switch (block)
        {
            case AssistantBlock.Text text:
                return text.Value.Length > 0 ? new(Tone.Plain, Text(text.Value)) : null;
            case AssistantBlock.ToolCall call:
                calls[call.CallId] = Asked(call.Arguments);
                return null;
            default:
                return null; // Reasoning is in the journal; `yoi log --json` shows it.
        }
    }

    /// <summary>A call and what it came to, in one line.</summary>
    private static Said Result(Entry.ToolResult result, IDictionary<string, string> calls)
    {
        var asked = calls.TryGetValue(result.CallId, out var what) && what.Length > 0 ? " " + what : "";
        calls.Remove(result.CallId);
        var mark = result.OutcomeUnknown ? "?" : result.IsError ? "x" : "·";
        return new(result.IsError ? Tone.Bad : Tone.Dim, $"{mark} {Safe(result.Name)}{asked}: {SafeText.Line(result.Summary, 240)}");
    }

    /// <summary>What a call asks for: its first argument that is a text, or a list of texts.</summary>
    internal static string Asked(string arguments)
    {
        try
        {
            using var document = JsonDocument.Parse(arguments);
            if (document.RootElement.ValueKind != JsonValueKind.Object) return "";
            foreach (var member in document.RootElement.EnumerateObject())
            {
                if (member.Value.ValueKind == JsonValueKind.String) return SafeText.Line(member.Value.GetString()!, 60);
                if (member.Value.ValueKind == JsonValueKind.Array && member.Value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) && member.Value.GetArrayLength() > 0)
                    return SafeText.Line(string.Join(", ", member.Value.EnumerateArray().Select(item => item.GetString())), 60);
            }
            return "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return "(arguments that are no JSON)";
        }
    }

    internal static string RunEndText(Entry.RunEnded e) =>
        $"run {Amounts.Name(e.Reason)}{(e.By is { } by ? $" by {Safe(by)}" : "")} after {Amounts.Count(e.Turns, "turn")}{(e.Detail is { Length: > 0 } d ? $": {SafeText.Line(d, 400)}" : "")}";

    internal static string EndText(PodEnd reason, string? by, string? detail) =>
        $"{Amounts.Name(reason)}{(by is null ? "" : $" by {Safe(by)}")}{(detail is { Length: > 0 } ? $" ({SafeText.Line(detail)})" : "")}";

    internal static string Rules(IReadOnlyList<ScopeRule> rules) =>
        rules.Count == 0 ? "nothing" : string.Join(", ", rules.Select(rule => Safe(rule.ToString())));

    /// <summary>A model as people name it.</summary>
    internal static string ModelName(ModelChoice model) =>
        model is { Provider: "scripted", Script: null } ? "scripted" : model.Provider == "scripted" ? "scripted:" + System.IO.Path.GetFileName(model.Script) : $"{model.Alias ?? model.Provider}/{model.Model}";

    /// <summary>Where a key came from.</summary>
    internal static string KeyText(string source) => source == "none" ? "no key" : "key from " + Safe(source);

    private static string Safe(string text) => SafeText.Line(text, 400);

    private static string Text(string text) => SafeText.Of(text).TrimEnd('\n');
}
