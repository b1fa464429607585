using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Tools;

public sealed class ArgumentsTests
{
    private static readonly ToolSchema Schema = new("T", "", JsonDocument.Parse("""
        {"type":"object","required":["file_path"],"properties":{
          "file_path":{"type":"string"},"limit":{"type":"integer"},"deep":{"type":"boolean"},"mode":{"type":"string"},"names":{"type":"array"},
          "scope":{"type":"array","items":{"$ref":"#/$defs/Rule"}}},
         "$defs":{"Rule":{"type":"object","required":["target"],"properties":{"target":{"type":"string"},"recursive":{"type":"boolean"}}}}}
        """).RootElement);

    private static Arguments Of(string json) => new(JsonDocument.Parse(json).RootElement, Schema);

    private static string Failure(Action action) => Assert.Throws<ToolFailure>(action).Message;

    [Fact]
    public void What_was_given_is_read_and_null_counts_as_absent()
    {
        var arguments = Of("""{"file_path":"/a","limit":5.0,"deep":true,"mode":"b","names":["x","y"],"scope":[{"target":"/t","recursive":false}]}""");
        Assert.Equal("/a", arguments.Text("file_path"));
        Assert.Equal(5, arguments.Number("limit"));
        Assert.True(arguments.Flag("deep"));
        Assert.Equal("b", arguments.Choice("mode", "a", "a", "b"));
        Assert.Equal(["x", "y"], arguments.Texts("names"));
        var rule = Assert.Single(arguments.Objects("scope"));
        Assert.Equal("/t", rule.Text("target"));
        Assert.False(rule.Flag("recursive", true));

        var absent = Of("""{"file_path":null,"limit":null}""");
        Assert.Null(absent.Number("limit"));
        Assert.False(absent.Has("file_path"));
        Assert.Equal("a", absent.Choice("mode", "a", "a", "b"));
        Assert.Empty(absent.Objects("scope"));
    }

    [Theory]
    [InlineData("""{"path":"/a"}""", "unknown field `path`; did you mean `file_path`?")]
    [InlineData("""{"filepath":"/a"}""", "unknown field `filepath`; did you mean `file_path`?")]
    [InlineData("""{"zzzz":1}""", "unknown field `zzzz`. Fields: file_path (required), limit")]
    [InlineData("""[1]""", "the arguments must be a JSON object, not a list of 1")]
    public void An_unknown_field_is_refused_with_the_nearest_known_name(string json, string expected) =>
        Assert.StartsWith(expected, Failure(() => Of(json)), StringComparison.Ordinal);

    [Fact]
    public void A_wrong_value_is_refused_with_what_was_expected_and_what_came()
    {
        Assert.StartsWith("missing field `file_path` (string)", Failure(() => Of("{}").Text("file_path")), StringComparison.Ordinal);
        Assert.Equal("`file_path` must be a string, not 7.", Failure(() => Of("""{"file_path":7}""").Text("file_path")));
        Assert.Equal("`limit` must be a whole number of at least 0, not -1.", Failure(() => Of("""{"limit":-1}""").Number("limit")));
        Assert.Equal("`limit` must be a whole number from 1 to 9, not 1.5.", Failure(() => Of("""{"limit":1.5}""").Number("limit", 1, 9)));
        Assert.Contains("not the string \"5\"", Failure(() => Of("""{"limit":"5"}""").Number("limit")), StringComparison.Ordinal);
        Assert.Contains("did you mean \"content\"? It must be one of: content, count.", Failure(() => Of("""{"mode":"contents"}""").Choice("mode", "", "content", "count")), StringComparison.Ordinal);
        Assert.Contains("unknown field `scope[0].targt`; did you mean `scope[0].target`?", Failure(() => Of("""{"scope":[{"targt":"/"}]}""").Objects("scope")), StringComparison.Ordinal);
        Assert.Contains("missing field `scope[0].target`", Failure(() => Of("""{"scope":[{}]}""").Objects("scope")[0].Text("target")), StringComparison.Ordinal);
        Assert.Contains("`scope[0]` must be a JSON object, not null", Failure(() => Of("""{"scope":[null]}""").Objects("scope")), StringComparison.Ordinal);
        Assert.Contains("surrogate", Failure(() => Of("""{"\ud800":1}""")), StringComparison.Ordinal);
        Assert.Contains("surrogate", Failure(() => Of("""{"file_path":"\ud800"}""").Text("file_path")), StringComparison.Ordinal);
    }
}
