using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace Yoi.Protocol;

/// <summary>A line that a client sent: the method, and the id if it wants a reply.</summary>
public sealed record Request(JsonElement? Id, Method Method);

/// <summary>A line that could not be taken, with what would have worked.</summary>
public sealed class ProtocolException(string code, string message, JsonElement? id = null, IReadOnlyList<string>? candidates = null)
    : Exception(message)
{
    /// <summary>One of <see cref="ErrorCode"/>.</summary>
    public string Code { get; } = code;

    /// <summary>The line's id, where it could be read.</summary>
    public JsonElement? Id { get; } = id;

    /// <summary>What would have worked.</summary>
    public IReadOnlyList<string>? Candidates { get; } = candidates;
}

/// <summary>Lines of the wire protocol. Docs: docs/protocol.md.</summary>
public static class WireCodec
{
    /// <summary>Newest version of the protocol that this build speaks; it also speaks the one before, from 1 on.</summary>
    public const int Version = 1;

    /// <summary>Oldest version of the protocol that this build speaks.</summary>
    public const int OldestVersion = 1;

    /// <summary>Longest line that a Pod receives, in bytes, newline included.</summary>
    public const int MaxLineBytes = 4 << 20;

    /// <summary>Longest id of a request, in bytes of JSON text.</summary>
    public const int MaxIdBytes = 130;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = YoiJson.MaxDepth };

    /// <summary>Reads a client's line (without its newline).</summary>
    /// <exception cref="ProtocolException">The line is no request; the exception says why and what would have worked.</exception>
    public static Request ReadRequest(ReadOnlyMemory<byte> line)
    {
        if (!Utf8.IsValid(line.Span)) throw new ProtocolException(ErrorCode.InvalidRequest, "invalid method: the line is not valid UTF-8");
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(line, Options);
        }
        catch (JsonException) when (IsTooDeep(line.Span))
        {
            throw new ProtocolException(ErrorCode.TooDeep, $"invalid method: nested deeper than {YoiJson.MaxDepth} levels");
        }
        catch (JsonException e)
        {
            throw new ProtocolException(ErrorCode.InvalidRequest, $"invalid method: not one JSON object a line: {e.Message}");
        }
        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                throw new ProtocolException(ErrorCode.InvalidRequest, "invalid method: a line is a JSON object with \"method\" and \"params\"");
            try
            {
                var id = ReadId(root);
                if (!root.TryGetProperty("method", out var name) || name.ValueKind != JsonValueKind.String)
                    throw new ProtocolException(ErrorCode.InvalidRequest, "invalid method: missing field \"method\" (a string)", id);
                return new Request(id, ReadMethod(root, ReadString(name, id), id));
            }
            catch (InvalidOperationException)
            {
                // Half a surrogate pair in a name: it is found wherever names are compared.
                throw new ProtocolException(ErrorCode.InvalidRequest, "invalid method: a name that is not valid Unicode");
            }
        }
    }

    private static bool IsTooDeep(ReadOnlySpan<byte> line)
    {
        var (depth, text) = (0, false);
        for (var i = 0; i < line.Length && depth <= YoiJson.MaxDepth; i++)
        {
            if (line[i] == '"') text = !text;
            else if (text) i += line[i] == '\\' ? 1 : 0;
            else if (line[i] is (byte)'{' or (byte)'[') depth++;
            else if (line[i] is (byte)'}' or (byte)']') depth--;
        }
        return depth > YoiJson.MaxDepth;
    }

    private static Method ReadMethod(JsonElement root, string name, JsonElement? id)
    {
        if (Kinds.Methods.Named(name) is not { } kind)
            throw new ProtocolException(ErrorCode.UnknownMethod,
                $"invalid method: unknown method \"{name}\"; known: {string.Join(", ", Kinds.Methods.Names)}", id, [.. Kinds.Methods.Names]);
        var given = root.TryGetProperty("params", out var parameters) && parameters.ValueKind != JsonValueKind.Null;
        if (kind.Bare)
        {
            if (given) throw new ProtocolException(ErrorCode.InvalidRequest, $"invalid method: {name} takes no params; leave them out", id);
            return (Method)JsonSerializer.Deserialize("{}"u8, kind.Json)!;
        }
        if (!given && NeedsParams(kind.Json))
            throw new ProtocolException(ErrorCode.InvalidRequest, $"invalid method: {name} needs \"params\" (an object)", id);
        try
        {
            return (Method)(given ? parameters.Deserialize(kind.Json) : JsonSerializer.Deserialize("{}"u8, kind.Json))!;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new ProtocolException(ErrorCode.InvalidRequest, $"invalid method: params of {name}: {e.Message}", id);
        }
    }

    private static bool NeedsParams(JsonTypeInfo json) => json.Properties.Any(p => p.IsRequired);

    private static string ReadString(JsonElement element, JsonElement? id)
    {
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new ProtocolException(ErrorCode.InvalidRequest, "invalid method: text that is not valid Unicode", id);
        }
    }

    private static JsonElement? ReadId(JsonElement root)
    {
        if (!root.TryGetProperty("id", out var id) || id.ValueKind == JsonValueKind.Null) return null;
        var good = id.ValueKind == JsonValueKind.String || (id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out _));
        if (!good || System.Text.Encoding.UTF8.GetByteCount(id.GetRawText()) > MaxIdBytes)
            throw new ProtocolException(ErrorCode.InvalidRequest, "invalid id: a string of at most 128 bytes, or an integer");
        if (id.ValueKind == JsonValueKind.String) ReadString(id, null); // It is sent back: it must be text that can be written.
        return id.Clone();
    }

    /// <summary>Writes a request line, newline included.</summary>
    public static void Write(IBufferWriter<byte> to, Method method, JsonElement? id = null)
    {
        using (var json = new Utf8JsonWriter(to, YoiJson.Writer))
        {
            json.WriteStartObject();
            WriteId(json, id);
            var kind = Kinds.Methods.Of(method);
            json.WriteString("method", kind.Name);
            if (!kind.Bare) WriteBody(json, "params", method, kind);
            json.WriteEndObject();
        }
        to.Write("\n"u8);
    }

    /// <summary>Writes an event line, newline included.</summary>
    public static void Write(IBufferWriter<byte> to, Event @event)
    {
        using (var json = new Utf8JsonWriter(to, YoiJson.Writer))
        {
            json.WriteStartObject();
            var kind = Kinds.Events.Of(@event);
            json.WriteString("event", kind.Name);
            if (!kind.Bare) WriteBody(json, "data", @event, kind);
            json.WriteEndObject();
        }
        to.Write("\n"u8);
    }

    /// <summary>Writes a reply line, newline included.</summary>
    public static void Write(IBufferWriter<byte> to, Reply reply)
    {
        using (var json = new Utf8JsonWriter(to, YoiJson.Writer))
        {
            json.WriteStartObject();
            WriteId(json, reply.Id);
            if (reply.Error is { } error)
            {
                json.WritePropertyName("error");
                JsonSerializer.Serialize(json, error, YoiJson.Default.ReplyError);
            }
            else
            {
                WriteBody(json, "result", reply.Result!, Kinds.Results.Of(reply.Result!));
            }
            json.WriteEndObject();
        }
        to.Write("\n"u8);
    }

    /// <summary>Reads a Pod's line: an <see cref="Event"/> or a <see cref="RawReply"/>.</summary>
    /// <returns>Exactly one of the two; both null for an event of a newer version.</returns>
    /// <exception cref="JsonException">The line is no JSON object.</exception>
    public static (Event? Event, RawReply? Reply) ReadFromPod(ReadOnlyMemory<byte> line)
    {
        using var document = JsonDocument.Parse(line, Options);
        var root = document.RootElement;
        if (root.TryGetProperty("event", out var name))
        {
            if (Kinds.Events.Named(name.GetString()!) is not { } kind) return (null, null);
            var @event = root.TryGetProperty("data", out var data) ? data.Deserialize(kind.Json) : JsonSerializer.Deserialize("{}"u8, kind.Json);
            return ((Event)@event!, null);
        }
        var id = root.GetProperty("id").Clone();
        return root.TryGetProperty("error", out var error)
            ? (null, new RawReply(id, null, error.Deserialize(YoiJson.Default.ReplyError)))
            : (null, new RawReply(id, root.GetProperty("result").Clone(), null));
    }

    private static void WriteId(Utf8JsonWriter json, JsonElement? id)
    {
        if (id is not { } value) return;
        json.WritePropertyName("id");
        value.WriteTo(json);
    }

    private static void WriteBody(Utf8JsonWriter json, string name, object value, Kind kind)
    {
        json.WritePropertyName(name);
        JsonSerializer.Serialize(json, value, kind.Json);
    }
}

/// <summary>A reply as it came: the method that was asked decides the result's type.</summary>
public sealed record RawReply(JsonElement Id, JsonElement? Result, ReplyError? Error);
