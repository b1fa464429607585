using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models.OpenAi;

/// <summary>
/// Reads the chunks of Chat Completions, as OpenAI and the many compatible servers send them. The message is whole at
/// <c>[DONE]</c>; a stream that ends after a finish reason is taken as whole, too.
/// </summary>
internal sealed class OpenAiStream(ModelRequest request) : MessageStream(request)
{
    private readonly List<Call> _calls = [];
    private Part? _speaking;

    /// <summary>A call and how later chunks name it.</summary>
    private sealed record Call(int? Index, string? Id, Part Part);

    private protected override bool TakeMark(ReadOnlySpan<byte> data)
    {
        if (!data.SequenceEqual("[DONE]"u8))
            return false;
        // [DONE] without a finish reason is how some servers end a stream that broke behind them.
        CanEnd |= Blocks == 0 || StopReason is not null;
        Whole = CanEnd;
        return true;
    }

    private protected override void Take(string name, JsonElement data)
    {
        if (data.Member("error") is not null || name == "error")
            throw ProviderError.InStream(data);
        Report(data.Member("usage"));
        if (data.Member("choices") is not { ValueKind: JsonValueKind.Array } choices || choices.GetArrayLength() == 0)
            return;
        var choice = choices[0];
        if (choice.Member("error") is not null)
            throw ProviderError.InStream(choice);
        if (choice.Member("delta") is { ValueKind: JsonValueKind.Object } delta)
            Continue(delta);
        if (choice.Text("finish_reason") is { Length: > 0 } reason)
        {
            StopReason = reason;
            CanEnd = true;
        }
    }

    private void Continue(JsonElement delta)
    {
        foreach (var field in OpenAiWire.ReasoningFields)
        {
            if (delta.Text(field) is not { Length: > 0 } reasoning)
                continue;
            Say(Kind.Thinking, reasoning, OpenAiWire.ReasoningMark + field);
            break;
        }
        Say(Kind.Text, TextOf(delta.Member("content")));
        Say(Kind.Text, delta.Text("refusal") ?? "");
        if (delta.Member("tool_calls") is not { ValueKind: JsonValueKind.Array } calls)
            return;
        foreach (var call in calls.EnumerateArray())
            Continue(call, call.Member("function") ?? throw Malformed("a call without a function"));
    }

    private void Continue(JsonElement chunk, JsonElement function)
    {
        var (index, id, name) = (chunk.Index("index"), chunk.Text("id"), function.Text("name"));
        var call = Find(index, id, name);
        if (call is null)
        {
            if (string.IsNullOrEmpty(name))
                throw Malformed("a piece of a call that never began");
            _speaking = null;
            call = new Call(index, id, Open(Kind.Call, id, name, chunk.Member("extra_content")?.GetRawText()));
            _calls.Add(call);
        }
        var arguments = function.Member("arguments");
        Append(call.Part, arguments switch
        {
            null => "",
            { ValueKind: JsonValueKind.String } text => text.Text(),
            { } value => value.GetRawText(),
        });
    }

    /// <summary>
    /// The call that a chunk continues; null if it begins one. Later chunks repeat the index, seldom the id. Some servers send whole
    /// calls, all with the same index or with none: another id, or a name after whole arguments, then begins the next.
    /// </summary>
    private Call? Find(int? index, string? id, string? name)
    {
        var call = index is null ? _calls.LastOrDefault() : _calls.LastOrDefault(known => known.Index == index);
        if (call is null || string.IsNullOrEmpty(name))
            return call;
        if (!string.IsNullOrEmpty(id) && !string.IsNullOrEmpty(call.Id))
            return id == call.Id && !(index is null && CallArguments.IsObject(call.Part.Value.ToString())) ? call : null;
        return CallArguments.IsObject(call.Part.Value.ToString()) ? null : call;
    }

    private static string TextOf(JsonElement? content) => content switch
    {
        { ValueKind: JsonValueKind.String } text => text.Text(),
        { ValueKind: JsonValueKind.Array } parts => string.Concat(parts.EnumerateArray().Select(part => part.Text("text"))),
        _ => "",
    };

    private void Say(Kind kind, string text, string? opaque = null)
    {
        if (text.Length == 0)
            return;
        if (_speaking?.Kind != kind)
            _speaking = Open(kind, opaque: opaque);
        Append(_speaking, text);
    }

    private void Report(JsonElement? usage)
    {
        if (usage is not { ValueKind: JsonValueKind.Object } tokens)
            return;
        Usage = new Usage(tokens.Count("prompt_tokens"), tokens.Count("completion_tokens"),
            tokens.Member("prompt_tokens_details")?.Count("cached_tokens"));
        Events.Enqueue(new ModelEvent.UsageSoFar(Usage));
    }
}
