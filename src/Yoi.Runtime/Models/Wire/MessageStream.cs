using System.Text;
using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>
/// Builds one message from a provider's events: hands out deltas, keeps the whole, bounds it. What is handed out and what is
/// kept are the same text: well-formed, emoji joined again. Call ids are unique in the conversation, whatever the provider sends.
/// </summary>
internal abstract class MessageStream(ModelRequest request)
{
    /// <summary>Most characters of a message. It is one line of the journal, and a character is six bytes there at the most.</summary>
    internal const int MaxChars = 4 << 20;

    /// <summary>Most blocks of a message.</summary>
    internal const int MaxBlocks = 4096;

    private readonly List<Part> _parts = [];
    private HashSet<string>? _callIds;
    private long _chars;

    internal enum Kind { Text, Thinking, Call }

    /// <summary>A block that is being received. <paramref name="index"/> is its place in the message.</summary>
    internal sealed class Part(Kind kind, int index)
    {
        internal Kind Kind { get; } = kind;
        internal int Index { get; } = index;
        internal StringBuilder Value { get; } = new();
        internal string CallId { get; init; } = "";
        internal string Name { get; init; } = "";
        internal string? Opaque { get; set; }
        internal bool Redacted { get; init; }

        /// <summary>First half of a surrogate pair, held back until the second comes.</summary>
        internal char? Half { get; set; }
    }

    /// <summary>Events not yet handed out.</summary>
    internal Queue<ModelEvent> Events { get; } = new();

    /// <summary>The provider has formally ended the message: nothing more is read.</summary>
    internal bool Whole { get; private protected set; }

    /// <summary>The message may be taken as whole if the stream ends here.</summary>
    internal bool CanEnd { get; private protected set; }

    private protected Usage? Usage { get; set; }

    private protected string? StopReason { get; set; }

    private protected int Blocks => _parts.Count;

    /// <summary>One event. Empty ones are keep-alives.</summary>
    /// <exception cref="JsonException">The event is no JSON.</exception>
    /// <exception cref="ModelException">The event says that something failed, or makes no sense.</exception>
    internal void Take(string name, ReadOnlySpan<byte> data)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty || Whole)
            return;
        if (TakeMark(data))
            return;
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = YoiJson.MaxDepth });
        var value = JsonElement.ParseValue(ref reader);
        if (value.ValueKind == JsonValueKind.Object)
            Take(name, value);
        else
            throw Malformed($"an event that is no JSON object but {value.ValueKind}");
    }

    /// <summary>The message as it is. Call once, when <see cref="CanEnd"/>.</summary>
    internal ModelEvent.Completed Complete()
    {
        foreach (var part in _parts)
            Flush(part);
        var cutOff = StopReason is "max_tokens" or "length" or "model_context_window_exceeded";
        string? dropped = null;
        if (cutOff && _parts.Count > 0 && _parts[^1] is { Kind: Kind.Call } last && !CallArguments.IsObject(last.Value.ToString()))
        {
            dropped = last.Name;
            _parts.RemoveAt(_parts.Count - 1);
        }
        if (_parts.Count == 0 && dropped is null)
        {
            throw StopReason switch
            {
                "refusal" or "content_filter" => new ModelException(ModelFailure.Refused, $"the provider refused to answer ({StopReason})", produced: false, retryable: false),
                "model_context_window_exceeded" => new ModelException(ModelFailure.ContextOverflow, "the conversation fills the model's context", produced: false, retryable: false),
                _ => new ModelException(ModelFailure.Empty, $"the model ended its message without saying anything ({StopReason ?? "no stop reason"})", produced: false, retryable: false),
            };
        }
        return new ModelEvent.Completed([.. _parts.Select(Block)], Usage, StopReason, cutOff, dropped);
    }

    private protected abstract void Take(string name, JsonElement data);

    /// <summary>Takes data that is no JSON but a mark of the protocol.</summary>
    private protected virtual bool TakeMark(ReadOnlySpan<byte> data) => false;

    private protected static ModelException Malformed(string what) =>
        new(ModelFailure.Malformed, $"the provider sent {what}", produced: false, retryable: true);

    private protected Part Open(Kind kind, string? callId = null, string? name = null, string? opaque = null, bool redacted = false)
    {
        if (_parts.Count == MaxBlocks)
            throw new ModelException(ModelFailure.Malformed, $"the provider sent a message of more than {MaxBlocks} blocks", produced: false, retryable: false);
        if (kind == Kind.Call && string.IsNullOrEmpty(name)) throw Malformed("a call without a name");
        var part = new Part(kind, _parts.Count)
        {
            CallId = kind == Kind.Call ? Unique(callId) : "",
            Name = JsonText.WellFormed(name ?? ""),
            Opaque = opaque,
            Redacted = redacted,
        };
        _parts.Add(part);
        if (kind == Kind.Call)
            Events.Enqueue(new ModelEvent.ToolCallStart(part.Index, part.CallId, part.Name));
        return part;
    }

    private protected void Append(Part part, string text)
    {
        if (text.Length == 0)
            return;
        if ((_chars += text.Length) > MaxChars)
            throw new ModelException(ModelFailure.Malformed, $"the provider sent a message above {MaxChars >> 20} Mi characters", produced: false, retryable: false);
        if (part.Half is { } half)
            text = half + text;
        part.Half = char.IsHighSurrogate(text[^1]) ? text[^1] : null;
        Emit(part, JsonText.WellFormed(part.Half is null ? text : text[..^1]));
    }

    private static AssistantBlock Block(Part part) => part.Kind switch
    {
        Kind.Text => new AssistantBlock.Text(part.Value.ToString()),
        Kind.Thinking => new AssistantBlock.Thinking(part.Value.ToString(), part.Opaque, part.Redacted),
        _ => new AssistantBlock.ToolCall(part.CallId, part.Name, part.Value.Length == 0 ? "{}" : part.Value.ToString(), part.Opaque),
    };

    private static void Flush(Part part)
    {
        if (part.Half is null)
            return;
        part.Half = null;
        part.Value.Append('\uFFFD');
    }

    private void Emit(Part part, string text)
    {
        if (text.Length == 0)
            return;
        part.Value.Append(text);
        Events.Enqueue(part.Kind switch
        {
            Kind.Text => new ModelEvent.TextDelta(part.Index, text),
            Kind.Thinking => new ModelEvent.ThinkingDelta(part.Index, text),
            _ => new ModelEvent.ToolArgumentsDelta(part.Index, part.CallId, text),
        });
    }

    private string Unique(string? id)
    {
        _callIds ??= [.. request.Messages.OfType<ModelMessage.Assistant>().SelectMany(message => message.Blocks)
            .OfType<AssistantBlock.ToolCall>().Select(call => call.CallId)];
        var wanted = string.IsNullOrWhiteSpace(id) ? $"call_{_callIds.Count + 1}" : JsonText.WellFormed(id);
        var unique = wanted;
        for (var n = 2; !_callIds.Add(unique); n++)
            unique = $"{wanted}_{n}";
        return unique;
    }
}
