using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Yoi.Shared;

/// <summary>An answer as the events of the Messages API, one event a frame.</summary>
public static class AnthropicFrames
{
    public static List<byte[]> Of(Answer answer, string model = "mock")
    {
        var usage = new JsonObject { ["input_tokens"] = answer.InputTokens, ["output_tokens"] = 1 };
        if (answer.CacheReadTokens is { } cached)
        {
            usage["cache_read_input_tokens"] = cached;
            usage["cache_creation_input_tokens"] = 0;
        }
        List<byte[]> frames =
        [
            Frame("message_start", new JsonObject
            {
                ["message"] = new JsonObject
                {
                    ["id"] = "msg_mock", ["type"] = "message", ["role"] = "assistant", ["model"] = model, ["content"] = new JsonArray(),
                    ["stop_reason"] = null, ["stop_sequence"] = null, ["usage"] = usage,
                },
            }),
            Frame("ping", []),
        ];
        for (var i = 0; i < answer.Pieces.Count; i++)
            frames.AddRange(Block(i, answer.Pieces[i]));
        frames.Add(Frame("message_delta", new JsonObject
        {
            ["delta"] = new JsonObject { ["stop_reason"] = answer.StopReason ?? (answer.Pieces.Any(piece => piece is Piece.Call) ? "tool_use" : "end_turn"), ["stop_sequence"] = null },
            ["usage"] = new JsonObject { ["output_tokens"] = answer.OutputTokens },
        }));
        frames.Add(Frame("message_stop", []));
        return frames;
    }

    private static IEnumerable<byte[]> Block(int index, Piece piece)
    {
        var (start, deltas) = piece switch
        {
            Piece.Text text => (Node("text", ("text", "")), text.Deltas.Select(delta => Node("text_delta", ("text", delta)))),
            Piece.Thinking thinking => (Node("thinking", ("thinking", ""), ("signature", "")), thinking.Deltas.Select(delta => Node("thinking_delta", ("thinking", delta)))
                .Concat(thinking.Signature is { } signature ? [Node("signature_delta", ("signature", signature))] : [])),
            Piece.Redacted redacted => (Node("redacted_thinking", ("data", redacted.Data)), []),
            Piece.Call call => (Node("tool_use", ("id", call.Id), ("name", call.Name)), call.Arguments.Select(json => Node("input_json_delta", ("partial_json", json)))),
            _ => throw new InvalidOperationException(),
        };
        if (piece is Piece.Call)
            start["input"] = new JsonObject();
        yield return Frame("content_block_start", new JsonObject { ["index"] = index, ["content_block"] = start });
        foreach (var delta in deltas)
            yield return Frame("content_block_delta", new JsonObject { ["index"] = index, ["delta"] = delta });
        yield return Frame("content_block_stop", new JsonObject { ["index"] = index });
    }

    private static JsonObject Node(string type, params (string Name, string Value)[] members)
    {
        var node = new JsonObject { ["type"] = type };
        foreach (var (name, value) in members)
            node[name] = value;
        return node;
    }

    private static byte[] Frame(string type, JsonObject data)
    {
        data.Insert(0, "type", type);
        return Encoding.UTF8.GetBytes($"event: {type}\ndata: {data.ToJsonString(JsonSerializerOptions.Web)}\n\n");
    }
}
