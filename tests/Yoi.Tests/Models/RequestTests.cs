using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Models.Wire;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>The bytes of requests: their form, their shared beginning, and that a provider can take them whatever a tool wrote.</summary>
public sealed class RequestTests
{
    private static IWire Wire(string provider) => provider == OnOpenAi ? new OpenAiWire() : new AnthropicWire();

    private static string Body(string provider, ModelRequest request) => Encoding.UTF8.GetString(Wire(provider).Write(request));

    private static readonly ModelMessage[] Life =
    [
        User("read x"),
        Said(new AssistantBlock.Thinking("Hmm.", "c2ln"), new AssistantBlock.Thinking("", "cmVk", Redacted: true), new AssistantBlock.Text("Reading."), new AssistantBlock.ToolCall("a", "Read", "{\"path\": \"x\"}")),
        new ModelMessage.User([new ModelToolResult("a", "no such file", IsError: true)], ["by the way", "  "]),
        Said(new AssistantBlock.Text(""), new AssistantBlock.ToolCall("b", "Read", "{}"), new AssistantBlock.ToolCall("c", "Write", "oops")),
        new ModelMessage.User([new ModelToolResult("b", "", IsError: false), new ModelToolResult("c", "no JSON", IsError: true)], []),
        Said(new AssistantBlock.Text("Done.")),
        User("thanks"),
    ];

