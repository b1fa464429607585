using System.Buffers;
using System.Net.Http.Headers;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models.Anthropic;

/// <summary>
/// The Messages API. All that stays the same is written before the messages, and a message's bytes depend on nothing behind it:
/// so consecutive requests share their beginning. Cache marks: docs/decisions/0210-cache-markers.md.
/// </summary>
internal sealed class AnthropicWire : IWire
{
    private const int LeastThinkingTokens = 1024;

    public string DefaultBaseUrl => "https://api.anthropic.com";

    public string Path => "/v1/messages";

    public MessageStream Read(ModelRequest request) => new AnthropicStream(request);

    public void Authorize(HttpRequestHeaders headers, string? key)
    {
        headers.Add("anthropic-version", "2023-06-01");
        if (key is not null)
            headers.Add("x-api-key", key);
    }

    public byte[] Write(ModelRequest request)
    {
        var buffer = new ArrayBufferWriter<byte>(16 << 10);
        using (var writer = new Utf8JsonWriter(buffer, YoiJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("model", request.Choice.Model);
            writer.WriteNumber("max_tokens", request.Choice.MaxOutputTokens);
            writer.WriteBoolean("stream", true);
            if (request.Choice.ThinkingTokens is { } thinking && request.Choice.MaxOutputTokens > LeastThinkingTokens)
            {
                writer.WriteStartObject("thinking");
                writer.WriteString("type", "enabled");
                writer.WriteNumber("budget_tokens", Math.Clamp(thinking, LeastThinkingTokens, request.Choice.MaxOutputTokens - 1));
                writer.WriteEndObject();
            }
            Mark(writer);
            WriteTools(writer, request.Tools);
            WriteSystem(writer, request.System);
            writer.WriteStartArray("messages");
            foreach (var message in request.Messages)
                WriteMessage(writer, message);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>In the request itself: the provider marks the last block. In a block: the prefix up to here is cached.</summary>
    private static void Mark(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("cache_control");
        writer.WriteString("type", "ephemeral");
        writer.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter writer, IReadOnlyList<ToolSchema> tools)
    {
        if (tools.Count == 0)
            return;
        writer.WriteStartArray("tools");
        for (var i = 0; i < tools.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteString("name", tools[i].Name);
            writer.WriteString("description", JsonText.WellFormed(tools[i].Description));
            writer.WritePropertyName("input_schema");
            tools[i].Parameters.WriteTo(writer);
            if (i == tools.Count - 1)
                Mark(writer);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private static void WriteSystem(Utf8JsonWriter writer, string system)
    {
        if (string.IsNullOrWhiteSpace(system))
            return;
        writer.WriteStartArray("system");
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", JsonText.WellFormed(system));
        Mark(writer);
        writer.WriteEndObject();
        writer.WriteEndArray();
    }

    private static void WriteMessage(Utf8JsonWriter writer, ModelMessage message)
    {
        switch (message)
        {
            case ModelMessage.User user:
                WriteUser(writer, user);
                break;
            case ModelMessage.Assistant assistant when assistant.Blocks.Any(IsSent):
                writer.WriteStartObject();
                writer.WriteString("role", "assistant");
                writer.WriteStartArray("content");
                foreach (var block in assistant.Blocks.Where(IsSent))
                    WriteBlock(writer, block);
                writer.WriteEndArray();
                writer.WriteEndObject();
                break;
        }
    }

    private static void WriteUser(Utf8JsonWriter writer, ModelMessage.User user)
    {
        writer.WriteStartObject();
        writer.WriteString("role", "user");
        writer.WriteStartArray("content");
        foreach (var result in user.Results)
        {
            writer.WriteStartObject();
            writer.WriteString("type", "tool_result");
            writer.WriteString("tool_use_id", SafeId(result.CallId));
            // Blank content is refused; a result without content is not.
            if (!string.IsNullOrWhiteSpace(result.Text))
                writer.WriteString("content", JsonText.WellFormed(result.Text));
            if (result.IsError)
                writer.WriteBoolean("is_error", true);
            writer.WriteEndObject();
        }
        var texts = user.Texts.Where(text => !string.IsNullOrWhiteSpace(text)).ToList();
        if (texts.Count == 0 && user.Results.Count == 0)
            texts.Add("(no text)");
        foreach (var text in texts)
        {
            writer.WriteStartObject();
            writer.WriteString("type", "text");
            writer.WriteString("text", JsonText.WellFormed(text));
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Blank text, and reasoning that this API did not sign, would be refused.</summary>
    private static bool IsSent(AssistantBlock block) => block switch
    {
        AssistantBlock.Text text => !string.IsNullOrWhiteSpace(text.Value),
        AssistantBlock.Thinking thinking => thinking.Opaque is { Length: > 0 } opaque && !opaque.Contains(':', StringComparison.Ordinal),
        _ => true,
    };

    private static void WriteBlock(Utf8JsonWriter writer, AssistantBlock block)
    {
        writer.WriteStartObject();
        switch (block)
        {
            case AssistantBlock.Text text:
                writer.WriteString("type", "text");
                writer.WriteString("text", JsonText.WellFormed(text.Value));
                break;
            case AssistantBlock.Thinking { Redacted: true } redacted:
                writer.WriteString("type", "redacted_thinking");
                writer.WriteString("data", redacted.Opaque);
                break;
            case AssistantBlock.Thinking thinking:
                writer.WriteString("type", "thinking");
                writer.WriteString("thinking", thinking.Value);
                writer.WriteString("signature", thinking.Opaque);
                break;
            case AssistantBlock.ToolCall call:
                writer.WriteString("type", "tool_use");
                writer.WriteString("id", SafeId(call.CallId));
                writer.WriteString("name", JsonText.CallName(call.Name));
                writer.WritePropertyName("input");
                CallArguments.Write(writer, call.Arguments);
                break;
        }
        writer.WriteEndObject();
    }

    /// <summary>This API takes letters, digits, '_' and '-'; a conversation begun elsewhere may hold other ids.</summary>
    private static string SafeId(string id) =>
        id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') ? id : string.Concat(id.Select(c => char.IsAsciiLetterOrDigit(c) || c == '-' ? c : '_'));
}
