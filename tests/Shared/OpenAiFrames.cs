using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Yoi.Shared;

/// <summary>An answer as the chunks of Chat Completions, one chunk a frame, <c>[DONE]</c> the last.</summary>
public static class OpenAiFrames
{
    public static List<byte[]> Of(Answer answer, string model = "mock")
    {
        List<byte[]> frames = [Chunk(model, new JsonObject { ["role"] = "assistant", ["content"] = "" })];
        var calls = 0;
        foreach (var piece in answer.Pieces)
        {
            switch (piece)
            {
                case Piece.Text text:
                    frames.AddRange(text.Deltas.Select(delta => Chunk(model, new JsonObject { ["content"] = delta })));
                    break;
                case Piece.Thinking thinking:
                    frames.AddRange(thinking.Deltas.Select(delta => Chunk(model, new JsonObject { ["reasoning_content"] = delta })));
                    break;
                case Piece.Call call:
                    var index = calls++;
                    frames.Add(Chunk(model, CallDelta(index, "", call)));
                    frames.AddRange(call.Arguments.Select(json => Chunk(model, CallDelta(index, json))));
                    break;
            }
        }
        frames.Add(Chunk(model, [], answer.StopReason ?? (calls > 0 ? "tool_calls" : "stop")));
        var usage = new JsonObject { ["prompt_tokens"] = answer.InputTokens, ["completion_tokens"] = answer.OutputTokens, ["total_tokens"] = answer.InputTokens + answer.OutputTokens };
        if (answer.CacheReadTokens is { } cached)
            usage["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = cached };
        frames.Add(Frame(Envelope(model, new JsonArray(), usage).ToJsonString(JsonSerializerOptions.Web)));
        frames.Add(Frame("[DONE]"));
        return frames;
    }

    private static JsonObject CallDelta(int index, string arguments, Piece.Call? begins = null)
    {
        var call = new JsonObject { ["index"] = index, ["function"] = new JsonObject { ["arguments"] = arguments } };
        if (begins is not null)
        {
            call["id"] = begins.Id;
            call["type"] = "function";
            call["function"]!["name"] = begins.Name;
        }
        return new JsonObject { ["tool_calls"] = new JsonArray(call) };
    }

    private static byte[] Chunk(string model, JsonObject delta, string? finish = null) =>
        Frame(Envelope(model, new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = delta, ["finish_reason"] = finish }), null).ToJsonString(JsonSerializerOptions.Web));

    private static JsonObject Envelope(string model, JsonArray choices, JsonObject? usage) => new()
    {
        ["id"] = "chatcmpl-mock",
        ["object"] = "chat.completion.chunk",
        ["created"] = 1,
        ["model"] = model,
        ["choices"] = choices,
        ["usage"] = usage,
    };

    private static byte[] Frame(string data) => Encoding.UTF8.GetBytes($"data: {data}\n\n");
}
