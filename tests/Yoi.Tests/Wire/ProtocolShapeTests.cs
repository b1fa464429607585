using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Wire;

/// <summary>Every method and event as the base protocol writes it, and its tools' parameters.</summary>
public sealed class ProtocolShapeTests
{
    private static IEnumerable<string> Lines(string kind) => Recording.Lines("protocol-shapes.jsonl")
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.GetProperty("kind").GetString() == kind)
        .Select(record => record.GetProperty("line").GetString()!);

    [Fact]
    public void Every_method_is_read_and_all_of_them_are_there()
    {
        var methods = Lines("method").Select(line => WireCodec.ReadRequest(Encoding.UTF8.GetBytes(line))).ToList();
        Assert.Equal(["run", "notify", "resume", "cancel", "shutdown", "get_history"], methods.Select(request => Kinds.Methods.Of(request.Method).Name));
        Assert.All(methods, request => Assert.Null(request.Id));
        Assert.Equal("text あ \" \\ \n \u0001 / <", Assert.IsType<Method.Run>(methods[0].Method).Input);
        Assert.Equal(new Method.Notify("child-1", "turn done"), methods[1].Method);
    }

    [Fact]
    public void Every_event_is_written_as_it_was_recorded()
    {
        foreach (var line in Lines("event"))
        {
            var (@event, _) = WireCodec.ReadFromPod(Encoding.UTF8.GetBytes(line));
            Assert.NotNull(@event);
            var written = new ArrayBufferWriter<byte>();
            WireCodec.Write(written, @event);
            Assert.Equal(line + "\n", Encoding.UTF8.GetString(written.WrittenSpan));
        }
    }

    [Fact]
    public void Every_item_of_a_history_has_the_recorded_members()
    {
        foreach (var line in Lines("item inside event history"))
        {
            var history = Encoding.UTF8.GetBytes(
                """{"event":"history","data":{"items":[ITEM],"greeting":{"pod_name":"p","cwd":"/","provider":"x","model":"m","scope_summary":"","tools":[]}}}"""
                    .Replace("ITEM", line, StringComparison.Ordinal));
            var written = new ArrayBufferWriter<byte>();
            WireCodec.Write(written, WireCodec.ReadFromPod(history).Event!);
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(history), JsonNode.Parse(written.WrittenSpan)), Encoding.UTF8.GetString(written.WrittenSpan));
        }
    }

    [Fact]
    public async Task Every_tool_takes_at_least_the_recorded_parameters_and_demands_no_others()
    {
        await using var pod = await RealPod.StartAsync();
        var ours = Assert.Single(pod.Records().Select(record => record.Entry).OfType<Entry.Prompt>()).Tools.ToDictionary(tool => tool.Name, tool => tool.Parameters);
        foreach (var tool in JsonDocument.Parse(Structure.SourceTree.Read("tests/Yoi.Tests/Data/wire/tool-schemas.json")).RootElement.EnumerateArray())
        {
            var name = tool.GetProperty("name").GetString()!;
            Assert.True(ours.TryGetValue(name, out var schema), $"{name} is missing");
            AssertTakes(name, tool.GetProperty("input_schema"), schema);
            if (name == "SpawnPod") AssertTakes("a rule of SpawnPod", Rule(tool.GetProperty("input_schema")), Rule(schema));
        }
    }

    private static JsonElement Rule(JsonElement schema) => schema.GetProperty("$defs").GetProperty("ScopeRuleInput");

    private static void AssertTakes(string name, JsonElement recorded, JsonElement ours)
    {
        Assert.Equal(Required(recorded).Order(), Required(ours).Order());
        if (!recorded.TryGetProperty("properties", out var parameters)) return;
        foreach (var parameter in parameters.EnumerateObject())
        {
            Assert.True(ours.GetProperty("properties").TryGetProperty(parameter.Name, out var here), $"{name}: {parameter.Name} is missing");
            Assert.True(Types(parameter.Value).Where(type => type != "null").All(Types(here).Contains), $"{name}: {parameter.Name} was {parameter.Value}, is {here}");
            if (parameter.Value.TryGetProperty("default", out var value) && value.ValueKind != JsonValueKind.Null)
                Assert.Equal(value.GetRawText(), here.GetProperty("default").GetRawText());
        }
    }

    private static IEnumerable<string> Required(JsonElement schema) =>
        schema.TryGetProperty("required", out var names) ? names.EnumerateArray().Select(name => name.GetString()!) : [];

    private static List<string> Types(JsonElement schema) => !schema.TryGetProperty("type", out var type) ? []
        : type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(one => one.GetString()!)] : [type.GetString()!];
}
