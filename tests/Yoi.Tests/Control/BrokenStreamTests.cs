using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools;
using Yoi.Shared;
using Yoi.Tests.Models;
using static Yoi.Tests.Models.Conversation;

namespace Yoi.Tests.Control;

/// <summary>What a Pod does when its provider's stream ends in the middle of a message: over HTTP, on both wires, with a tool that counts.</summary>
public sealed class BrokenStreamTests
{
    private const string Error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

    private static readonly Answer Counting = new() { Pieces = [new Piece.Text("Let me ", "count."), new Piece.Call("c1", "Count", "{\"n\"", ":1}")] };

    /// <summary>Where the stream is cut, in frames of each wire.</summary>
    public static TheoryData<string, string, int> Cuts => new()
    {
        { OnAnthropic, "in text", 4 }, { OnAnthropic, "in arguments", 8 }, { OnAnthropic, "before the stop event", 11 },
        { OnOpenAi, "in text", 2 }, { OnOpenAi, "in arguments", 5 }, { OnOpenAi, "before the stop event", 6 },
    };

    [Theory, MemberData(nameof(Cuts))]
    [Trait("case", "V05"), Trait("case", "V11")]
    public async Task A_cut_message_is_asked_for_again_and_its_call_runs_once(string provider, string where, int cut)
    {
        await using var room = await Room.OpenAsync(provider);
        room.Server.Enqueue(Counting with { CutAfter = cut }, Counting with { CutAfter = cut }, Counting, Answer.Says("done"));
        Assert.Equal(RunEnd.Completed, (await room.RunAsync()).Reason);
        Assert.Equal(["""{"n":1}"""], room.Tool.Calls);
        Assert.Equal(4, room.Server.Requests.Count);
        Assert.Equal(room.Body(0), room.Body(1));
        Assert.Equal(room.Body(0), room.Body(2));
        Assert.All(room.Time.Delays.Zip([500.0, 1_000], (wait, full) => wait.TotalMilliseconds / full), part => Assert.InRange(part, 0.5, 1));
        Assert.Equal(2, room.Time.Delays.Count);
        Assert.Equal(["(try 2 of 3)", "(try 3 of 3)"], room.Entries<Entry.Notification>().Select(told => told.Message[told.Message.LastIndexOf('(')..]));
        Assert.Equal([false, false], room.Entries<Entry.Assistant>().Select(message => message.Partial));
        Assert.Single(room.Entries<Entry.ToolResult>());

        // The history is the one of a Pod whose provider never failed.
        await using var calm = await Room.OpenAsync(provider);
        calm.Server.Enqueue(Counting, Answer.Says("done"));
        Assert.Equal(RunEnd.Completed, (await calm.RunAsync()).Reason);
        Assert.True(calm.Body(1) == room.Body(3), $"cut {where}: {room.Body(3)}");
        Assert.Single(room.Body(3).Split("Let me count.")[1..]);
    }

