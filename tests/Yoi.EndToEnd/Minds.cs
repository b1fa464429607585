using System.Text.Json;
using System.Text.RegularExpressions;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>What a request asks, on either wire.</summary>
/// <param name="Pod">Its name, from the system prompt.</param>
/// <param name="Turn">How many messages the model has sent in this conversation.</param>
/// <param name="Results">Tool results behind the model's last message.</param>
internal sealed record Asked(string Pod, int Turn, IReadOnlyList<string> Results);

/// <summary>
/// What the model server answers to the Pods of a test: for each name its replies in turn. Which turn it is follows from the
/// conversation alone. A Pod without a reply left says <c>done</c>.
/// </summary>
internal sealed partial class Minds
{
    private readonly Dictionary<string, IReadOnlyList<Func<Asked, Answer>>> _minds = new(StringComparer.Ordinal);

    internal Minds Of(string pod, params Func<Asked, Answer>[] replies)
    {
        _minds[pod] = replies;
        return this;
    }

    internal Minds Of(string pod, params Answer[] replies) => Of(pod, [.. replies.Select<Answer, Func<Asked, Answer>>(reply => _ => reply)]);

    internal Answer Answer(ReceivedRequest request)
    {
        var asked = Read(request.Body);
        return _minds.GetValueOrDefault(asked.Pod) is { } replies && asked.Turn < replies.Count ? replies[asked.Turn](asked) : Shared.Answer.Says("done");
    }

    /// <summary>A message with one call; the arguments are written as they are.</summary>
    internal static Answer Call(string tool, object arguments) => Calls((tool, arguments));

    /// <summary>A message with several calls.</summary>
    internal static Answer Calls(params (string Tool, object Arguments)[] calls) => new()
    {
        Pieces = [.. calls.Select(call => new Piece.Call("call_" + Guid.NewGuid().ToString("n")[..12], call.Tool, JsonSerializer.Serialize(call.Arguments)))],
    };

    internal static Asked Read(byte[] body)
    {
        using var document = JsonDocument.Parse(body);
        var root = document.RootElement;
        var messages = root.GetProperty("messages").EnumerateArray().ToList();
        var system = root.TryGetProperty("system", out var own) ? Text(own) : Text(messages[0].GetProperty("content"));
        var turn = messages.Count(message => Role(message) == "assistant");
        List<string> results = [];
        foreach (var message in messages.AsEnumerable().Reverse().TakeWhile(message => Role(message) != "assistant"))
        {
            if (Role(message) == "tool") results.Insert(0, Text(message.GetProperty("content")));
            else if (message.GetProperty("content") is { ValueKind: JsonValueKind.Array } blocks)
                results.AddRange(blocks.EnumerateArray().Where(block => block.GetProperty("type").GetString() == "tool_result").Select(block => Text(block.GetProperty("content"))));
        }
        return new Asked(PodName().Match(system).Groups["name"].Value, turn, results);
    }

    private static string Role(JsonElement message) => message.GetProperty("role").GetString()!;

    private static string Text(JsonElement content) => content.ValueKind == JsonValueKind.String
        ? content.GetString()!
        : string.Concat(content.EnumerateArray().Where(block => block.TryGetProperty("text", out _)).Select(block => block.GetProperty("text").GetString()));

    [GeneratedRegex(@"^You are `(?<name>[^`]+)`")]
    private static partial Regex PodName();
}
