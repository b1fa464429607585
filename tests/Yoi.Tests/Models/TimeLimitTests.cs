using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>Limits of time, on a clock that the test moves.</summary>
public sealed class TimeLimitTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static readonly ModelTiming Once = new(ConnectMs: 1_000, FirstEventMs: 20_000, SilenceMs: 5_000, MaxTries: 1);

    [Fact]
    [Trait("case", "V03")]
    public async Task A_connection_that_never_stands_is_given_up()
    {
        // A server that accepts and says nothing: to a client that wants TLS this is a connection that never stands.
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        var time = new ManualTime();
        using var model = Model(OnAnthropic, $"https://{mute.LocalEndpoint}", timing: Once, time: time);
        var heard = model.HearAsync(Ask(OnAnthropic, null, User("hi")), Ct);
        using var accepted = await mute.AcceptTcpClientAsync(Ct);
        time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.False(heard.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        var failure = (await heard).Failed;
        Assert.Equal((ModelFailure.Timeout, true, false), (failure.Kind, failure.Retryable, failure.Produced));
        Assert.StartsWith("no connection to 127.0.0.1:", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("within 1 s", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_does_not_begin_is_given_up_and_the_server_is_left()
    {
        var never = new TaskCompletionSource();
        await using var server = await ModelServer.StartAsync(_ => new Answer { Before = (_, ct) => never.Task.WaitAsync(ct) });
        var time = new ManualTime();
        var heard = server.HearAsync(OnOpenAi, Ct, Once, time);
        await server.ArrivedAsync(Ct);
        time.Advance(TimeSpan.FromMilliseconds(19_999));
        Assert.False(heard.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal("the provider did not begin to answer within 20 s", (await heard).Failed.Message);
        await server.Requests.Single().Gone.WaitAsync(Ct);
    }

    [Fact]
    public async Task Silence_inside_a_stream_is_given_up_but_keep_alives_are_life()
    {
        var pipe = new Pipe();
        var time = new ManualTime();
        var heard = ReadAsync(new AnthropicWire(), pipe.Reader.AsStream(), time, Ct);
        var first = Encoding.UTF8.GetString([.. AnthropicFrames.Of(Answer.Says("Hello", " never sent")).Take(4).SelectMany(frame => frame)]);
        await pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(first), Ct);
        for (var i = 0; i < 10; i++)
        {
            await time.SomethingWaitsAsync(Ct);
            time.Advance(TimeSpan.FromMilliseconds(Timing.SilenceMs - 1));
            Assert.False(heard.IsCompleted);
            await pipe.Writer.WriteAsync(": still here\n\n"u8.ToArray(), Ct);
        }
        await time.SomethingWaitsAsync(Ct);
        time.Advance(TimeSpan.FromMilliseconds(Timing.SilenceMs));
        var result = await heard;
        Assert.Equal((ModelFailure.Timeout, true), (result.Failed.Kind, result.Failed.Broke));
        Assert.Equal("Hello", result.Text);
    }

    [Fact]
    public async Task A_finished_message_does_not_wait_long_for_a_formal_end_that_never_comes()
    {
        var pipe = new Pipe();
        var time = new ManualTime();
        var heard = ReadAsync(new OpenAiWire(), pipe.Reader.AsStream(), time, Ct);
        await pipe.Writer.WriteAsync("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"All.\"},\"finish_reason\":\"stop\"}]}\n\n"u8.ToArray(), Ct);
        await time.SomethingWaitsAsync(Ct);
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal([new AssistantBlock.Text("All.")], (await heard).Whole.Blocks);
    }

    [Fact]
    public async Task A_reader_that_takes_its_time_is_no_silence()
    {
        await using var server = await ModelServer.StartAsync();
        var time = new ManualTime();
        using var model = Model(OnAnthropic, server.Origin, timing: Once, time: time);
        var text = "";
        await foreach (var next in model.StreamAsync(Ask(OnAnthropic, server.Origin, User("hi")), Ct))
        {
            time.Advance(TimeSpan.FromHours(1));
            text += (next as ModelEvent.TextDelta)?.Text;
        }
        Assert.Equal("Hello from the mock.", text);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task Cancel_ends_a_request_that_has_no_answer_yet(string provider)
    {
        var never = new TaskCompletionSource();
        await using var server = await ModelServer.StartAsync(_ => new Answer { Before = (_, ct) => never.Task.WaitAsync(ct) });
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var heard = server.HearAsync(provider, cancel.Token);
        await server.ArrivedAsync(Ct);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => heard);
        await server.Requests.Single().Gone.WaitAsync(Ct);
        Assert.Single(server.Requests);
    }
}
