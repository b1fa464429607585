using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>A piece of a model's message, in the order in which the model said it.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Text), "text")]
[JsonDerivedType(typeof(Thinking), "thinking")]
[JsonDerivedType(typeof(ToolCall), "tool_call")]
public abstract record AssistantBlock
{
    private AssistantBlock() { }

    /// <summary>Text for the reader.</summary>
    public sealed record Text([property: JsonPropertyName("text")] string Value) : AssistantBlock;

    /// <summary>
    /// The model's reasoning. Some APIs need it back unchanged in the next request of the same run.
    /// </summary>
    /// <param name="Value">Readable reasoning; empty where the provider redacts it.</param>
    /// <param name="Opaque">
    /// What the API needs back: Anthropic's signature or redacted data; <c>field:NAME</c> where an OpenAI-compatible server sent the
    /// reasoning as the field NAME of its message.
    /// </param>
    /// <param name="Redacted">True if <paramref name="Opaque"/> is a redacted block rather than a signature.</param>
    public sealed record Thinking(
        [property: JsonPropertyName("text")] string Value, string? Opaque = null, bool Redacted = false) : AssistantBlock;

    /// <summary>A call of a tool. <paramref name="Arguments"/> is the JSON text exactly as the model sent it.</summary>
    /// <param name="CallId">Unique among all calls of the conversation.</param>
    /// <param name="Opaque">What the API needs back with the call: Gemini's thought signature, as JSON text.</param>
    public sealed record ToolCall(string CallId, string Name, string Arguments, string? Opaque = null) : AssistantBlock;
}

/// <summary>Tokens of one model request, as the provider reported them; null where it did not.</summary>
public sealed record Usage(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long? InputTokens,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long? OutputTokens,
    long? CacheReadTokens = null,
    long? CacheWriteTokens = null);
