using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Pods;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Tools;

/// <summary>docs/tools.md against the schemas that the model is given.</summary>
public sealed partial class ToolDocTests
{
    private static readonly string[] Schemas =
        [.. SourceTree.Files().Where(path => path.StartsWith("src/Yoi.Runtime/Tools/", StringComparison.Ordinal) && path.EndsWith(".schema.json", StringComparison.Ordinal))];

    public static TheoryData<string> Tools => [.. Schemas.Select(Path.GetFileName).Select(name => name!.Split('.')[0])];

    [Theory, MemberData(nameof(Tools))]
    public void The_documented_parameters_are_those_of_the_schema(string tool) =>
        Assert.Equal(Given(tool).Order(StringComparer.Ordinal), Documented(SourceTree.Read("docs/tools.md"), tool).Order(StringComparer.Ordinal));

    /// <summary>Unknown fields are refused, so a model is told beforehand that there are none.</summary>
    [Theory, MemberData(nameof(Tools))]
    public void A_schema_says_of_every_object_that_it_takes_no_other_fields(string tool)
    {
        using var document = JsonDocument.Parse(SourceTree.Read(Schemas.Single(path => path.EndsWith($"/{tool}.schema.json", StringComparison.Ordinal))));
        Assert.All(Objects(document.RootElement), found => Assert.False(found.GetProperty("additionalProperties").GetBoolean()));
    }

    private static IEnumerable<JsonElement> Objects(JsonElement at) => at.ValueKind switch
    {
        JsonValueKind.Object => [
            .. at.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "object" ? (JsonElement[])[at] : [],
            .. at.EnumerateObject().SelectMany(member => Objects(member.Value))],
        JsonValueKind.Array => at.EnumerateArray().SelectMany(Objects),
        _ => [],
    };

    [Fact]
    public void Every_tool_has_a_chapter_and_every_chapter_a_tool()
    {
        Assert.Equal(14, Schemas.Length);
        Assert.Equal(Tools.Select(row => row.Data).Order(StringComparer.Ordinal), Chapter().Matches(SourceTree.Read("docs/tools.md")).Select(match => match.Groups["tool"].Value).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_limits_of_the_docs_are_those_of_the_code()
    {
        var text = SourceTree.Read("docs/tools.md");
        Assert.Contains($"{ToolRunner.MaxContentBytes / 1024} KiB", text, StringComparison.Ordinal);
        Assert.Contains($"at most {ToolRunner.MaxCalls} calls", text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_ReadPodOutput_returns_fits_into_a_result_so_that_its_cursor_never_passes_what_was_cut_off()
    {
        using var schema = JsonDocument.Parse(SourceTree.Read("src/Yoi.Runtime/Tools/Pods/ReadPodOutput.schema.json"));
        Assert.Equal(ReadPodOutputTool.MostBytes, schema.RootElement.GetProperty("properties").GetProperty("max_bytes").GetProperty("maximum").GetInt32());
        Assert.InRange(ReadPodOutputTool.MostBytes, 1, ToolRunner.MaxContentBytes - (8 * 1024));
    }

    [Fact]
    public void The_check_sees_a_parameter_too_many_and_one_that_is_missing()
    {
        const string text = "### Read\n\n| Parameter | Type | Meaning |\n|---|---|---|\n| `file_path`, required | text | x |\n| `lines` | number | x |\n\n### Write\n| `content` | text | x |\n";
        Assert.Equal(["file_path required", "lines"], Documented(text, "Read"));
        Assert.Equal(["file_path required", "limit", "offset"], Given("Read").Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> Documented(string text, string tool)
    {
        var start = text.IndexOf($"### {tool}\n", StringComparison.Ordinal);
        Assert.True(start >= 0, $"docs/tools.md has no chapter {tool}");
        var end = text.IndexOf("\n##", start + 4, StringComparison.Ordinal);
        return Row().Matches(text[start..(end < 0 ? text.Length : end)]).Select(match => match.Groups["name"].Value + (match.Groups["required"].Success ? " required" : ""));
    }

    private static IEnumerable<string> Given(string tool)
    {
        using var document = JsonDocument.Parse(SourceTree.Read(Schemas.Single(path => path.EndsWith($"/{tool}.schema.json", StringComparison.Ordinal))));
        return [.. Properties(document.RootElement, document.RootElement, "")];
    }

    private static IEnumerable<string> Properties(JsonElement schema, JsonElement root, string before)
    {
        if (!schema.TryGetProperty("properties", out var properties)) yield break;
        var required = schema.TryGetProperty("required", out var names) ? names.EnumerateArray().Select(name => name.GetString()!).ToHashSet() : [];
        foreach (var property in properties.EnumerateObject())
        {
            yield return before + property.Name + (required.Contains(property.Name) ? " required" : "");
            if (!property.Value.TryGetProperty("items", out var items)) continue;
            if (items.TryGetProperty("$ref", out var reference))
                items = reference.GetString()!.TrimStart('#', '/').Split('/').Aggregate(root, (at, step) => at.GetProperty(step));
            foreach (var inner in Properties(items, root, $"{before}{property.Name}[].")) yield return inner;
        }
    }

    [GeneratedRegex(@"^### (?<tool>[A-Z]\w+)$", RegexOptions.Multiline)]
    private static partial Regex Chapter();

    [GeneratedRegex(@"^\| `(?<name>[^`]+)`(?<required>, required)? \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
