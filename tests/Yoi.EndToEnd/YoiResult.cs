using System.Text.Json;
using Xunit;

namespace Yoi.EndToEnd;

/// <summary>What a finished <c>yoi</c> left behind: its exit code and both streams.</summary>
internal sealed record YoiResult(string CommandLine, int ExitCode, string Out, string Error)
{
    /// <summary>stdout as one JSON value.</summary>
    internal JsonElement Json => Parse(Out);

    /// <summary>stdout as one JSON value a line.</summary>
    internal IReadOnlyList<JsonElement> JsonLines => [.. Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Parse)];

    /// <summary>Fails with everything that was said if the exit code is another.</summary>
    internal YoiResult Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"{CommandLine}\nended with {ExitCode}, not {exitCode}\n--- stdout\n{Out}\n--- stderr\n{Error}");
        return this;
    }

    private JsonElement Parse(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new JsonException($"{CommandLine} printed no JSON ({e.Message}):\n{text}\n--- stderr\n{Error}", e);
        }
    }
}
