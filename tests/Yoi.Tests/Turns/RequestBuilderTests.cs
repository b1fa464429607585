using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Turns;

namespace Yoi.Tests.Turns;

public sealed class RequestBuilderTests
{
    private long _seq;

    private JournalRecord Record(Entry entry) => new(++_seq, DateTimeOffset.UnixEpoch, entry, 0, 0, "");

    private List<JournalRecord> Beginning() =>
    [
        Record(new Entry.PodCreated(1, "id", "pod", "/w", new ModelChoice("scripted", "m"), ScopeRules.None, 1, null, 0, null, new PodLimits(), "none", "yoi")),
        Record(new Entry.Prompt("be good", [new ToolSchema("Read", "reads", JsonDocument.Parse("{}").RootElement)])),
    ];

    private static AssistantBlock.ToolCall Call(string id) => new(id, "Read", "{}");

    [Fact]
    public void Results_come_first_in_call_order_and_texts_behind_them()
    {
        var records = Beginning();
        records.Add(Record(new Entry.Input("go")));
        records.Add(Record(new Entry.Assistant(0, [new AssistantBlock.Text("I look"), Call("a"), Call("b")], null, "tool_use")));
        records.Add(Record(new Entry.News("kid", "pod `kid` finished", new Told("k", Told.NewsCursor, 1, 1, ""))));
        records.Add(Record(new Entry.ToolResult("a", "Read", "one", "1", false)));
        records.Add(Record(new Entry.ToolResult("b", "Read", "two", null, true)));

        var request = RequestBuilder.Build(records);

        Assert.Equal("be good", request.System);
        Assert.Equal(3, request.Messages.Count);
        var user = Assert.IsType<ModelMessage.User>(request.Messages[2]);
        Assert.Equal([new ModelToolResult("a", "one\n\n1", false), new ModelToolResult("b", "two", true)], user.Results);
        Assert.Equal(["pod `kid` finished"], user.Texts);
    }

    [Fact]
    public void Queued_input_is_seen_only_from_the_run_that_it_starts()
    {
        var records = Beginning();
        records.Add(Record(new Entry.Input("first")));
        records.Add(Record(new Entry.RunStart(0, null)));
        records.Add(Record(new Entry.Input("second", Queued: true)));
        var queuedAt = _seq;

        Assert.Equal(["first"], LastTexts(records));

        records.Add(Record(new Entry.Assistant(0, [new AssistantBlock.Text("done")], null, "end_turn")));
        records.Add(Record(new Entry.RunEnded(0, RunEnd.Completed, null, null, 1)));
        records.Add(Record(new Entry.RunStart(1, queuedAt)));

        Assert.Equal(["second"], LastTexts(records));
    }

    [Fact]
    public void A_message_that_was_cut_off_keeps_its_text_and_loses_calls_and_reasoning()
    {
        var records = Beginning();
        records.Add(Record(new Entry.Input("go")));
        records.Add(Record(new Entry.Assistant(0, [new AssistantBlock.Thinking("hm"), new AssistantBlock.Text("half a sen"), Call("x")], null, "cancelled", Partial: true)));
        records.Add(Record(new Entry.Input("again")));

        var request = RequestBuilder.Build(records);

        var assistant = Assert.IsType<ModelMessage.Assistant>(request.Messages[1]);
        Assert.Equal("half a sen\n[cut off here]", Assert.IsType<AssistantBlock.Text>(Assert.Single(assistant.Blocks)).Value);
    }

    [Fact]
    public void User_and_assistant_alternate_whatever_the_journal_holds()
    {
        var random = new Random(4711); // seed: 4711
        for (var round = 0; round < 200; round++)
        {
            _seq = 0;
            var records = Beginning();
            records.Add(Record(new Entry.Input("start")));
            for (var i = 0; i < 30; i++)
            {
                records.Add(Record(random.Next(6) switch
                {
                    0 => new Entry.Input("i" + i),
                    1 => new Entry.Notify("s", "n" + i),
                    2 => new Entry.Assistant(i, [new AssistantBlock.Text("a" + i)], null, "end_turn"),
                    3 => new Entry.Assistant(i, [], null, "cancelled", Partial: true),
                    4 => new Entry.Correction("c" + i),
                    _ => new Entry.RunEnded(i, RunEnd.Completed, null, null, 1),
                }));
            }
            var messages = RequestBuilder.Build(records).Messages;
            Assert.IsType<ModelMessage.User>(messages[0]);
            for (var i = 1; i < messages.Count; i++) Assert.NotEqual(messages[i - 1].GetType(), messages[i].GetType());
        }
    }

    [Fact]
    public void Records_that_memory_forgets_change_no_request()
    {
        var records = Beginning();
        records.Add(Record(new Entry.Input("go")));
        records.Add(Record(new Entry.TurnStart(0)));
        records.Add(Record(new Entry.Notification("warn", "pod", "careful")));
        records.Add(Record(new Entry.Assistant(0, [new AssistantBlock.Text("ok")], null, "end_turn")));
        records.Add(Record(new Entry.RunEnded(0, RunEnd.Completed, null, null, 1)));
        records.Add(Record(new Entry.Input("more")));

        Assert.Equal(Render(RequestBuilder.Build(records)), Render(RequestBuilder.Build(records.Where(r => RequestBuilder.Uses.Contains(r.Entry.GetType())))));
    }

    private static IReadOnlyList<string> LastTexts(List<JournalRecord> records) =>
        Assert.IsType<ModelMessage.User>(RequestBuilder.Build(records).Messages[^1]).Texts;

    private static string Render(ModelRequest request) => string.Join("\n", request.Messages.Select(message => message switch
    {
        ModelMessage.User user => "U:" + string.Join("|", user.Results) + string.Join("|", user.Texts),
        ModelMessage.Assistant assistant => "A:" + string.Join("|", assistant.Blocks),
        _ => throw new InvalidOperationException(),
    }));
}
