using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Socket;

namespace Yoi.Tests.Socket;

public sealed class BaseProjectionTests
{
    private readonly BaseProjection _projection = new();
    private long _seq;

    [Fact]
    public void A_streamed_turn_looks_as_recorded()
    {
        Assert.Equal(
            ["turn_start", "text_delta", "text_delta", "tool_call_start", "tool_call_args_delta", "text_done", "tool_call_done", "usage", "turn_end", "tool_result"],
            Kinds(
                new Entry.TurnStart(4), new Event.Delta(1, 0, 0, "text", "a"), new Event.Delta(1, 0, 1, "text", "b"), new Event.Delta(1, 1, 0, "thinking", "hm"),
                new Event.Delta(1, 2, 0, "tool_call", "", "Read", "t1"), new Event.Delta(1, 2, 0, "tool_call", "{}", CallId: "t1"),
                new Entry.Assistant(4, [new AssistantBlock.Text("ab"), new AssistantBlock.Thinking("hm"), new AssistantBlock.ToolCall("t1", "Read", "{}")], new Usage(1, null), null),
                new Entry.ToolResult("t1", "Read", "s", "c", false)));
    }

    [Fact]
    public void What_was_not_streamed_is_told_before_it_is_done() =>
        Assert.Equal(
            ["text_delta", "text_done", "tool_call_start", "tool_call_args_delta", "tool_call_done", "turn_end"],
            Kinds(new Entry.Assistant(0, [new AssistantBlock.Text("ab"), new AssistantBlock.ToolCall("t", "Read", "")], null, null)));

    [Fact]
    public void A_subscription_that_began_anew_repeats_no_text()
    {
        var events = Events(new Event.Delta(1, 0, 0, "text", "Hel"), new Event.Delta(1, 0, 0, "text", "Hello"), new Event.Delta(1, 0, 5, "text", "!"));
        Assert.Equal("Hello!", string.Concat(events.Cast<Event.TextDelta>().Select(e => e.Text)));
    }

    [Fact]
    public void A_cancelled_turn_ends_with_its_usage_and_one_error() =>
        Assert.Equal(["text_delta", "usage", "error internal Cancelled by human"], Kinds(
            new Event.Delta(1, 0, 0, "text", "a"), new Entry.Assistant(0, [new AssistantBlock.Text("a")], new Usage(1, 1), null, Partial: true),
            new Entry.RunEnded(0, RunEnd.Cancelled, "human", null, 1)));

    [Fact]
    public void Every_end_of_a_run_is_told_once_in_the_words_of_the_base_protocol()
    {
        foreach (var reason in Enum.GetValues<RunEnd>())
        {
            var told = Assert.Single(Events(new Entry.RunEnded(0, reason, null, "why", 1)));
            var expected = reason switch
            {
                RunEnd.Completed => "finished",
                RunEnd.TurnLimit or RunEnd.Budget => "limit_reached",
                RunEnd.ProviderError => "provider_error",
                _ => "internal",
            };
            Assert.Equal(expected, told is Event.RunEnd end ? end.Result : ((Event.Error)told).Code);
        }
        Assert.Equal(["run_end paused"], Kinds(new Entry.RunPaused(0, "human")));
    }

    [Theory]
    [InlineData("warn", "agents_md", "warn", "agents_md", "m")]
    [InlineData("error", "worker", "error", "worker", "m")]
    [InlineData("info", "socket", "warn", "pod", "socket: m")]
    public void A_notification_names_only_levels_and_sources_that_base_clients_know(string level, string source, string told, string by, string words)
    {
        var notification = Assert.IsType<Event.Notification>(Assert.Single(Events(new Entry.Notification(level, source, "m"))));
        Assert.Equal((told, by, words), (notification.Level, notification.Source, notification.Message));
    }

