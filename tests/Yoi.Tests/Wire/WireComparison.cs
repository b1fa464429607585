using System.Text.Json;

namespace Yoi.Tests.Wire;

/// <summary>
/// Compares what one connection was sent with what was recorded: kinds, keys, codes and other words of the protocol exactly and in
/// order; turn numbers relative to the run's first; texts, paths and ids free; the greeting's tools a superset.
/// </summary>
internal static class WireComparison
{
    /// <summary>Words of the protocol: the texts that must be the same. A scripted model's own text is known, too.</summary>
    private static readonly HashSet<string> Words =
    [
        "error.code", "turn_end.result", "run_end.result", "notification.level", "notification.source", "text_delta.text", "text_done.text",
        "tool_call_start.name", "tool_call_done.name", "history.items.type", "history.items.role", "history.items.name", "history.items.content.type",
    ];

    /// <summary>Tools whose results say more than was recorded: what was lent, what is left, how each child does.</summary>
    private static readonly HashSet<string> SayMore = ["SpawnPod", "SendToPod", "ReadPodOutput", "StopPod", "ListPods"];

    internal static List<string> Differences(IReadOnlyList<JsonElement> expected, IReadOnlyList<JsonElement> sent)
    {
        var found = new List<string>();
        var turns = new Turns();
        for (var i = 0; i < Math.Max(expected.Count, sent.Count); i++)
        {
            if (i >= sent.Count) found.Add($"{i}: missing: {Short(expected[i])}");
            else if (i >= expected.Count) found.Add($"{i}: not recorded: {Short(sent[i])}");
            else if (Kind(expected[i]) != Kind(sent[i])) return [.. found, $"{i}: recorded {Short(expected[i])}, sent {Short(sent[i])}"];
            else found.AddRange(Event(expected[i], sent[i], turns).Select(what => $"{i}: {what}"));
        }
        return found;
    }

    internal static string Kind(JsonElement line) => line.TryGetProperty("event", out var name) ? name.GetString()! : "no event";

    private static IEnumerable<string> Event(JsonElement expected, JsonElement sent, Turns turns)
    {
        var kind = Kind(expected);
        foreach (var what in Keys(kind, expected, sent)) yield return what;
        if (!expected.TryGetProperty("data", out var asRecorded) || !sent.TryGetProperty("data", out var data)) yield break;
        foreach (var what in Value(kind, asRecorded, data)) yield return what;
        if (turns.Problem(kind, asRecorded, data) is { } problem) yield return problem;
        if (kind == "usage" && asRecorded.GetRawText() != data.GetRawText()) yield return $"usage: recorded {asRecorded}, sent {data}";
    }

    private static IEnumerable<string> Value(string path, JsonElement expected, JsonElement sent)
    {
        if (Class(expected) != Class(sent))
        {
            yield return $"{path}: recorded {expected.ValueKind}, sent {sent.ValueKind}";
            yield break;
        }
        switch (expected.ValueKind)
        {
            case JsonValueKind.String when Words.Contains(path) && expected.GetString() != sent.GetString():
                yield return $"{path}: recorded {expected}, sent {sent}";
                break;
            case JsonValueKind.Array when path == "history.greeting.tools":
                foreach (var tool in expected.EnumerateArray().Select(t => t.GetString()).Except(sent.EnumerateArray().Select(t => t.GetString())))
                    yield return $"{path}: {tool} is missing";
                break;
            case JsonValueKind.Array:
                foreach (var what in Items(path, [.. expected.EnumerateArray()], [.. sent.EnumerateArray()])) yield return what;
                break;
            case JsonValueKind.Object:
                foreach (var what in Keys(path, expected, sent)) yield return what;
                foreach (var member in expected.EnumerateObject().Where(member => sent.TryGetProperty(member.Name, out _)))
                    foreach (var what in Value($"{path}.{member.Name}", member.Value, sent.GetProperty(member.Name)))
                        yield return what;
                break;
        }
    }

    private static IEnumerable<string> Items(string path, JsonElement[] expected, JsonElement[] sent)
    {
        if (expected.Length != sent.Length)
        {
            yield return $"{path}: recorded {expected.Length} items, sent {sent.Length}: {string.Join(" ", sent.Select(item => Short(item)))}";
            yield break;
        }
        var tools = new Dictionary<string, string>();
        for (var i = 0; i < sent.Length; i++)
        {
            if (path == "history.items" && Text(sent[i], "type") == "tool_call") tools[Text(sent[i], "call_id")!] = Text(sent[i], "name")!;
            var more = Text(sent[i], "type") == "tool_result" && SayMore.Contains(tools.GetValueOrDefault(Text(sent[i], "call_id")!, ""));
            foreach (var what in Value(path, expected[i], more ? Without(sent[i], expected[i], "content") : sent[i])) yield return $"item {i}: {what}";
        }
    }

    /// <summary>The item without a member that the recorded one has not.</summary>
    private static JsonElement Without(JsonElement item, JsonElement recorded, string member)
    {
        if (recorded.TryGetProperty(member, out _) || !item.TryGetProperty(member, out _)) return item;
        var kept = System.Text.Json.Nodes.JsonNode.Parse(item.GetRawText())!.AsObject();
        kept.Remove(member);
        return JsonDocument.Parse(kept.ToJsonString()).RootElement;
    }

    private static IEnumerable<string> Keys(string path, JsonElement expected, JsonElement sent)
    {
        var (recorded, here) = (Names(expected), Names(sent));
        foreach (var key in recorded.Except(here)) yield return $"{path}: key {key} is missing";
        foreach (var key in here.Except(recorded)) yield return $"{path}: key {key} was not recorded";
    }

    private static string[] Names(JsonElement value) => [.. value.EnumerateObject().Select(member => member.Name)];

    private static JsonValueKind Class(JsonElement value) => value.ValueKind == JsonValueKind.False ? JsonValueKind.True : value.ValueKind;

    private static string? Text(JsonElement item, string member) =>
        item.ValueKind == JsonValueKind.Object && item.TryGetProperty(member, out var value) ? value.GetString() : null;

    private static string Short(JsonElement line) => line.GetRawText() is { Length: > 160 } text ? text[..160] + "…" : line.GetRawText();

    /// <summary>Turn numbers: within a run as recorded, relative to its first; over the connection they grow.</summary>
    private sealed class Turns
    {
        private int? _offset;
        private int _last = -1;

        internal string? Problem(string kind, JsonElement recorded, JsonElement sent)
        {
            if (kind is "run_end" or "error") _offset = null;
            if (kind is not ("turn_start" or "turn_end")) return null;
            var (was, now) = (recorded.GetProperty("turn").GetInt32(), sent.GetProperty("turn").GetInt32());
            _offset ??= now - was;
            if (now - was != _offset) return $"{kind}: turn {was} was recorded, {now} sent, in a run that began {_offset} higher";
            if (kind == "turn_start" && now <= _last) return $"{kind}: turn {now} does not grow";
            _last = now;
            return null;
        }
    }
}
