using System.Buffers;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models.OpenAi;

/// <summary>
/// Chat Completions, as OpenAI and compatible servers take it. All that stays the same is written before the messages, and a
/// message's bytes depend on nothing behind it; these APIs cache shared beginnings by themselves.
/// </summary>
internal sealed class OpenAiWire : IWire
{
    /// <summary>Members in which compatible servers send reasoning.</summary>
    internal static readonly string[] ReasoningFields = ["reasoning_content", "reasoning"];

    /// <summary>Begins the opaque part of such reasoning; the member's name follows.</summary>
    internal const string ReasoningMark = "field:";

    public string DefaultBaseUrl => "https://api.openai.com/v1";

    public string Path => "/chat/completions";

    public MessageStream Read(ModelRequest request) => new OpenAiStream(request);

    public void Authorize(HttpRequestHeaders headers, string? key)
    {
        if (key is not null)
            headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public byte[] Write(ModelRequest request)
    {
        var openAiItself = IsOpenAi(request.Choice.BaseUrl);
        var buffer = new ArrayBufferWriter<byte>(16 << 10);
        using (var writer = new Utf8JsonWriter(buffer, YoiJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("model", request.Choice.Model);
            // OpenAI's newer models refuse the old name; most compatible servers know only that.
            writer.WriteNumber(openAiItself ? "max_completion_tokens" : "max_tokens", request.Choice.MaxOutputTokens);
            writer.WriteBoolean("stream", true);
            writer.WriteStartObject("stream_options");
            writer.WriteBoolean("include_usage", true);
            writer.WriteEndObject();
            WriteTools(writer, request.Tools);
            writer.WriteStartArray("messages");
            if (!string.IsNullOrWhiteSpace(request.System))
                WriteText(writer, "system", request.System);
            foreach (var message in request.Messages)
                WriteMessage(writer, message, openAiItself);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static bool IsOpenAi(string? baseUrl) =>
        baseUrl is null || (Uri.TryCreate(baseUrl, UriKind.Absolute, out var url)
            && (url.Host == "api.openai.com" || url.Host.EndsWith(".api.openai.com", StringComparison.Ordinal)));

    private static void WriteTools(Utf8JsonWriter writer, IReadOnlyList<ToolSchema> tools)
    {
        if (tools.Count == 0)
            return;
        writer.WriteStartArray("tools");
        foreach (var tool in tools)
        {
            writer.WriteStartObject();
            writer.WriteString("type", "function");
            writer.WriteStartObject("function");
            writer.WriteString("name", tool.Name);
            writer.WriteString("description", JsonText.WellFormed(tool.Description));
            writer.WritePropertyName("parameters");
            tool.Parameters.WriteTo(writer);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    private static void WriteText(Utf8JsonWriter writer, string role, string text)
    {
        writer.WriteStartObject();
        writer.WriteString("role", role);
        writer.WriteString("content", JsonText.WellFormed(text));
        writer.WriteEndObject();
    }

    private static void WriteMessage(Utf8JsonWriter writer, ModelMessage message, bool openAiItself)
    {
        switch (message)
        {
            case ModelMessage.User user:
                WriteUser(writer, user);
                break;
            case ModelMessage.Assistant assistant when assistant.Blocks.Any(block => block is not AssistantBlock.Thinking):
                WriteAssistant(writer, assistant.Blocks, openAiItself);
                break;
        }
    }

    private static void WriteUser(Utf8JsonWriter writer, ModelMessage.User user)
    {
        foreach (var result in user.Results)
        {
            writer.WriteStartObject();
            writer.WriteString("role", "tool");
            writer.WriteString("tool_call_id", JsonText.WellFormed(result.CallId));
            writer.WriteString("content", JsonText.WellFormed(result.Text));
            writer.WriteEndObject();
        }
        // One string, not a list of parts: many chat templates know nothing else.
        var text = string.Join("\n\n", user.Texts.Where(text => text.Length > 0));
        if (text.Length > 0 || user.Results.Count == 0)
            WriteText(writer, "user", text.Length > 0 ? text : "(no text)");
    }

    private static void WriteAssistant(Utf8JsonWriter writer, IReadOnlyList<AssistantBlock> blocks, bool openAiItself)
    {
        var calls = blocks.OfType<AssistantBlock.ToolCall>().ToList();
        var text = string.Concat(blocks.OfType<AssistantBlock.Text>().Select(block => block.Value));
        writer.WriteStartObject();
        writer.WriteString("role", "assistant");
        if (text.Length == 0 && calls.Count > 0)
            writer.WriteNull("content");
        else
            writer.WriteString("content", JsonText.WellFormed(text));
        if (calls.Count > 0 && !openAiItself)
            WriteReasoning(writer, blocks);
        if (calls.Count > 0)
        {
            writer.WriteStartArray("tool_calls");
            foreach (var call in calls)
                WriteCall(writer, call);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    /// <summary>
    /// Servers that send reasoning want it back behind the calls that it led to (DeepSeek refuses the request otherwise) and may refuse it
    /// elsewhere. It goes back under the name under which it came.
    /// </summary>
    private static void WriteReasoning(Utf8JsonWriter writer, IReadOnlyList<AssistantBlock> blocks)
    {
        foreach (var field in ReasoningFields)
        {
            var reasoning = string.Concat(blocks.OfType<AssistantBlock.Thinking>().Where(block => block.Opaque == ReasoningMark + field).Select(block => block.Value));
            if (reasoning.Length > 0)
                writer.WriteString(field, JsonText.WellFormed(reasoning));
        }
    }

    private static void WriteCall(Utf8JsonWriter writer, AssistantBlock.ToolCall call)
    {
        writer.WriteStartObject();
        writer.WriteString("id", JsonText.WellFormed(call.CallId));
        writer.WriteString("type", "function");
        writer.WriteStartObject("function");
        writer.WriteString("name", JsonText.CallName(call.Name));
        writer.WriteString("arguments", ArgumentsOf(call));
        writer.WriteEndObject();
        if (call.Opaque is { } opaque)
        {
            writer.WritePropertyName("extra_content");
            writer.WriteRawValue(opaque);
        }
        writer.WriteEndObject();
    }

    private static string ArgumentsOf(AssistantBlock.ToolCall call)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, YoiJson.Writer))
            CallArguments.Write(writer, call.Arguments);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
