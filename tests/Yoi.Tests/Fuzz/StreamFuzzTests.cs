using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Models.Wire;
using Yoi.Shared;
using Yoi.Tests.Models;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Fuzz;

/// <summary>What a provider may send: a message or a typed failure, however the bytes are cut.</summary>
public sealed class StreamFuzzTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static readonly Answer[] Answers =
    [
        new() { Pieces = [new Piece.Thinking("c2ln", "Hm"), new Piece.Text("Grüße 👋", " 日本"), new Piece.Call("a", "Read", "{\"path\":", "\"ü\"}"), new Piece.Call("b", "Write", "{}")] },
        new() { Pieces = [new Piece.Text("one", "two", "three")], CacheReadTokens = 7 },
    ];

    [Theory, Trait("case", "V02"), Trait("case", "V05"), Trait("case", "V07")]
    [InlineData(OnAnthropic)]
    [InlineData(OnOpenAi)]
    public Task A_stream_is_a_message_or_a_typed_failure(string provider) => Fuzzing.RunAsync(
        "stream-" + provider, 1_500, [.. Answers.Select(answer => (byte[])[.. (provider == OnOpenAi ? OpenAiFrames.Of(answer) : AnthropicFrames.Of(answer)).SelectMany(frame => frame)])],
        async (input, random) =>
        {
            IWire wire = provider == OnOpenAi ? new OpenAiWire() : new AnthropicWire();
            var before = GC.GetTotalAllocatedBytes();
            var heard = await ReadAsync(wire, new PortionStream(input, portion: random.Next(1, 4_096)), Ct);
            Assert.True((heard.Failure is null) == (heard.Events.LastOrDefault() is ModelEvent.Completed), "neither whole nor failed");
            if (heard.Failure is { } failure) Assert.DoesNotContain(failure.Message, char.IsControl);
            if (heard.Failure is null) Sound(heard.Whole);
            Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, (256L << 20) + (200L * input.Length)); // Others allocate, too: a bound, no measure.
        });

    [Theory, Trait("case", "V07")]
    [InlineData("Read", "Read")]
    [InlineData("re ad\u0007ü", "re_ad__")]
    [InlineData("", "_")]
    public void A_name_that_a_model_made_up_goes_back_in_a_form_that_providers_take(string name, string sent)
    {
        Assert.Equal(sent, JsonText.CallName(name));
        Assert.Equal(64, JsonText.CallName(new string('x', 500)).Length);
        var request = Ask(OnAnthropic, null, User("hi"), Said(new AssistantBlock.ToolCall("c", name, "{}")), Result("c", "not found", isError: true));
        foreach (IWire wire in (IWire[])[new AnthropicWire(), new OpenAiWire()])
            Assert.Contains($"\"name\":\"{sent}\"", System.Text.Encoding.UTF8.GetString(wire.Write(request)), StringComparison.Ordinal);
    }

    // Every call has an id of its own and a name; no text holds half a character.
    private static void Sound(ModelEvent.Completed whole)
    {
        var calls = whole.Blocks.OfType<AssistantBlock.ToolCall>().ToList();
        Assert.Equal(calls.Count, calls.Select(call => call.CallId).Distinct().Count());
        Assert.All(calls, call => Assert.True(call.CallId.Length > 0 && call.Name.Length > 0));
        foreach (var text in whole.Blocks.OfType<AssistantBlock.Text>()) Assert.Equal(text.Value, Yoi.Runtime.Tools.ToolRunner.WellFormed(text.Value));
    }
}
