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

/// <summary>A stream means the same however its bytes arrive.</summary>
public sealed class SplitTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static readonly Answer Message = new()
    {
        Pieces = [new Piece.Thinking("c2ln", "Hm"), new Piece.Text("Grüße 👋", " 日本"), new Piece.Call("a", "Read", "{\"path\":", "\"ü\"}")],
    };

    private static IWire Wire(string provider) => provider == OnOpenAi ? new OpenAiWire() : new AnthropicWire();

    private static byte[] Bytes(string provider) => [.. (provider == OnOpenAi ? OpenAiFrames.Of(Message) : AnthropicFrames.Of(Message)).SelectMany(frame => frame)];

    private static string Show(Heard heard) =>
        string.Join('\n', heard.Events.Select(next => next is ModelEvent.Completed whole ? $"{string.Join(',', whole.Blocks)} {whole.Usage} {whole.StopReason}" : next.ToString()))
        + heard.Failure?.Kind;

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task A_stream_cut_in_two_at_any_byte_gives_the_same_events(string provider)
    {
        var bytes = Bytes(provider);
        var expected = Show(await ReadAsync(Wire(provider), new PortionStream(bytes), Ct));
        Assert.Contains("Grüße 👋", expected, StringComparison.Ordinal);
        for (var cut = 1; cut < bytes.Length; cut++)
            Assert.Equal(expected, Show(await ReadAsync(Wire(provider), new PortionStream(bytes, cut: cut), Ct)));
        Assert.Equal(expected, Show(await ReadAsync(Wire(provider), new PortionStream(bytes, portion: 1), Ct)));
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V02")]
    public async Task Line_ends_comments_keep_alives_and_a_missing_last_blank_line_change_nothing(string provider)
    {
        var text = Encoding.UTF8.GetString(Bytes(provider));
        var expected = Show(await ReadAsync(Wire(provider), new PortionStream(Bytes(provider)), Ct));
        string[] forms =
        [
            text.Replace("\n", "\r\n", StringComparison.Ordinal), text.Replace("\n", "\r", StringComparison.Ordinal), text.TrimEnd('\n'), text.TrimEnd('\n') + "\n",
            "\uFEFF" + text, ": hello\n\n" + text.Replace("\n\n", "\n\n: keep-alive\n\n", StringComparison.Ordinal), "data:\n\n" + text, "event: unheard_of\ndata: {\"type\":\"unheard_of\"}\n\n" + text,
            text.Replace("data: ", "data:", StringComparison.Ordinal), "id: 7\nretry: 100\n" + text, text + "data: {\"behind\":\"the end\"}\n\n",
        ];
        foreach (var form in forms)
            Assert.Equal(expected, Show(await ReadAsync(Wire(provider), new PortionStream(Encoding.UTF8.GetBytes(form)), Ct)));
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V05")]
    public async Task A_stream_that_ends_early_at_any_byte_never_completes_a_message_that_is_not_whole(string provider)
    {
        var bytes = Bytes(provider);
        var whole = Encoding.UTF8.GetString(bytes);
        // The first byte from which on nothing that matters is missing.
        var enough = provider == OnOpenAi ? whole.IndexOf("\"finish_reason\":\"tool_calls\"", StringComparison.Ordinal) : whole.LastIndexOf("message_stop", StringComparison.Ordinal);
        for (var length = 0; length < bytes.Length; length++)
        {
            var heard = await ReadAsync(Wire(provider), new PortionStream(bytes[..length]), Ct);
            if (heard.Failure is null)
            {
                Assert.True(length > Encoding.UTF8.GetByteCount(whole[..enough]), $"complete after {length} of {bytes.Length} bytes");
                Assert.Equal(3, heard.Whole.Blocks.Count);
            }
            else
            {
                Assert.Equal(ModelFailure.Incomplete, heard.Failure.Kind);
            }
        }
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    public async Task An_emoji_cut_between_two_deltas_is_joined_and_half_an_emoji_is_replaced(string provider)
    {
        string Delta(string text) => provider == OnOpenAi
            ? $$$"""data: {"choices":[{"index":0,"delta":{"content":"{{{text}}}"}}]}{{{"\n\n"}}}"""
            : $$$"""data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{{{text}}}"}}{{{"\n\n"}}}""";
        var start = provider == OnOpenAi ? "" : "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
        var end = provider == OnOpenAi ? "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n" : "data: {\"type\":\"message_stop\"}\n\n";
        var stream = start + Delta("a\\ud83d") + Delta("\\ude00\\n\\\"b") + Delta("\\ude00") + Delta("c\\ud83d") + end;
        var heard = await ReadAsync(Wire(provider), new PortionStream(Encoding.UTF8.GetBytes(stream)), Ct);
        Assert.Equal([new AssistantBlock.Text("a😀\n\"b\uFFFDc\uFFFD")], heard.Whole.Blocks);
        Assert.All(heard.Events.OfType<ModelEvent.TextDelta>(), delta => Assert.Equal(delta.Text, JsonText.WellFormed(delta.Text)));
    }
}
