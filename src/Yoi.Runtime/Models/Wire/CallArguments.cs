using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Wire;

/// <summary>A call's arguments on their way back to a provider, which accepts nothing but a JSON object.</summary>
internal static class CallArguments
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = YoiJson.MaxDepth };

    /// <summary>True if <paramref name="text"/> is one whole JSON object.</summary>
    internal static bool IsObject(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, Options);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>
    /// Writes the arguments exactly as the model sent them if a provider would take them so; else what the model sent as the text
    /// member <c>invalid_arguments</c>, so that it can still see its mistake.
    /// </summary>
    internal static void Write(Utf8JsonWriter writer, string text)
    {
        text = JsonText.WellFormed(text);
        if (!IsObject(text))
        {
            writer.WriteStartObject();
            writer.WriteString("invalid_arguments", text);
            writer.WriteEndObject();
        }
        else if (text.Contains("\\u", StringComparison.Ordinal))
        {
            // An escape may be half a surrogate pair, which providers refuse for ever: write the value, not the text.
            using var document = JsonDocument.Parse(text, Options);
            Copy(writer, document.RootElement);
        }
        else
        {
            writer.WriteRawValue(text, skipInputValidation: true);
        }
    }

    private static void Copy(Utf8JsonWriter writer, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject())
                {
                    writer.WritePropertyName(NameOf(member));
                    Copy(writer, member.Value);
                }
                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                    Copy(writer, item);
                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(JsonText.WellFormed(value.Text()));
                break;
            default:
                value.WriteTo(writer);
                break;
        }
    }

    private static string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return "invalid_name";
        }
    }
}
