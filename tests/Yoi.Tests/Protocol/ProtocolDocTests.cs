using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Socket;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Protocol;

/// <summary>What docs/protocol.md says is what the code does.</summary>
public sealed partial class ProtocolDocTests
{
    private static readonly string Doc = SourceTree.Read("docs/protocol.md");

    private static List<string[]> Blocks => [.. Block().Matches(Doc).Select(block => block.Groups["lines"].Value.TrimEnd().Split('\n'))];

    /// <summary>Each line is read as what it is; every member of it must still be there when it is written again.</summary>
    [Fact]
    public void Every_example_line_is_a_method_an_event_or_a_reply_without_a_member_too_many()
    {
        Assert.True(Blocks.Count >= 7);
        foreach (var lines in Blocks)
        {
            var asked = new Dictionary<string, Method>();
            foreach (var line in lines) AssertIsKept(JsonDocument.Parse(line).RootElement, JsonDocument.Parse(Rewritten(line, asked)).RootElement, line);
        }
    }

    [Fact]
    public void A_member_that_does_not_exist_would_be_noticed()
    {
        foreach (var line in new[] { """{"method":"run","params":{"input":"x","speed":3}}""", """{"event":"usage","data":{"input_tokens":1,"output_tokens":1,"cost":2}}""", """{"method":"cancel","why":"x"}""" })
            Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => AssertIsKept(JsonDocument.Parse(line).RootElement, JsonDocument.Parse(Rewritten(line, [])).RootElement, line));
    }

    [Fact]
    public void Every_method_event_and_code_has_its_row_and_its_example()
    {
        var words = Row().Matches(Doc).SelectMany(row => Word().Matches(row.Groups["first"].Value)).Select(word => word.Groups["word"].Value).ToHashSet();
        var codes = typeof(ErrorCode).GetFields().Select(field => (string)field.GetRawConstantValue()!);
        Assert.Empty(Kinds.Methods.Names.Concat(Kinds.Events.Names).Concat(codes).Except(words));
        var examples = Blocks.SelectMany(lines => lines).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Empty(Kinds.Methods.Names.Except(examples.Select(line => line.TryGetProperty("method", out var name) ? name.GetString()! : "")));
        Assert.Empty(Kinds.Events.Names.Except(examples.Select(line => line.TryGetProperty("event", out var name) ? name.GetString()! : "")));
    }

    [Fact]
    public void The_numbers_are_those_of_the_code()
    {
        var limits = new SocketLimits();
        string[] said =
        [
            $"| bytes of a line to the Pod, newline included | {WireCodec.MaxLineBytes >> 20} MiB |", $"| nesting of a line | {YoiJson.MaxDepth} levels |",
            $"| time from a line's first byte to its newline | {limits.Line.TotalSeconds:0} s |", $"| connections of a Pod | {limits.Connections} |",
            $"| requests of one connection in work | {limits.InFlight} |", $"| bytes of these requests and of the pages they ask for | {limits.InFlightBytes >> 20} MiB |", $"| bytes that wait for one reader | {limits.BacklogBytes >> 20} MiB |",
            $"the newest {limits.Notifications} of this process", $"a string of at most {WireCodec.MaxIdBytes - 2} bytes", $"The version now is {WireCodec.Version}.",
        ];
        Assert.All(said, text => Assert.Contains(text, Doc, StringComparison.Ordinal));
        Assert.Equal(["hello", "poke"], Handshake.Upward);
    }

    /// <summary>The line as this build writes what it read.</summary>
    private static string Rewritten(string line, Dictionary<string, Method> asked)
    {
        var (bytes, root, written) = (Encoding.UTF8.GetBytes(line), JsonDocument.Parse(line).RootElement, new ArrayBufferWriter<byte>());
        if (root.TryGetProperty("method", out _))
        {
            var request = WireCodec.ReadRequest(bytes);
            if (request.Id is { } id) asked[id.GetRawText()] = request.Method;
            WireCodec.Write(written, request.Method, request.Id);
            return Encoding.UTF8.GetString(written.WrittenSpan);
        }
        var (@event, reply) = WireCodec.ReadFromPod(bytes);
        if (@event is Event.Appended appended) Assert.IsNotType<Entry.Unknown>(JournalCodec.FromEvent(appended));
        if (@event is not null) WireCodec.Write(written, @event);
        else
        {
            Assert.True(reply is not null, $"of an unknown kind: {line}");
            Assert.True(asked.TryGetValue(reply.Id.GetRawText(), out var method), $"answers nothing in its block: {line}");
            WireCodec.Write(written, new Reply(reply.Id, reply.Result is { } result ? Result(method, result) : null, reply.Error));
        }
        return Encoding.UTF8.GetString(written.WrittenSpan);
    }

    private static ReplyResult Result(Method method, JsonElement json) => (ReplyResult)json.Deserialize(Kinds.Results.Named(method switch
    {
        Method.Run or Method.Notify => "accepted",
        Method.Hello => "welcome",
        Method.Status => "status",
        Method.Read => "page",
        Method.Attach => "attached",
        Method.GetHistory => "history",
        _ => "done",
    })!.Json)!;

    private static void AssertIsKept(JsonElement said, JsonElement kept, string line)
    {
        Assert.True(said.ValueKind == kept.ValueKind, $"{said} became {kept} in {line}");
        switch (said.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in said.EnumerateObject())
                {
                    Assert.True(kept.TryGetProperty(member.Name, out var value), $"there is no \"{member.Name}\" in {line}");
                    AssertIsKept(member.Value, value, line);
                }
                break;
            case JsonValueKind.Array:
                Assert.Equal(said.GetArrayLength(), kept.GetArrayLength());
                foreach (var (one, other) in said.EnumerateArray().Zip(kept.EnumerateArray())) AssertIsKept(one, other, line);
                break;
            default:
                Assert.True(JsonElement.DeepEquals(said, kept), $"{said} became {kept} in {line}");
                break;
        }
    }

    [GeneratedRegex("^```jsonl\n(?<lines>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^\| (?<first>`[^|]*)\|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex("`(?<word>\\w+)`")]
    private static partial Regex Word();
}
