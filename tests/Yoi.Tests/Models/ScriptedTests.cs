using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Scripted;
using Yoi.Tests.Structure;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>The model that answers from a file.</summary>
public sealed class ScriptedTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static ScriptedModel Load(string script, string pod = "lead", TimeProvider? time = null) =>
        new("s.jsonc", ScriptReader.Read("s.jsonc", Encoding.UTF8.GetBytes(script)), pod, time ?? new ManualTime(runDelays: true));

    private static Task<Heard> HearAsync(IModel model, params ModelMessage[] messages) => model.HearAsync(Ask("scripted", null, messages), Ct);

    private static readonly ModelMessage Hello = Said(new AssistantBlock.Text("…"));

    [Fact]
    public async Task Replies_come_in_turn_and_the_turn_follows_from_the_conversation_alone()
    {
        const string Script = """{"pods":{"lead":{"replies":[{"text":"one"},{"text":["tw","o"]},{"text":"more","repeat":true}]}}}""";
        var model = Load(Script);
        Assert.Equal("one", (await HearAsync(model, User("a"))).Text);
        Assert.Equal("one", (await HearAsync(model, User("a"))).Text);
        Assert.Equal("two", (await HearAsync(Load(Script), User("a"), Hello, User("b"))).Text);
        Assert.Equal("more", (await HearAsync(model, User("a"), Hello, User("b"), Hello, User("c"), Hello, User("d"))).Text);
    }

    [Fact]
    public async Task A_condition_answers_out_of_turn_and_uses_up_no_turn()
    {
        const string Script = """
            {
              // comments are fine, so are trailing commas
              "pods": { "lead": { "replies": [
                { "text": "one" },
                { "when": { "user": "news" }, "text": "noted" },
                { "when": { "result_matches": "^no such .*$" }, "text": "pity" },
                { "text": "two" }, ] } },
            }
            """;
        var model = Load(Script);
        Assert.Equal("noted", (await HearAsync(model, User("some news"))).Text);
        Assert.Equal("one", (await HearAsync(model, User("some news"), Hello, User("go"))).Text);
        Assert.Equal("two", (await HearAsync(model, User("some news"), Hello, User("go"), Hello, User("on"))).Text);
        Assert.Equal("pity", (await HearAsync(model, User("go"), Hello, Result("a", "no such file"))).Text);
    }

    [Fact]
    public async Task A_reply_carries_reasoning_text_calls_and_usage()
    {
        var model = Load("""
            {"pods":{"*":{"usage":{"input":100,"output":20,"cache_read":3},"replies":[
              {"thinking":"Hmm.","text":["I ","read."],"calls":[{"name":"Read","arguments":{"path":"x", /* why */ "n":[1,2]}},{"name":"Bash","arguments":"{oops"}]}]}}}
            """);
        var heard = await HearAsync(model, User("go"), Said(new AssistantBlock.ToolCall("x", "Read", "{}")), Result("x", "y"));
        Assert.Contains("no reply left", heard.Failed.Message, StringComparison.Ordinal);
        heard = await HearAsync(model, User("go"));
        Assert.Equal<AssistantBlock>(
            [new AssistantBlock.Thinking("Hmm."), new AssistantBlock.Text("I read."), new AssistantBlock.ToolCall("toolu_00000001", "Read", """{"path":"x","n":[1,2]}"""), new AssistantBlock.ToolCall("toolu_00000002", "Bash", "{oops")],
            heard.Whole.Blocks);
        Assert.Equal(new Usage(100, 20, 3), heard.Whole.Usage);
        Assert.Equal(new ModelEvent.UsageSoFar(new Usage(100, 1, 3)), heard.Events[0]);
        Assert.Equal("tool_use", heard.Whole.StopReason);
    }

    [Fact]
    public async Task A_reply_that_expects_something_else_fails_with_its_line_and_what_came()
    {
        var model = Load("""
            {"pods":{"*":{"replies":[
              {"text":"a"},
              {"expect":{"result":"spawned"},"text":"b"}]}}}
            """);
        var heard = await HearAsync(model, User("go"), Hello, Result("x", "refused: held by w2"));
        Assert.Equal("script s.jsonc, line 3: the reply expects a result with \"spawned\"; the model was told: refused: held by w2", heard.Failed.Message);
        Assert.Equal("b", (await HearAsync(model, User("go"), Hello, Result("x", "spawned w2"))).Text);
    }

    [Fact]
    public async Task Failures_cuts_and_limits_can_be_scripted()
    {
        var model = Load("""
            {"pods":{"*":{"replies":[
              {"when":{"user":"fail"},"error":{"status":529,"type":"overloaded_error","message":"full"}},
              {"when":{"user":"break"},"text":"Half","error":{"status":500,"message":"broken"}},
              {"when":{"user":"cut"},"text":"Half","cut":true},
              {"when":{"user":"limit"},"text":"Half","calls":[{"name":"Write","arguments":"{\"path\":"}],"stop_reason":"max_tokens"},
              {"when":{"user":"nothing"}}]}}}
            """);
        var failed = await HearAsync(model, User("fail"));
        Assert.Equal((ModelFailure.Overloaded, "Client error: API error (status: 529) [overloaded_error]: full"), (failed.Failed.Kind, failed.Failed.Message));
        var broken = await HearAsync(model, User("break"));
        Assert.Equal(("Half", ModelFailure.Server, true), (broken.Text, broken.Failed.Kind, broken.Failed.Produced));
        Assert.Equal(ModelFailure.Incomplete, (await HearAsync(model, User("cut"))).Failed.Kind);
        var limited = await HearAsync(model, User("limit"));
        Assert.Equal((true, "Write", 1), (limited.Whole.CutOff, limited.Whole.DroppedCall, limited.Whole.Blocks.Count));
        Assert.Equal(ModelFailure.Empty, (await HearAsync(model, User("nothing"))).Failed.Kind);
    }

    [Fact]
    public async Task A_stall_comes_after_the_first_delta_and_can_be_cancelled()
    {
        var time = new ManualTime();
        var model = Load("""{"pods":{"*":{"replies":[{"text":["a","b"],"stall_ms":3000,"repeat":true}]}}}""", time: time);
        var heard = HearAsync(model, User("go"));
        await time.SomethingWaitsAsync(Ct);
        Assert.False(heard.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("ab", (await heard).Text);

        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        await using var events = model.StreamAsync(Ask("scripted", null, User("go")), cancel.Token).GetAsyncEnumerator(Ct);
        Assert.True(await events.MoveNextAsync());
        Assert.Equal(new ModelEvent.TextDelta(0, "a"), events.Current);
        var next = events.MoveNextAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await next);
    }

    [Fact]
    public async Task Commands_are_obeyed_where_no_reply_is_left()
    {
        using var model = ModelFactory.Create(new ModelChoice("scripted", "mock"), "w1", null, Timing, new ManualTime(runDelays: true));
        var greeting = await HearAsync(model, User("hi"));
        Assert.Equal(["Hello", " from the", " mock."], greeting.Events.OfType<ModelEvent.TextDelta>().Select(delta => delta.Text));
        Assert.Equal(new Usage(10, 5), greeting.Whole.Usage);
        Assert.Equal(new ModelEvent.UsageSoFar(new Usage(10, 1)), greeting.Events[0]);
        Assert.Equal("Hello from the mock.", (await HearAsync(model, User("SLOW 3000"))).Text);
        Assert.Equal("Client error: API error (status: 500) [overloaded_error]: mock refusal", (await HearAsync(model, User("ERR"))).Failed.Message);
        Assert.Equal("Hello from the mock.", (await HearAsync(model, User("ERR", "what was that?"))).Text);
        var call = (await HearAsync(model, User("CALL Read {\"file_path\": \"/w/a b\"}\nCALL ListPods {}"))).Whole.Blocks;
        Assert.Equal<AssistantBlock>([new AssistantBlock.ToolCall("toolu_00000001", "Read", "{\"file_path\": \"/w/a b\"}"), new AssistantBlock.ToolCall("toolu_00000002", "ListPods", "{}")], call);
        Assert.Equal("done", (await HearAsync(model, User("CALL Read {}"), Said(call[0]), Result("toolu_00000001", "x"))).Text);
    }

    [Theory]
    [InlineData("{\"pods\":{\"*\":{\n\"replys\":[]}}}", "line 2: a Pod's script has no \"replys\"; did you mean \"replies\"?")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[\n{},\n{\"txet\":\"x\"}]}}}", "line 3: a reply has no \"txet\"; did you mean \"text\"?")]
    [InlineData("{\"pod\":{}}", "line 1: a script has no \"pod\"; did you mean \"pods\"?")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[{\"when\":{\"usr\":\"x\"}}]}}}", "a condition has no \"usr\"; did you mean \"user\"?")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[{\"calls\":[{\"arguments\":{}}]}]}}}", "a call needs a \"name\"")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[{\"text\":5}]}}}", "\"text\" must be a list")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[{\"stall_ms\":-1}]}}}", "\"stall_ms\" must be a whole number from 0 on")]
    [InlineData("{\"pods\":{\"*\":{\"replies\":[{\"when\":{\"user_matches\":\"(\"}}]}}}", "\"user_matches\" is no regular expression")]
    [InlineData("{\"pods\":{\"*\":{\"commands\":1}}}", "\"commands\" must be true or false")]
    [InlineData("{\"pods\":{\"*\":{},\"*\":{}}}", "\"*\" stands here twice")]
    [InlineData("{\"pods\":\n{\"*\":", "is no JSON")]
    [InlineData("[]", "a script must be an object")]
    [InlineData("", "is no JSON")]
    [InlineData("{\"pods\":{\"child\":{}}}", "has nothing for the Pod lead; it has child, and no \"*\"")]
    public void What_is_not_understood_is_an_error_with_line_and_nearest_name(string script, string expected)
    {
        var failure = Assert.Throws<ModelException>(() => Load(script));
        Assert.StartsWith("script s.jsonc", failure.Message, StringComparison.Ordinal);
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_example_in_the_docs_works()
    {
        var docs = SourceTree.Read("docs/models.md");
        var example = docs.Split("```jsonc")[1].Split("```")[0];
        var lead = Load(example);
        Assert.Equal("I shall read it.", (await HearAsync(lead, User("read a.txt"))).Text);
        Assert.Equal("It says hello.", (await HearAsync(lead, User("read a.txt"), Hello, Result("x", "hello"))).Text);
        Assert.Equal("Noted.", (await HearAsync(lead, User("w2 has finished"))).Text);
        Assert.Equal("Hello from the mock.", (await HearAsync(Load(example, "w2"), User("go"))).Text);
    }

    [Fact]
    public void A_script_that_is_not_there_is_named()
    {
        var failure = Assert.Throws<ModelException>(() => ModelFactory.Create(new ModelChoice("scripted", "mock", Script: "/nowhere/s.jsonc"), "w1", null, Timing, TimeProvider.System));
        Assert.Contains("/nowhere/s.jsonc", failure.Message, StringComparison.Ordinal);
    }
}
