using System.ClientModel;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Anthropic;
using Anthropic.Models.Messages;
using OpenAI;
using OpenAI.Chat;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Models;

/// <summary>
/// The vendors' own clients judge the test server: each stream must mean to them what it is meant to mean. Then ours must say the same.
/// </summary>
public sealed class RefereeTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string> Features => ["text", "thinking", "call", "two calls", "all", "cut off"];

    private static Answer Stream(string feature) => feature switch
    {
        "text" => Answer.Says("Grüße ", "👋", " \"q\" \\ \n"),
        "thinking" => new Answer { Pieces = [new Piece.Thinking("c2ln", "Hm", "m."), new Piece.Text("Yes.")], CacheReadTokens = 7 },
        "call" => Answer.Calls("Read", """{"path":"ü"}"""),
        "two calls" => new Answer { Pieces = [new Piece.Call("a", "Read", "{\"path\":", "\"x\"}"), new Piece.Call("b", "Write", "{\"n\":1", ".5}")] },
        "all" => new Answer { Pieces = [new Piece.Thinking("c2ln", "Hmm."), new Piece.Text("I ", "read."), new Piece.Call("a", "Read", "{\"path\":\"x\"}")], InputTokens = 1234, OutputTokens = 56, CacheReadTokens = 1000 },
        _ => new Answer { Pieces = [new Piece.Text("And th")], StopReason = "max_tokens" },
    };

    private static string Arguments(string json) => JsonNode.Parse(json)!.ToJsonString();

    private static List<string> Blocks(Heard heard, bool signed) =>
    [
        .. heard.Whole.Blocks.Select(block => block switch
        {
            AssistantBlock.Text text => $"text {text.Value}",
            AssistantBlock.Thinking thinking => $"thinking {thinking.Value} {(signed ? thinking.Opaque : "")}",
            AssistantBlock.ToolCall call => $"call {call.CallId} {call.Name} {Arguments(call.Arguments)}",
            _ => throw new InvalidOperationException(),
        }),
    ];

    [Theory, MemberData(nameof(Features))]
    public async Task The_official_Anthropic_client_and_ours_understand_the_same(string feature)
    {
        await using var server = await ModelServer.StartAsync(_ => Stream(feature));
        using var official = new AnthropicClient { ApiKey = "k", BaseUrl = server.Origin, MaxRetries = 0 };
        var message = await official.Messages.CreateStreaming(new MessageCreateParams
        {
            Model = "mock",
            MaxTokens = 4096,
            Messages = [new() { Role = Role.User, Content = "hi" }],
            CacheControl = new CacheControlEphemeral(),
        }, Ct).Aggregate();
        List<string> judged = [];
        foreach (var block in message.Content)
        {
            if (block.TryPickText(out var text))
                judged.Add($"text {text.Text}");
            else if (block.TryPickThinking(out var thinking))
                judged.Add($"thinking {thinking.Thinking} {thinking.Signature}");
            else if (block.TryPickToolUse(out var call))
                judged.Add($"call {call.ID} {call.Name} {Arguments(JsonSerializer.Serialize(call.Input))}");
            else
                judged.Add("?");
        }
        var heard = await server.HearAsync(OnAnthropic, Ct);
        Assert.Equal(judged, Blocks(heard, signed: true));
        Assert.Equal(message.StopReason!.Raw(), heard.Whole.StopReason);
        Assert.Equal((Stream(feature).InputTokens, (long?)Stream(feature).OutputTokens, (long?)Stream(feature).CacheReadTokens),
            ((int)heard.Whole.Usage!.InputTokens!, heard.Whole.Usage.OutputTokens, heard.Whole.Usage.CacheReadTokens));
        Assert.Equal((message.Usage.InputTokens, message.Usage.CacheReadInputTokens), (heard.Whole.Usage.InputTokens!.Value, heard.Whole.Usage.CacheReadTokens));

        // The official client knows the mark in the request itself and writes it as we do.
        using var theirs = JsonDocument.Parse(server.Requests[0].Body);
        using var ours = JsonDocument.Parse(server.Requests[1].Body);
        Assert.Equal(theirs.RootElement.GetProperty("cache_control").ToString(), ours.RootElement.GetProperty("cache_control").ToString());
    }

    [Fact]
    public async Task The_official_Anthropic_client_and_ours_understand_redacted_reasoning()
    {
        await using var server = await ModelServer.StartAsync(_ => new Answer { Pieces = [new Piece.Redacted("cmVk"), new Piece.Text("Yes.")] });
        using var official = new AnthropicClient { ApiKey = "k", BaseUrl = server.Origin, MaxRetries = 0 };
        List<string> judged = [];
        // Event by event: this version's aggregator fails on a block that has no deltas.
        await foreach (var next in official.Messages.CreateStreaming(new MessageCreateParams { Model = "mock", MaxTokens = 1, Messages = [new() { Role = Role.User, Content = "hi" }] }, Ct))
        {
            if (next.TryPickContentBlockStart(out var start) && start.ContentBlock.TryPickRedactedThinking(out var redacted))
                judged.Add(redacted.Data);
            if (next.TryPickContentBlockDelta(out var delta) && delta.Delta.TryPickText(out var text))
                judged.Add(text.Text);
        }
        Assert.Equal(["cmVk", "Yes."], judged);
        Assert.Equal<AssistantBlock>([new AssistantBlock.Thinking("", "cmVk", Redacted: true), new AssistantBlock.Text("Yes.")], (await server.HearAsync(OnAnthropic, Ct)).Whole.Blocks);
    }

    [Theory, MemberData(nameof(Features))]
    public async Task The_official_OpenAI_client_and_ours_understand_the_same(string feature)
    {
        var answer = Stream(feature) with { StopReason = feature == "cut off" ? "length" : null };
        await using var server = await ModelServer.StartAsync(_ => answer);
        var official = new ChatClient("mock", new ApiKeyCredential("k"), new OpenAIClientOptions { Endpoint = new Uri(server.OpenAiBaseUrl) });
        var text = new StringBuilder();
        var calls = new SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)>();
        ChatTokenUsage? usage = null;
        ChatFinishReason? finish = null;
        await foreach (var update in official.CompleteChatStreamingAsync([new UserChatMessage("hi")], cancellationToken: Ct))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            foreach (var call in update.ToolCallUpdates)
            {
                if (!calls.ContainsKey(call.Index))
                    calls[call.Index] = (call.ToolCallId, call.FunctionName, new StringBuilder());
                calls[call.Index].Arguments.Append(call.FunctionArgumentsUpdate);
            }
            usage = update.Usage ?? usage;
            finish = update.FinishReason ?? finish;
        }
        List<string> judged = text.Length > 0 ? [$"text {text}"] : [];
        judged.AddRange(calls.Values.Select(call => $"call {call.Id} {call.Name} {Arguments(call.Arguments.ToString())}"));

        var heard = await server.HearAsync(OnOpenAi, Ct);
        Assert.Equal(judged, Blocks(heard, signed: false).Where(block => !block.StartsWith("thinking", StringComparison.Ordinal)));
        Assert.Equal((usage!.InputTokenCount, usage.OutputTokenCount), ((int)heard.Whole.Usage!.InputTokens!, (int)heard.Whole.Usage.OutputTokens!));
        Assert.Equal(usage.InputTokenDetails?.CachedTokenCount ?? 0, heard.Whole.Usage.CacheReadTokens ?? 0);
        Assert.Equal(finish!.Value.ToString(), heard.Whole.StopReason switch { "stop" => "Stop", "length" => "Length", "tool_calls" => "ToolCalls", var other => other });
    }

    [Fact]
    public async Task The_official_clients_understand_the_servers_errors_as_ours_does()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Fails(400, "invalid_request_error", "mock refusal"));
        using var anthropic = new AnthropicClient { ApiKey = "k", BaseUrl = server.Origin, MaxRetries = 0 };
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => anthropic.Messages.CreateStreaming(
            new MessageCreateParams { Model = "mock", MaxTokens = 1, Messages = [new() { Role = Role.User, Content = "hi" }] }, Ct).Aggregate());
        Assert.Contains("mock refusal", refused.ToString(), StringComparison.Ordinal);
        Assert.Contains("mock refusal", (await server.HearAsync(OnAnthropic, Ct)).Failed.Message, StringComparison.Ordinal);
        Assert.Contains("mock refusal", (await server.HearAsync(OnOpenAi, Ct)).Failed.Message, StringComparison.Ordinal);
    }
}
