using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Models.Wire;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>Answers that are no answer: each ends with a typed failure, in bounded memory.</summary>
[Trait("case", "V02")]
public sealed class MalformedTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static readonly ModelTiming Once = new(MaxTries: 1);

    [Theory]
    [InlineData("data: {oops\n\n", nameof(ModelFailure.Malformed)), InlineData("data: [1]\n\n", nameof(ModelFailure.Malformed)), InlineData("data: \"text\"\n\n", nameof(ModelFailure.Malformed))]
    [InlineData("", nameof(ModelFailure.Incomplete)), InlineData("no field at all\n\n", nameof(ModelFailure.Incomplete)), InlineData("data: {\"type\":\"ping\"}\n\n", nameof(ModelFailure.Incomplete))]
    [InlineData("data: {\"error\":\"model not loaded\"}\n\n", nameof(ModelFailure.Server))]
    public async Task A_bad_stream_is_a_typed_failure(string stream, string kind)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Stream(stream));
        Assert.Equal(kind, (await server.HearAsync(OnOpenAi, Ct, Once)).Failed.Kind.ToString());
        if (!stream.Contains("error", StringComparison.Ordinal))
            Assert.Equal(kind, (await server.HearAsync(OnAnthropic, Ct, Once)).Failed.Kind.ToString());
    }

    [Theory]
    [InlineData("data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n")]
    [InlineData("data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\"}}\n\n"), InlineData("data: {\"type\":\"content_block_start\",\"index\":0}\n\n")]
    public async Task Blocks_that_make_no_sense_are_refused(string stream)
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Stream(stream));
        Assert.Equal(ModelFailure.Malformed, (await server.HearAsync(OnAnthropic, Ct, Once)).Failed.Kind);
    }

    [Theory]
    [InlineData(200, "text/html", "<html>\u001b[31m<h1>Sign in</h1>", nameof(ModelFailure.Malformed)), InlineData(502, "text/html", "<html><h1>Bad\r\ngateway</h1>", nameof(ModelFailure.Server))]
    [InlineData(200, "application/json", "{\"choices\":[{\"message\":{\"content\":\"not streamed\"}}]}", nameof(ModelFailure.Malformed))]
    [InlineData(200, "application/json", "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"full\"}}", nameof(ModelFailure.Overloaded))]
    [InlineData(404, "application/json", "{\"error\":\"model 'x' not found\"}", nameof(ModelFailure.BadRequest)), InlineData(404, "text/plain", "404 page not found", nameof(ModelFailure.BadRequest))]
    [InlineData(400, "application/json", "[{\"error\":{\"code\":400,\"message\":\"bad\",\"status\":\"INVALID_ARGUMENT\"}}]", nameof(ModelFailure.BadRequest))]
    [InlineData(400, "application/json", "{\"object\":\"error\",\"message\":\"bad\",\"type\":\"BadRequestError\"}", nameof(ModelFailure.BadRequest)), InlineData(401, "", "", nameof(ModelFailure.Authentication))]
    [InlineData(204, "", "", nameof(ModelFailure.Malformed))]
    public async Task An_answer_that_is_no_stream_is_told_in_one_short_line(int status, string type, string body, string kind)
    {
        await using var server = await ModelServer.StartAsync(_ => new Answer { Status = status, ContentType = type, Raw = Encoding.UTF8.GetBytes(body) });
        var failure = (await server.HearAsync(OnOpenAi, Ct, Once)).Failed;
        Assert.Equal(kind, failure.Kind.ToString());
        Assert.DoesNotContain(failure.Message, char.IsControl);
        Assert.Contains(status.ToString(System.Globalization.CultureInfo.InvariantCulture), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_huge_error_page_is_cut()
    {
        await using var server = await ModelServer.StartAsync(_ => new Answer { Status = 500, ContentType = "text/html", Raw = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("👋 ", 2_000_000))) });
        Assert.InRange((await server.HearAsync(OnOpenAi, Ct, Once)).Failed.Message.Length, 200, 300);
    }

    [Theory, InlineData("data: ", "aaaaaaaaaaaaaaaa"), InlineData("", ": a comment and nothing else\n"), InlineData("", "data: more of the same event\n")]
    public async Task An_event_without_end_is_given_up_in_bounded_memory(string start, string endless)
    {
        var stream = new EndlessStream(Encoding.UTF8.GetBytes(start), Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(endless, 64))));
        var heard = await ReadAsync(new AnthropicWire(), stream, Ct);
        Assert.Equal((ModelFailure.Malformed, false), (heard.Failed.Kind, heard.Failed.Retryable));
        Assert.InRange(stream.Read, BoundedStream.MaxEventBytes, BoundedStream.MaxEventBytes + (32 << 20));
    }

    [Fact]
    public async Task A_message_without_end_is_given_up()
    {
        var delta = $$$"""data: {"choices":[{"index":0,"delta":{"content":"{{{new string('a', 1 << 20)}}}"}}]}{{{"\n\n"}}}""";
        var stream = new EndlessStream([], Encoding.UTF8.GetBytes(delta));
        var heard = await ReadAsync(new OpenAiWire(), stream, Ct);
        Assert.Equal((ModelFailure.Malformed, false), (heard.Failed.Kind, heard.Failed.Retryable));
        Assert.Equal(MessageStream.MaxChars, heard.Text.Length);
    }

    [Fact]
    public async Task Calls_without_end_are_given_up()
    {
        var stream = new EndlessStream([], """data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"","function":{"name":"Read","arguments":"{}"}}]}}]}"""u8.ToArray().Concat("\n\n"u8.ToArray()).ToArray());
        var heard = await ReadAsync(new OpenAiWire(), stream, Ct);
        Assert.Equal(ModelFailure.Malformed, heard.Failed.Kind);
        Assert.Equal(MessageStream.MaxBlocks, heard.Events.OfType<ModelEvent.ToolCallStart>().Select(start => start.CallId).Distinct().Count());
    }

    /// <summary>A beginning, then the same bytes for ever.</summary>
    private sealed class EndlessStream(byte[] start, byte[] endless) : MemoryStream
    {
        private byte[] _rest = start;

        internal new long Read { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_rest.Length == 0)
                _rest = endless;
            var length = Math.Min(buffer.Length, _rest.Length);
            _rest.AsSpan(0, length).CopyTo(buffer.Span);
            _rest = _rest[length..];
            Read += length;
            return ValueTask.FromResult(length);
        }
    }
}
