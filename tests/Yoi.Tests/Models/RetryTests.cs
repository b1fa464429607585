using System.Net;
using System.Net.Sockets;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>What is tried again, when, how often, and what is not.</summary>
public sealed class RetryTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(408, nameof(ModelFailure.Timeout)), InlineData(409, nameof(ModelFailure.Server)), InlineData(425, nameof(ModelFailure.Server)), InlineData(429, nameof(ModelFailure.RateLimited))]
    [InlineData(500, nameof(ModelFailure.Server)), InlineData(502, nameof(ModelFailure.Server)), InlineData(503, nameof(ModelFailure.Overloaded)), InlineData(504, nameof(ModelFailure.Server))]
    [InlineData(529, nameof(ModelFailure.Overloaded))]
    [Trait("case", "V03")]
    public async Task A_passing_failure_is_tried_again_with_longer_waits_until_the_tries_are_used_up(int status, string kind)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(status, "some_error", "not now"));
        var time = new ManualTime(runDelays: true);
        var heard = await server.HearAsync(OnAnthropic, Ct, new ModelTiming(MaxTries: 5, MaxBackoffMs: 2_000), time);
        Assert.Equal(kind, heard.Failed.Kind.ToString());
        Assert.True(heard.Failed.Retryable);
        Assert.Equal($"Client error: API error (status: {status}) [some_error]: not now (tried 5 times)", heard.Failed.Message);
        Assert.Equal(5, server.Requests.Count);
        Assert.Equal(4, time.Delays.Count);
        Assert.All(time.Delays.Zip([500.0, 1_000, 2_000, 2_000]), pair => Assert.InRange(pair.First.TotalMilliseconds, pair.Second / 2, pair.Second));
        Assert.All(server.Requests, request => Assert.Equal(server.Requests[0].Body, request.Body));
    }

    [Fact]
    public async Task A_wait_that_somebody_would_notice_is_told_with_its_reason()
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Fails(429, "rate_limit_error", "slow down") with { Headers = new Dictionary<string, string> { ["Retry-After"] = "7" } });
        server.Enqueue(Answer.Fails(429, "rate_limit_error", "slow down") with { Headers = new Dictionary<string, string> { ["Retry-After"] = "0" } });
        var heard = await server.HearAsync(OnAnthropic, Ct, time: new ManualTime(runDelays: true));
        Assert.Equal("Hello from the mock.", heard.Text);
        var told = Assert.Single(heard.Events.OfType<ModelEvent.WaitsForRetry>());
        Assert.Equal((TimeSpan.FromSeconds(7), 1), (told.Wait, told.Tries));
        Assert.Contains("slow down", told.Failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(400, nameof(ModelFailure.BadRequest)), InlineData(401, nameof(ModelFailure.Authentication)), InlineData(403, nameof(ModelFailure.Authentication))]
    [InlineData(404, nameof(ModelFailure.BadRequest)), InlineData(413, nameof(ModelFailure.ContextOverflow)), InlineData(422, nameof(ModelFailure.BadRequest)), InlineData(501, nameof(ModelFailure.Server))]
    [Trait("case", "T19")]
    public async Task A_lasting_failure_is_not_tried_again(int status, string kind)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(status, "some_error", "no"));
        var heard = await server.HearAsync(OnOpenAi, Ct);
        Assert.Equal(kind, heard.Failed.Kind.ToString());
        Assert.False(heard.Failed.Retryable);
        Assert.Single(server.Requests);
    }

    [Theory]
    [InlineData("2", 2_000), InlineData("1.5", 1_500), InlineData("Thu, 01 Jan 2026 00:00:07 GMT", 7_000)]
    [InlineData("-5", null), InlineData("Thu, 01 Jan 2015 00:00:07 GMT", null), InlineData("soon", null), InlineData("NaN", null)]
    [Trait("case", "V03")]
    public async Task What_the_provider_asks_to_wait_is_waited_and_nonsense_is_not(string retryAfter, int? expectedMs)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Fails(429, "rate_limit_error", "slow down") with { Headers = new Dictionary<string, string> { ["Retry-After"] = retryAfter } });
        var time = new ManualTime(runDelays: true);
        var heard = await server.HearAsync(OnAnthropic, Ct, time: time);
        Assert.Equal("Hello from the mock.", heard.Text);
        var waited = Assert.Single(time.Delays).TotalMilliseconds;
        if (expectedMs is { } expected)
            Assert.Equal(expected, waited);
        else
            Assert.InRange(waited, 250, 500);
    }

    [Theory, InlineData("1000000000"), InlineData("1e300"), InlineData("61"), InlineData("Fri, 01 Jan 2027 00:00:00 GMT")]
    [Trait("case", "V03")]
    public async Task A_demand_above_the_cap_ends_the_request_and_names_the_wait(string retryAfter)
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Fails(529, "overloaded_error", "full") with { Headers = new Dictionary<string, string> { ["Retry-After"] = retryAfter } });
        var time = new ManualTime(runDelays: true);
        var heard = await server.HearAsync(OnAnthropic, Ct, time: time);
        Assert.Equal(ModelFailure.RateLimited, heard.Failed.Kind);
        Assert.Contains("it asks to wait", heard.Failed.Message, StringComparison.Ordinal);
        Assert.Empty(time.Delays);
        Assert.Single(server.Requests);
    }

    [Fact]
    [Trait("case", "V03")]
    public async Task Cancel_works_while_waiting_for_the_next_try()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(500, "api_error", "broken"));
        var time = new ManualTime();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var heard = server.HearAsync(OnAnthropic, cancel.Token, time: time);
        while (time.Delays.Count == 0)
            await time.SomethingWaitsAsync(Ct);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => heard);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task Used_up_quota_is_not_tried_again()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(429, "insufficient_quota", "pay first"));
        var heard = await server.HearAsync(OnOpenAi, Ct);
        Assert.Equal((ModelFailure.RateLimited, false), (heard.Failed.Kind, heard.Failed.Retryable));
        Assert.Single(server.Requests);
    }

    [Theory]
    [InlineData("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"), InlineData("This model's maximum context length is 8192 tokens", "invalid_request_error")]
    [InlineData("the request exceeds the available context size", "exceed_context_size_error")]
    public async Task A_conversation_that_has_grown_too_long_is_told_apart(string message, string type)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(400, type, message));
        Assert.Equal(ModelFailure.ContextOverflow, (await server.HearAsync(OnOpenAi, Ct)).Failed.Kind);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V04")]
    public async Task An_error_inside_a_stream_is_tried_again_only_if_nothing_was_handed_out(string provider)
    {
        const string Error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
        var start = provider == OnOpenAi
            ? "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n"
            : "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Half\"}}\n\n";
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Stream(Error));
        var before = await server.HearAsync(provider, Ct);
        Assert.Equal("Hello from the mock.", before.Text);
        Assert.Equal(2, server.Requests.Count);

        server.Enqueue(Answer.Stream(start + Error));
        var behind = await server.HearAsync(provider, Ct);
        Assert.Equal("Half", behind.Text);
        Assert.DoesNotContain(behind.Events, next => next is ModelEvent.Completed);
        Assert.Equal((ModelFailure.Overloaded, true, true), (behind.Failed.Kind, behind.Failed.Produced, behind.Failed.Retryable));
        Assert.Equal("Client error: API error (status: 200) [overloaded_error]: Overloaded", behind.Failed.Message);
        Assert.Equal(3, server.Requests.Count);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V05"), Trait("case", "V11")]
    public async Task A_connection_cut_behind_any_event_gives_the_message_once(string provider)
    {
        var answer = new Answer { Pieces = [new Piece.Text("Now."), new Piece.Call("a", "Write", "{\"path\":", "\"x\"}")] };
        var frames = provider == OnOpenAi ? OpenAiFrames.Of(answer).Count : AnthropicFrames.Of(answer).Count;
        await using var server = await ModelServer.StartAsync(_ => answer);
        var (repeated, anew) = (0, 0);
        for (var cut = 0; cut < frames; cut++)
        {
            var before = server.Requests.Count;
            server.Enqueue(answer with { CutAfter = cut });
            var time = new ManualTime(runDelays: true);
            var heard = await server.HearAsync(provider, Ct, time: time);
            var tries = server.Requests.Count - before;
            Assert.InRange(tries, 1, 2);
            Assert.Equal(tries - 1, time.Delays.Count);
            var began = heard.Events.FindIndex(next => next is ModelEvent.WaitsForRetry { Anew: true });
            Assert.Equal(heard.Events.Take(began + 1).Any(next => next is ModelEvent.TextDelta or ModelEvent.ToolCallStart), began >= 0);
            var message = heard with { Events = heard.Events[(began + 1)..] };
            Assert.Single(heard.Events.OfType<ModelEvent.Completed>());
            Assert.Single(message.Events.OfType<ModelEvent.ToolCallStart>());
            Assert.Equal("Now.", message.Text);
            Assert.Equal([new AssistantBlock.Text("Now."), new AssistantBlock.ToolCall("a", "Write", "{\"path\":\"x\"}")], message.Whole.Blocks);
            repeated += tries - 1;
            anew += began >= 0 ? 1 : 0;
        }
        Assert.True(anew >= 3 && repeated >= anew + 2, $"{repeated} repeated, {anew} of them anew");
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V05")]
    public async Task A_stream_that_breaks_again_and_again_fails_when_the_tries_are_used_up(string provider)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Says("Half", "whole") with { CutAfter = 4 - (provider == OnOpenAi ? 2 : 0) });
        var time = new ManualTime(runDelays: true);
        var heard = await server.HearAsync(provider, Ct, new ModelTiming(MaxTries: 4, MaxBackoffMs: 1_000), time);
        Assert.Equal((ModelFailure.Incomplete, true, true), (heard.Failed.Kind, heard.Failed.Produced, heard.Failed.Broke));
        Assert.EndsWith("(tried 4 times)", heard.Failed.Message, StringComparison.Ordinal);
        Assert.Equal("HalfHalfHalfHalf", heard.Text);
        Assert.Equal([(1, 4), (2, 4), (3, 4)], heard.Events.OfType<ModelEvent.WaitsForRetry>().Select(told => (told.Tries, told.MaxTries)));
        Assert.Equal((4, 3), (server.Requests.Count, time.Delays.Count));
        Assert.All(time.Delays.Zip([500.0, 1_000, 1_000]), pair => Assert.InRange(pair.First.TotalMilliseconds, pair.Second / 2, pair.Second));
    }

    [Fact]
    [Trait("case", "V03")]
    public async Task A_closed_port_is_a_failure_to_connect_that_was_tried_again()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        var time = new ManualTime(runDelays: true);
        using var model = Model(OnOpenAi, $"http://127.0.0.1:{port}/v1", time: time);
        var heard = await model.HearAsync(Ask(OnOpenAi, null, User("hi")), Ct);
        Assert.Equal(ModelFailure.Connect, heard.Failed.Kind);
        Assert.Contains($"no connection to 127.0.0.1:{port}", heard.Failed.Message, StringComparison.Ordinal);
        Assert.Equal(2, time.Delays.Count);
    }

    [Fact]
    [Trait("case", "V03")]
    public async Task A_name_that_does_not_exist_and_a_server_without_TLS_are_told_apart()
    {
        using var nowhere = Model(OnAnthropic, "http://yoi.invalid");
        var unknown = await nowhere.HearAsync(Ask(OnAnthropic, null, User("hi")), Ct);
        Assert.Equal(ModelFailure.Connect, unknown.Failed.Kind);
        Assert.Contains("yoi.invalid", unknown.Failed.Message, StringComparison.Ordinal);

        await using var server = await ModelServer.StartAsync();
        using var plain = Model(OnAnthropic, server.Origin.Replace("http:", "https:", StringComparison.Ordinal));
        var insecure = await plain.HearAsync(Ask(OnAnthropic, null, User("hi")), Ct);
        Assert.Equal(ModelFailure.Connect, insecure.Failed.Kind);
        Assert.Contains("no secure connection", insecure.Failed.Message, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }
}