    [Fact]
    public void No_entry_is_told_in_a_word_that_the_base_protocol_lacks()
    {
        var model = new ModelChoice("p", "m");
        var told = new Told("x", "news", 1, 1, "0");
        Entry[] entries =
        [
            new Entry.PodCreated(1, "1", "n", "/", model, ScopeRules.None, 0, null, 0, null, new PodLimits(), "none", "p"), new Entry.Prompt("s", []),
            new Entry.ProcessStarted(1, "1", "b", "kernel"), new Entry.ScopeChanged(ScopeRules.None, [], 1, "w"), new Entry.Repaired(1, 1),
            new Entry.Input("i"), new Entry.Notify("s", "m"), new Entry.RunStart(0, 1), new Entry.TurnStart(0),
            new Entry.Assistant(0, [new AssistantBlock.Text("t"), new AssistantBlock.ToolCall("c", "n", "{}")], new Usage(1, 1), null),
            new Entry.ToolResult("c", "n", "s", null, true), new Entry.Correction("c"), new Entry.RunPaused(0, "h"), new Entry.RunResumed(0, "h"),
            new Entry.RunEnded(0, RunEnd.DiskError, null, null, 0), new Entry.Notification("x", "y", "z"), new Entry.LendIntended("c", "1", []),
            new Entry.ChildSpawned("c", "1", 1, "s", "b", [], 1, null), new Entry.SpawnFailed("c", "1", "s", "w"),
            new Entry.ChildEnded("c", "1", PodEnd.Exited, null, null, []), new Entry.ChildHandedOver("c", "1", "s"), new Entry.News("c", "t", told),
            new Entry.CommandStarted("1", "true", "/", "c", false, "kernel", 1, "s", "b", 1), new Entry.CommandEnded("1", 0, "exited"),
            new Entry.PodEnded(PodEnd.Stopped, "h", null, [], new Totals()), new Entry.Unknown("later", JsonSerializer.SerializeToElement(1, YoiJson.Default.Int64)),
        ];
        Assert.Equal(Yoi.Protocol.Kinds.Entries.All.Select(kind => kind.Type).Append(typeof(Entry.Unknown)).OrderBy(t => t.Name), entries.Select(e => e.GetType()).OrderBy(t => t.Name));
        string[] known = ["turn_start", "turn_end", "text_delta", "text_done", "tool_call_start", "tool_call_args_delta", "tool_call_done", "tool_result", "usage", "run_end", "error", "notification", "shutdown"];
        Assert.Empty(entries.SelectMany(entry => Events(entry)).Select(e => Yoi.Protocol.Kinds.Events.Of(e).Name).Except(known));
    }

    [Fact]
    public void History_hides_notices_and_cut_off_messages_and_puts_queued_input_where_its_run_began()
    {
        var records = new Entry[]
        {
            new Entry.Input("one"), new Entry.RunStart(0, 1), new Entry.Input("two", Queued: true), new Entry.Notify("c", "hidden"),
            new Entry.Assistant(0, [new AssistantBlock.Thinking("t"), new AssistantBlock.Text("a"), new AssistantBlock.ToolCall("c", "Read", "{}")], null, null),
            new Entry.ToolResult("c", "Read", "s", "content", false), new Entry.Correction("hidden"),
            new Entry.Assistant(1, [new AssistantBlock.Text("cut")], null, null, Partial: true), new Entry.RunEnded(0, RunEnd.Cancelled, "h", null, 2),
            new Entry.RunStart(1, 3), new Entry.Assistant(2, [new AssistantBlock.Text("b")], null, null), new Entry.Input("three", Queued: true),
        }.Select((entry, i) => new JournalRecord(i + 1, default, entry, 0, 1, "")).ToList();
        Assert.Equal(["user one", "assistant a", "call c", "result c s content", "user two", "assistant b", "user three"], BaseHistory.Of(records).Select(Words));
        Assert.Equal(["user one", "assistant a", "call c", "result c s content", "user two", "assistant b"], BaseHistory.Of(records, forBase: true).Select(Words));
        Assert.Empty(BaseHistory.Of(records.Take(3), forBase: true)); // Not answered yet.
        Assert.Equal(["user one"], BaseHistory.Of([.. records.Take(2), records[8]], forBase: true).Select(Words)); // Never answered.
    }

    private static string Words(HistoryItem item) => item switch
    {
        HistoryItem.Message message => $"{message.Role} {message.Content[0].Text}",
        HistoryItem.ToolCall call => $"call {call.CallId}",
        HistoryItem.ToolResult result => $"result {result.CallId} {result.Summary} {result.Content}",
        _ => "?",
    };

    private List<Event> Events(params object[] items) =>
        [.. items.SelectMany(item => _projection.Of(item is Entry entry
            ? new FeedItem.Record(new JournalRecord(++_seq, default, entry, 0, 1, ""))
            : new FeedItem.Delta((Event.Delta)item)))];

    private IEnumerable<string> Kinds(params object[] items) => Events(items).Select(e => e switch
    {
        Event.Error error => $"error {error.Code} {error.Message}",
        Event.RunEnd end => $"run_end {end.Result}",
        _ => Yoi.Protocol.Kinds.Events.Of(e).Name,
    });
}
