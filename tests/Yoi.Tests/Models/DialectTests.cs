using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>What compatible servers send that the originals never would.</summary>
public sealed class DialectTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static Task<Heard> HearAsync(params string[] deltas)
    {
        var chunks = deltas.Select(delta => $$$"""data: {"choices":[{"index":0,"delta":{{{delta}}}}]}{{{"\n\n"}}}""");
        var stream = string.Concat(chunks) + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        return ReadAsync(new OpenAiWire(), new PortionStream(Encoding.UTF8.GetBytes(stream)), Ct);
    }

    private static void Calls(Heard heard, params string[] expected) =>
        Assert.Equal(expected, heard.Whole.Blocks.OfType<AssistantBlock.ToolCall>().Select(call => $"{call.CallId} {call.Name} {call.Arguments}"));

    [Fact]
    public async Task Whole_calls_with_the_same_index_and_different_ids_are_different_calls() => Calls(
        await HearAsync("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":"{\"path\":\"x\"}"}}]}""",
            """{"tool_calls":[{"index":0,"id":"b","function":{"name":"Read","arguments":"{\"path\":\"y\"}"}}]}"""),
        """a Read {"path":"x"}""", """b Read {"path":"y"}""");

    [Fact]
    public async Task Whole_calls_without_index_or_id_are_different_calls() => Calls(
        await HearAsync("""{"tool_calls":[{"function":{"name":"Read","arguments":"{}"}},{"function":{"name":"Write","arguments":"{}"}}]}"""),
        "call_1 Read {}", "call_2 Write {}");

    [Fact]
    public async Task Whole_calls_with_the_same_id_and_no_index_are_different_calls() => Calls(
        await HearAsync("""{"tool_calls":[{"id":"a","function":{"name":"Read","arguments":"{}"}}]}""", """{"tool_calls":[{"id":"a","function":{"name":"Write","arguments":"{}"}}]}"""),
        "a Read {}", "a_2 Write {}");

    [Fact]
    public async Task Pieces_that_repeat_id_and_name_are_one_call() => Calls(
        await HearAsync("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":"{\"path\""}}]}""",
            """{"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":":\"x\"}"}}]}"""),
        """a Read {"path":"x"}""");

    [Fact]
    public async Task Interleaved_pieces_find_their_call_by_index() => Calls(
        await HearAsync("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":"{\"pa"}},{"index":1,"id":"b","function":{"name":"Write","arguments":"{\"q"}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"\":1}"}},{"index":0,"function":{"arguments":"th\":2}"}}]}"""),
        """a Read {"path":2}""", """b Write {"q":1}""");

    [Fact]
    public async Task Arguments_may_come_as_an_object_empty_or_not_at_all() => Calls(
        await HearAsync("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"Read","arguments":{"path": "x"}}}]}""",
            """{"tool_calls":[{"index":1,"id":"b","function":{"name":"Read","arguments":""}}]}""", """{"tool_calls":[{"index":2,"id":"c","function":{"name":"Read"}}]}"""),
        """a Read {"path": "x"}""", "b Read {}", "c Read {}");

    [Fact]
    public async Task Reasoning_under_either_name_content_in_parts_nulls_and_unknown_members_are_read()
    {
        var heard = await HearAsync("""{"role":"assistant","content":null,"reasoning":"Hm","reasoning_details":[{"x":1}]}""", """{"content":"","reasoning":"m."}""",
            """{"content":[{"type":"text","text":"Yes"}]}""", """{"content":".","tool_calls":null,"reasoning":null}""");
        Assert.Equal<AssistantBlock>([new AssistantBlock.Thinking("Hmm.", "field:reasoning"), new AssistantBlock.Text("Yes.")], heard.Whole.Blocks);
    }

    [Fact]
    public async Task A_signature_of_a_call_is_kept()
    {
        var heard = await HearAsync("""{"tool_calls":[{"index":0,"id":"a","extra_content":{"google":{"thought_signature":"s"}},"function":{"name":"Read","arguments":"{}"}}]}""");
        Assert.Equal([new AssistantBlock.ToolCall("a", "Read", "{}", """{"google":{"thought_signature":"s"}}""")], heard.Whole.Blocks);
    }

    [Theory]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"All.\"},\"finish_reason\":\"stop\"}]}\n\n", true)]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"All.\"}}]}\n\ndata: [DONE]\n\n", false)]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"All.\"}}]}\n\n", false)]
    public async Task A_finish_reason_makes_a_message_whole_and_DONE_alone_does_not(string stream, bool whole)
    {
        var heard = await ReadAsync(new OpenAiWire(), new PortionStream(Encoding.UTF8.GetBytes(stream)), Ct);
        Assert.Equal(whole ? null : ModelFailure.Incomplete, heard.Failure?.Kind);
        Assert.Equal("All.", heard.Text);
    }

    [Theory, InlineData("-5"), InlineData("1.5"), InlineData("\"7\""), InlineData("null"), InlineData("99999999999999999999")]
    public async Task Usage_that_is_no_count_is_unknown(string number)
    {
        var stream = $$$"""data: {"choices":[{"index":0,"delta":{"content":"All."},"finish_reason":"stop"}],"usage":{"prompt_tokens":{{{number}}},"completion_tokens":3}}{{{"\n\n"}}}""";
        var heard = await ReadAsync(new OpenAiWire(), new PortionStream(Encoding.UTF8.GetBytes(stream)), Ct);
        Assert.Equal(new Usage(null, 3), heard.Whole.Usage);
    }

    [Fact]
    public async Task An_Anthropic_compatible_server_may_send_the_whole_input_at_the_start()
    {
        const string Stream = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"Read\",\"input\":{\"path\":\"x\"}}}\n\n"
            + "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        var heard = await ReadAsync(new AnthropicWire(), new PortionStream(Encoding.UTF8.GetBytes(Stream)), Ct);
        Calls(heard, """a Read {"path":"x"}""");
        Assert.Equal("""{"path":"x"}""", heard.Arguments);
    }

    [Theory, InlineData("refusal", nameof(ModelFailure.Refused)), InlineData("model_context_window_exceeded", nameof(ModelFailure.ContextOverflow)), InlineData("end_turn", nameof(ModelFailure.Empty))]
    public async Task An_empty_message_fails_by_its_stop_reason(string reason, string kind)
    {
        var stream = $$$"""data: {"type":"message_delta","delta":{"stop_reason":"{{{reason}}}"},"usage":{"output_tokens":1}}{{{"\n\n"}}}data: {"type":"message_stop"}{{{"\n\n"}}}""";
        var heard = await ReadAsync(new AnthropicWire(), new PortionStream(Encoding.UTF8.GetBytes(stream)), Ct);
        Assert.Equal(kind, heard.Failed.Kind.ToString());
    }
}