    [Theory, MemberData(nameof(Cuts))]
    [Trait("case", "V05")]
    public async Task A_stream_that_always_breaks_ends_the_run_and_the_next_one_has_a_whole_history(string provider, string where, int cut)
    {
        await using var room = await Room.OpenAsync(provider);
        room.Server.Enqueue([.. Enumerable.Repeat(Counting with { CutAfter = cut }, 3)]);
        var end = await room.RunAsync();
        Assert.Equal(RunEnd.ProviderError, end.Reason);
        Assert.StartsWith("incomplete: ", end.Detail, StringComparison.Ordinal);
        Assert.EndsWith("(tried 3 times)", end.Detail, StringComparison.Ordinal);
        Assert.Equal((3, 2), (room.Server.Requests.Count, room.Time.Delays.Count));
        Assert.Empty(room.Tool.Calls);
        var kept = Assert.Single(room.Entries<Entry.Assistant>());
        Assert.True(kept.Partial);
        Assert.Equal([new AssistantBlock.Text(where == "in text" ? "Let me " : "Let me count.")], kept.Blocks);

        room.Server.Enqueue(Answer.Says("here I am"));
        Assert.Equal(RunEnd.Completed, (await room.RunAsync(2)).Reason);
        Assert.Single(room.Body(3).Split("Let me ")[1..]);
        Assert.Contains("[cut off here]", room.Body(3), StringComparison.Ordinal);
        Assert.DoesNotContain("c1", room.Body(3), StringComparison.Ordinal);
        Assert.Equal(["user", "assistant", "user"], room.Roles(3));
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V04")]
    public async Task An_error_event_behind_text_ends_the_run_at_once(string provider)
    {
        await using var room = await Room.OpenAsync(provider);
        room.Server.Enqueue(Answer.Stream(Begun(provider) + Error));
        var end = await room.RunAsync();
        Assert.Equal((RunEnd.ProviderError, "overloaded: Client error: API error (status: 200) [overloaded_error]: Overloaded"), (end.Reason, end.Detail));
        Assert.Single(room.Server.Requests);
        Assert.Empty(room.Time.Delays);
        Assert.Empty(room.Entries<Entry.Notification>());
        var kept = Assert.Single(room.Entries<Entry.Assistant>());
        Assert.Equal((true, "failed"), (kept.Partial, kept.StopReason));
        Assert.Equal([new AssistantBlock.Text("Half")], kept.Blocks);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V04")]
    public async Task An_error_event_before_anything_is_tried_again(string provider)
    {
        await using var room = await Room.OpenAsync(provider);
        room.Server.Enqueue(Answer.Stream(Error), Answer.Says("done"));
        Assert.Equal(RunEnd.Completed, (await room.RunAsync()).Reason);
        Assert.Equal(room.Body(0), room.Body(1));
        Assert.Equal((2, 1), (room.Server.Requests.Count, room.Time.Delays.Count));
        Assert.False(Assert.Single(room.Entries<Entry.Assistant>()).Partial);
    }

    [Theory, InlineData(OnAnthropic), InlineData(OnOpenAi)]
    [Trait("case", "V04"), Trait("case", "V05")]
    public async Task A_message_that_broke_and_then_met_an_error_event_is_judged_by_its_own_beginning(string provider)
    {
        await using var room = await Room.OpenAsync(provider);
        room.Server.Enqueue(Answer.Stream(Begun(provider)), Answer.Stream(Error), Answer.Says("done"));
        Assert.Equal(RunEnd.Completed, (await room.RunAsync()).Reason);
        Assert.Equal(3, room.Server.Requests.Count);
        Assert.Equal([new AssistantBlock.Text("done")], Assert.Single(room.Entries<Entry.Assistant>()).Blocks);
    }

    [Fact, Trait("case", "V05")]
    public async Task Cancel_ends_the_wait_behind_a_broken_stream_and_keeps_what_was_said()
    {
        await using var room = await Room.OpenAsync(OnAnthropic, new ManualTime());
        room.Server.Enqueue(Answer.Stream(Begun(OnAnthropic)));
        await room.Pod.AskAsync(new Method.Run("go"));
        while (room.Time.Delays.Count == 0)
            await room.Time.SomethingWaitsAsync(TestContext.Current.CancellationToken);
        await room.Pod.AskAsync(new Method.Cancel());
        Assert.Equal(RunEnd.Cancelled, (await room.Pod.SeeAsync<Entry.RunEnded>()).Reason);
        Assert.Single(room.Server.Requests);
        var kept = Assert.Single(room.Entries<Entry.Assistant>());
        Assert.Equal((true, "cancelled"), (kept.Partial, kept.StopReason));
        Assert.Equal([new AssistantBlock.Text("Half")], kept.Blocks);
    }

    /// <summary>A stream that says "Half".</summary>
    private static string Begun(string provider) => Encoding.UTF8.GetString(
        [.. (provider == OnOpenAi ? OpenAiFrames.Of(Answer.Says("Half")).Take(2) : AnthropicFrames.Of(Answer.Says("Half")).Take(4)).SelectMany(frame => frame)]);

    /// <summary>A Pod on a server that speaks one wire, with a clock whose waits are over at once.</summary>
    private sealed class Room : IAsyncDisposable
    {
        private Room(ModelServer server, ManualTime time, Counter tool, ControlledPod pod) => (Server, Time, Tool, Pod) = (server, time, tool, pod);

        internal ModelServer Server { get; }
        internal ManualTime Time { get; }
        internal Counter Tool { get; }
        internal ControlledPod Pod { get; }

        internal static async Task<Room> OpenAsync(string provider, ManualTime? time = null)
        {
            var server = await ModelServer.StartAsync();
            time ??= new ManualTime(runDelays: true);
            var tool = new Counter();
            var pod = await ControlledPod.CreateAsync(Model(provider, server.BaseUrl(provider), time: time), new ModelChoice(provider, "mock"), new PodLimits(), tool);
            return new Room(server, time, tool, pod);
        }

        internal async Task<Entry.RunEnded> RunAsync(int nth = 1)
        {
            await Pod.AskAsync(new Method.Run("go"));
            return await Pod.SeeAsync<Entry.RunEnded>(nth: nth);
        }

        internal IReadOnlyList<T> Entries<T>() where T : Entry => [.. Pod.Records().Select(record => record.Entry).OfType<T>()];

        internal string Body(int request) => Encoding.UTF8.GetString(Server.Requests[request].Body);

        internal IEnumerable<string?> Roles(int request) => JsonDocument.Parse(Body(request)).RootElement.GetProperty("messages").EnumerateArray()
            .Select(message => message.GetProperty("role").GetString()).Where(role => role != "system");

        public async ValueTask DisposeAsync()
        {
            await Pod.DisposeAsync();
            await Server.DisposeAsync();
        }
    }

    /// <summary>A side effect that can be counted.</summary>
    private sealed class Counter : Tool
    {
        internal List<string> Calls { get; } = [];

        internal override ToolSchema Schema { get; } = new("Count", "a test's tool", JsonDocument.Parse("""{"type":"object"}""").RootElement);

        internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Beside;

        internal override Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
        {
            lock (Calls) Calls.Add(call.Arguments.GetRawText());
            return Task.FromResult(new ToolOutcome("counted"));
        }
    }
}
