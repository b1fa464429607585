using System.Text.Json;

namespace Yoi.Shared;

/// <summary>What a request says behind the model's last message, on either wire.</summary>
public static class Newest
{
    public static (List<string> Texts, bool AfterResults) Of(byte[] body)
    {
        using var document = JsonDocument.Parse(body);
        List<string> texts = [];
        var results = false;
        foreach (var message in document.RootElement.GetProperty("messages").EnumerateArray().Reverse())
        {
            var role = message.GetProperty("role").GetString();
            if (role is "assistant" or "system")
                break;
            results |= role == "tool";
            var content = message.GetProperty("content");
            if (role == "user" && content.ValueKind == JsonValueKind.String)
                texts.Add(content.GetString()!);
            if (content.ValueKind != JsonValueKind.Array)
                continue;
            foreach (var block in content.EnumerateArray())
            {
                results |= block.GetProperty("type").GetString() == "tool_result";
                if (block.GetProperty("type").GetString() == "text")
                    texts.Add(block.GetProperty("text").GetString()!);
            }
        }
        return (texts, results);
    }
}
