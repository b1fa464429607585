using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models.Anthropic;

/// <summary>Reads the events of the Messages API. The message is whole at <c>message_stop</c>, not before.</summary>
internal sealed class AnthropicStream(ModelRequest request) : MessageStream(request)
{
    private readonly Dictionary<int, Block> _blocks = [];

    /// <summary>What the provider numbers; a part opens once there is something to keep.</summary>
    private sealed record Block(string Type)
    {
        internal Part? Part { get; set; }
        internal string? Input { get; init; }
    }

    private protected override void Take(string name, JsonElement data)
    {
        switch (data.Text("type") ?? name)
        {
            case "message_start":
                Report(data.Member("message")?.Member("usage"));
                break;
            case "content_block_start":
                Start(IndexOf(data), data.Member("content_block") ?? throw Malformed("a block without content"));
                break;
            case "content_block_delta":
                Continue(IndexOf(data), data.Member("delta") ?? throw Malformed("a delta without content"));
                break;
            case "content_block_stop" when _blocks.GetValueOrDefault(IndexOf(data)) is { Part: { Kind: Kind.Call } call, Input: { } input } && call.Value.Length == 0:
                // Some compatible servers send the whole input at the block's start.
                Append(call, input);
                break;
            case "message_delta":
                StopReason = data.Member("delta")?.Text("stop_reason") ?? StopReason;
                Report(data.Member("usage"));
                break;
            case "message_stop":
                CanEnd = Whole = true;
                break;
            case "error":
                throw ProviderError.InStream(data);
            default:
                // ping, and whatever the API will learn to say: new events are no error by its own rules.
                break;
        }
    }

    private static int IndexOf(JsonElement data) => data.Index("index") ?? throw Malformed("a block without an index");

    private void Start(int index, JsonElement content)
    {
        var type = content.Text("type") ?? throw Malformed("a block without a type");
        var block = _blocks[index] = new Block(type)
        {
            Input = content.Member("input") is { ValueKind: JsonValueKind.Object } input && input.EnumerateObject().Any() ? input.GetRawText() : null,
        };
        switch (type)
        {
            case "text":
                Say(block, Kind.Text, content.Text("text"));
                break;
            case "thinking":
                Say(block, Kind.Thinking, content.Text("thinking"));
                Sign(block, content.Text("signature"));
                break;
            case "redacted_thinking":
                block.Part = Open(Kind.Thinking, opaque: content.Text("data"), redacted: true);
                break;
            case "tool_use":
                block.Part = Open(Kind.Call, content.Text("id"), content.Text("name"));
                break;
        }
    }

    private void Continue(int index, JsonElement delta)
    {
        var block = _blocks.GetValueOrDefault(index) ?? throw Malformed("a delta of a block that never began");
        switch (delta.Text("type"))
        {
            case "text_delta":
                Say(block, Kind.Text, delta.Text("text"));
                break;
            case "thinking_delta":
                Say(block, Kind.Thinking, delta.Text("thinking"));
                break;
            case "signature_delta":
                Sign(block, delta.Text("signature"));
                break;
            case "input_json_delta" when block.Part is { Kind: Kind.Call } call:
                Append(call, delta.Text("partial_json") ?? "");
                break;
        }
    }

    private void Say(Block block, Kind kind, string? text)
    {
        if (!string.IsNullOrEmpty(text))
            Append(block.Part ??= Open(kind), text);
    }

    private void Sign(Block block, string? signature)
    {
        if (string.IsNullOrEmpty(signature))
            return;
        var part = block.Part ??= Open(Kind.Thinking);
        part.Opaque += signature;
    }

    /// <summary>Later reports are cumulative and may leave out what has not changed.</summary>
    private void Report(JsonElement? usage)
    {
        if (usage is not { ValueKind: JsonValueKind.Object } tokens)
            return;
        Usage = new Usage(
            tokens.Count("input_tokens") ?? Usage?.InputTokens,
            tokens.Count("output_tokens") ?? Usage?.OutputTokens,
            tokens.Count("cache_read_input_tokens") ?? Usage?.CacheReadTokens,
            tokens.Count("cache_creation_input_tokens") ?? Usage?.CacheWriteTokens);
        Events.Enqueue(new ModelEvent.UsageSoFar(Usage));
    }
}