    private static void Same(string expected, string actual) =>
        Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), JsonNode.Parse(actual)!.ToJsonString());

    [Fact]
    public void An_Anthropic_request_has_this_form()
    {
        Same("""
            {"model":"mock","max_tokens":4096,"stream":true,"cache_control":{"type":"ephemeral"},
            "tools":[{"name":"Read","description":"Does Read.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}}},
                     {"name":"Write","description":"Does Write.","input_schema":{"type":"object","properties":{"path":{"type":"string"}}},"cache_control":{"type":"ephemeral"}}],
            "system":[{"type":"text","text":"You are a Pod.","cache_control":{"type":"ephemeral"}}],
            "messages":[
              {"role":"user","content":[{"type":"text","text":"read x"}]},
              {"role":"assistant","content":[{"type":"thinking","thinking":"Hmm.","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Reading."},
                                             {"type":"tool_use","id":"a","name":"Read","input":{"path":"x"}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"no such file","is_error":true},{"type":"text","text":"by the way"}]},
              {"role":"assistant","content":[{"type":"tool_use","id":"b","name":"Read","input":{}},{"type":"tool_use","id":"c","name":"Write","input":{"invalid_arguments":"oops"}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"b"},{"type":"tool_result","tool_use_id":"c","content":"no JSON","is_error":true}]},
              {"role":"assistant","content":[{"type":"text","text":"Done."}]},
              {"role":"user","content":[{"type":"text","text":"thanks"}]}]}
            """, Body(OnAnthropic, Ask(OnAnthropic, null, Life)));
    }

    [Fact]
    public void A_Chat_Completions_request_has_this_form()
    {
        Same("""
            {"model":"mock","max_completion_tokens":4096,"stream":true,"stream_options":{"include_usage":true},
            "tools":[{"type":"function","function":{"name":"Read","description":"Does Read.","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}},
                     {"type":"function","function":{"name":"Write","description":"Does Write.","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}}],
            "messages":[
              {"role":"system","content":"You are a Pod."},
              {"role":"user","content":"read x"},
              {"role":"assistant","content":"Reading.","tool_calls":[{"id":"a","type":"function","function":{"name":"Read","arguments":"{\"path\": \"x\"}"}}]},
              {"role":"tool","tool_call_id":"a","content":"no such file"},
              {"role":"user","content":"by the way\n\n  "},
              {"role":"assistant","content":null,"tool_calls":[{"id":"b","type":"function","function":{"name":"Read","arguments":"{}"}},
                                                               {"id":"c","type":"function","function":{"name":"Write","arguments":"{\"invalid_arguments\":\"oops\"}"}}]},
              {"role":"tool","tool_call_id":"b","content":""},{"role":"tool","tool_call_id":"c","content":"no JSON"},
              {"role":"assistant","content":"Done."},
              {"role":"user","content":"thanks"}]}
            """, Body(OnOpenAi, Ask(OnOpenAi, null, Life)));
    }

    [Fact]
    public void Compatible_servers_get_the_older_limit_and_their_reasoning_back_behind_calls_only()
    {
        var thinking = new AssistantBlock.Thinking("Hmm.", "field:reasoning");
        var call = new AssistantBlock.ToolCall("a", "Read", "{}", """{"google":{"thought_signature":"x"}}""");
        var body = Body(OnOpenAi, Ask(OnOpenAi, "http://127.0.0.1:11434/v1", User("hi"), Said(thinking, call), Result("a", "x"), Said(thinking, new AssistantBlock.Text("Done.")), User("more")));
        Assert.Contains("\"max_tokens\":4096", body, StringComparison.Ordinal);
        Assert.Contains("""{"role":"assistant","content":null,"reasoning":"Hmm.","tool_calls":[""", body, StringComparison.Ordinal);
        Assert.Contains("""{"role":"assistant","content":"Done."}""", body, StringComparison.Ordinal);
        Assert.Contains("""},"extra_content":{"google":{"thought_signature":"x"}}}]""", body, StringComparison.Ordinal);
        Assert.DoesNotContain("Hmm.", Body(OnOpenAi, Ask(OnOpenAi, "https://api.openai.com/v1", User("hi"), Said(thinking, call), Result("a", "x"))), StringComparison.Ordinal);
        Assert.DoesNotContain("Hmm.", Body(OnAnthropic, Ask(OnAnthropic, null, User("hi"), Said(thinking, call), Result("a", "x"))), StringComparison.Ordinal);
    }

    [Theory, InlineData(200, 1024), InlineData(2000, 2000), InlineData(9000, 4095)]
    public void A_budget_for_thinking_is_kept_within_what_the_provider_takes(int wanted, int sent)
    {
        var request = Ask(OnAnthropic, null, User("hi"));
        Assert.Contains($$$"""{"type":"enabled","budget_tokens":{{{sent}}}}""", Body(OnAnthropic, request with { Choice = request.Choice with { ThinkingTokens = wanted } }), StringComparison.Ordinal);
        Assert.DoesNotContain("thinking", Body(OnAnthropic, request with { Choice = request.Choice with { ThinkingTokens = wanted, MaxOutputTokens = 1024 } }), StringComparison.Ordinal);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public void A_longer_conversation_begins_with_the_bytes_of_the_shorter(string provider)
    {
        string? before = null;
        for (var length = 1; length <= Life.Length; length += 2)
        {
            var body = Body(provider, Ask(provider, null, Life[..length]));
            Assert.EndsWith("]}", body, StringComparison.Ordinal);
            if (before is not null)
                Assert.StartsWith(before[..^2], body, StringComparison.Ordinal);
            before = body;
        }
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public void A_text_that_joins_the_newest_message_leaves_what_was_sent_before_untouched(string provider)
    {
        var before = Body(provider, Ask(provider, null, User("one")));
        var after = Body(provider, Ask(provider, null, User("one", "two")));
        var shared = before[..(before.LastIndexOf("one", StringComparison.Ordinal) + 3)];
        Assert.StartsWith(shared, after, StringComparison.Ordinal);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public void The_same_request_has_the_same_bytes(string provider) =>
        Assert.Equal(Wire(provider).Write(Ask(provider, null, Life)), Wire(provider).Write(Ask(provider, null, Life)));

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "G11")]
    public void No_half_of_a_surrogate_pair_is_ever_sent(string provider)
    {
        const string Text = "ab👋cd😀e";
        for (var cut = 0; cut <= 8; cut++)
        {
            var half = Text[..cut] + "\u0000\u001b" + Text[(cut + 1)..];
            var escaped = $$"""{"path":"\ud83d","x\udc00":["{{cut}}\ude00",1,true,null]}""";
            var body = Wire(provider).Write(Ask(provider, null, User(half),
                Said(new AssistantBlock.Text(half), new AssistantBlock.ToolCall("a", "Read", escaped), new AssistantBlock.ToolCall("b", "Read", $$"""{"path":"{{half}}"}""")),
                new ModelMessage.User([new ModelToolResult("a", half, IsError: false), new ModelToolResult("b", half, IsError: true)], [half])) with
            { System = half });
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(body);
            foreach (var value in Strings(JsonDocument.Parse(body).RootElement))
                Assert.Equal(value, JsonText.WellFormed(value));
        }
    }

    [Fact]
    public void Ids_of_other_providers_are_made_fit_for_Anthropic_in_call_and_result_alike()
    {
        var body = Body(OnAnthropic, Ask(OnAnthropic, null, User("hi"), Said(new AssistantBlock.ToolCall("functions.Read:0", "Read", "{}")), Result("functions.Read:0", "x")));
        Assert.Contains("\"id\":\"functions_Read_0\"", body, StringComparison.Ordinal);
        Assert.Contains("\"tool_use_id\":\"functions_Read_0\"", body, StringComparison.Ordinal);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public void A_user_who_says_nothing_is_still_a_message_that_a_provider_takes(string provider) =>
        Assert.Contains("(no text)", Body(provider, Ask(provider, null, User(""))), StringComparison.Ordinal);

    private static IEnumerable<string> Strings(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().SelectMany(member => Strings(member.Value).Append(member.Name)),
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Strings),
        JsonValueKind.String => [value.GetString()!],
        _ => [],
    };
}
