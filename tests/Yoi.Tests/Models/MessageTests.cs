using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>What both wires make of whole messages, over real HTTP.</summary>
public sealed class MessageTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task Text_arrives_in_the_deltas_in_which_it_was_sent(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        var heard = await server.HearAsync(provider, Ct);
        Assert.Equal(["Hello", " from the", " mock."], heard.Events.OfType<ModelEvent.TextDelta>().Select(delta => delta.Text));
        Assert.Equal([new AssistantBlock.Text("Hello from the mock.")], heard.Whole.Blocks);
        Assert.Equal((10L, 5L), (heard.Whole.Usage!.InputTokens, heard.Whole.Usage.OutputTokens));
        Assert.False(heard.Whole.CutOff);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task Calls_arrive_with_their_arguments_exactly_as_sent(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer
        {
            Pieces = [new Piece.Text("Reading."), new Piece.Call("toolu_a", "Read", "{\"pa", "th\": ", "\"x\"}"), new Piece.Call("toolu_b", "Write", "{ }")],
            CacheReadTokens = 7,
        });
        var heard = await server.HearAsync(provider, Ct);
        Assert.Equal<AssistantBlock>(
            [new AssistantBlock.Text("Reading."), new AssistantBlock.ToolCall("toolu_a", "Read", "{\"path\": \"x\"}"), new AssistantBlock.ToolCall("toolu_b", "Write", "{ }")],
            heard.Whole.Blocks);
        Assert.Equal(["toolu_a", "toolu_b"], heard.Events.OfType<ModelEvent.ToolCallStart>().Select(start => start.CallId));
        Assert.Equal(7, heard.Whole.Usage!.CacheReadTokens);
    }

    [Fact]
    public async Task Reasoning_is_kept_with_what_Anthropic_needs_back()
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer { Pieces = [new Piece.Thinking("c2ln", "Hm", "m."), new Piece.Redacted("cmVk"), new Piece.Text("Yes.")] });
        var heard = await server.HearAsync(OnAnthropic, Ct);
        Assert.Equal<AssistantBlock>(
            [new AssistantBlock.Thinking("Hmm.", "c2ln"), new AssistantBlock.Thinking("", "cmVk", Redacted: true), new AssistantBlock.Text("Yes.")], heard.Whole.Blocks);
    }

    [Fact]
    public async Task Reasoning_of_a_compatible_server_is_kept_with_the_name_of_its_field()
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer { Pieces = [new Piece.Thinking(null, "Hm", "m."), new Piece.Text("Yes.")] });
        var heard = await server.HearAsync(OnOpenAi, Ct);
        Assert.Equal<AssistantBlock>([new AssistantBlock.Thinking("Hmm.", "field:reasoning_content"), new AssistantBlock.Text("Yes.")], heard.Whole.Blocks);
    }

    [Fact]
    public async Task Usage_is_reported_early_for_a_message_that_is_cancelled_later()
    {
        await using var server = await ModelServer.StartAsync();
        using var model = Model(OnAnthropic, server.Origin);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        List<ModelEvent> events = [];
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var next in model.StreamAsync(Ask(OnAnthropic, server.Origin, User("SLOW 600000")), cancel.Token))
            {
                events.Add(next);
                if (next is ModelEvent.TextDelta)
                    await cancel.CancelAsync();
            }
        });
        Assert.Equal([new ModelEvent.UsageSoFar(new Usage(10, 1)), new ModelEvent.TextDelta(0, "Hello")], events);
        await server.Requests.Single().Gone.WaitAsync(Ct);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V06")]
    public async Task A_call_cut_off_at_the_output_limit_is_dropped_and_named(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer
        {
            Pieces = [new Piece.Text("Now "), new Piece.Call("toolu_a", "Read", "{}"), new Piece.Call("toolu_b", "Write", "{\"path\":\"x")],
            StopReason = provider == OnOpenAi ? "length" : "max_tokens",
        });
        var heard = await server.HearAsync(provider, Ct);
        Assert.True(heard.Whole.CutOff);
        Assert.Equal("Write", heard.Whole.DroppedCall);
        Assert.Equal<AssistantBlock>([new AssistantBlock.Text("Now "), new AssistantBlock.ToolCall("toolu_a", "Read", "{}")], heard.Whole.Blocks);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V06")]
    public async Task A_whole_call_at_the_output_limit_is_kept(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer { Pieces = [new Piece.Call("toolu_b", "Write", "{\"path\":\"x\"}")], StopReason = provider == OnOpenAi ? "length" : "max_tokens" });
        var heard = await server.HearAsync(provider, Ct);
        Assert.True(heard.Whole.CutOff);
        Assert.Null(heard.Whole.DroppedCall);
        Assert.Single(heard.Whole.Blocks);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "T19")]
    public async Task A_message_without_anything_is_a_failure_and_not_an_empty_success(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer());
        var heard = await server.HearAsync(provider, Ct);
        Assert.Equal(ModelFailure.Empty, heard.Failed.Kind);
        Assert.Single(server.Requests);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V07")]
    public async Task Ids_that_are_missing_doubled_or_used_before_are_made_unique(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer
        {
            Pieces = [new Piece.Call("old", "Read", "{}"), new Piece.Call("a", "Read", "{}"), new Piece.Call("a", "Write", "{}"), new Piece.Call("", "Write", "{}")],
        });
        using var model = Model(provider, server.BaseUrl(provider));
        var heard = await model.HearAsync(
            Ask(provider, server.BaseUrl(provider), User("hi"), Said(new AssistantBlock.ToolCall("old", "Read", "{}")), Result("old", "x")), Ct);
        var ids = heard.Whole.Blocks.Cast<AssistantBlock.ToolCall>().Select(call => call.CallId).ToList();
        Assert.Equal(4, ids.Count);
        Assert.Equal(["old_2", "a", "a_2"], ids[..3]);
        Assert.Equal(4, ids.Append("old").Distinct().Count() - 1);
        Assert.Equal(ids, heard.Events.OfType<ModelEvent.ToolCallStart>().Select(start => start.CallId));
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V07")]
    public async Task Five_hundred_calls_in_one_message_arrive_in_order(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(new Answer { Pieces = [.. Enumerable.Range(0, 500).Select(n => new Piece.Call($"c{n}", "Read", $$"""{"path":"{{n}}"}"""))] });
        var heard = await server.HearAsync(provider, Ct);
        Assert.Equal(Enumerable.Range(0, 500).Select(n => $$"""{"path":"{{n}}"}"""), heard.Whole.Blocks.Cast<AssistantBlock.ToolCall>().Select(call => call.Arguments));
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V07")]
    public async Task Invalid_arguments_arrive_as_they_are_and_go_back_as_an_object(string provider)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Calls("Read", "{\"path\": oops", id: "a"));
        using var model = Model(provider, server.BaseUrl(provider));
        var heard = await model.HearAsync(Ask(provider, server.BaseUrl(provider), User("hi")), Ct);
        var call = Assert.IsType<AssistantBlock.ToolCall>(Assert.Single(heard.Whole.Blocks));
        Assert.Equal("{\"path\": oops", call.Arguments);
        await model.HearAsync(Ask(provider, server.BaseUrl(provider), User("hi"), Said(call), Result("a", "no JSON", isError: true)), Ct);
        var sent = System.Text.Encoding.UTF8.GetString(server.Requests[1].Body);
        Assert.Contains("invalid_arguments", sent, StringComparison.Ordinal);
        System.Text.Json.JsonDocument.Parse(sent).Dispose();
    }
}
