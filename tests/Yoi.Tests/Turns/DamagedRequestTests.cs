using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Turns;

namespace Yoi.Tests.Turns;

/// <summary>A journal of which a line was lost still makes a request that a provider takes.</summary>
public sealed class DamagedRequestTests
{
    private static readonly Entry[] Entries =
    [
        new Entry.PodCreated(1, "0001", "worker", "/w", new ModelChoice("scripted", "m"), ScopeRules.None, 1, null, 0, null, new PodLimits(), "none", "yoi test"),
        new Entry.Prompt("system", []),
        new Entry.Input("look"), new Entry.RunStart(0, null), new Entry.TurnStart(0),
        new Entry.Assistant(0, [new AssistantBlock.Text("I look"), Call("a"), Call("b")], null, "tool_use"), Result("a"), Result("b"), new Entry.TurnStart(1),
        new Entry.Assistant(1, [Call("c")], null, "tool_use"), Result("c"), new Entry.TurnStart(2),
        new Entry.Assistant(2, [new AssistantBlock.Text("done")], null, "end_turn"), new Entry.RunEnded(0, RunEnd.Completed, null, null, 3),
        new Entry.Input("more"), new Entry.RunStart(1, null), new Entry.TurnStart(3),
    ];

    private static AssistantBlock.ToolCall Call(string id) => new(id, "Read", "{}");

    private static Entry.ToolResult Result(string id) => new(id, "Read", "result " + id, null, false);

    [Fact, Trait("case", "G10"), Trait("case", "G06")]
    public void Whichever_two_lines_are_lost_each_call_has_one_result_behind_it_and_no_result_stands_alone()
    {
        var records = Entries.Select((entry, index) => new JournalRecord(index + 1, DateTimeOffset.UnixEpoch, entry, 0, 0, "")).ToList();
        for (var first = 2; first < records.Count; first++)
            for (var second = first; second < records.Count; second++)
            {
                // What restoring adds for calls that it found open.
                List<JournalRecord> left = [.. records.Where((_, index) => index != first && index != second)];
                var open = left.Select(record => record.Entry).OfType<Entry.Assistant>().SelectMany(message => message.Blocks).OfType<AssistantBlock.ToolCall>()
                    .Where(call => !left.Any(record => record.Entry is Entry.ToolResult result && result.CallId == call.CallId)).ToList();
                left.AddRange(open.Select((call, i) => new JournalRecord(100 + i, DateTimeOffset.UnixEpoch, Result(call.CallId), 0, 0, "")));
                Judge(RequestBuilder.Build(left).Messages, $"without {first} and {second}");
            }
    }

    [Fact]
    public void A_whole_journal_makes_the_request_that_it_always_made()
    {
        var messages = RequestBuilder.Build(Entries.Select((entry, index) => new JournalRecord(index + 1, DateTimeOffset.UnixEpoch, entry, 0, 0, ""))).Messages;
        Judge(messages, "whole");
        Assert.Equal(7, messages.Count);
        Assert.Equal(["result a", "result b"], Assert.IsType<ModelMessage.User>(messages[2]).Results.Select(result => result.Text));
    }

    private static void Judge(IReadOnlyList<ModelMessage> messages, string which)
    {
        for (var i = 0; i < messages.Count; i++)
        {
            List<string> asked = i > 0 && messages[i - 1] is ModelMessage.Assistant said ? [.. said.Blocks.OfType<AssistantBlock.ToolCall>().Select(call => call.CallId)] : [];
            List<string> told = messages[i] is ModelMessage.User user ? [.. user.Results.Select(result => result.CallId)] : [];
            Assert.True(asked.Order().SequenceEqual(told.Order()), $"{which}, message {i}: asked {string.Join(',', asked)}, told {string.Join(',', told)}");
            Assert.False(i > 0 && messages[i].GetType() == messages[i - 1].GetType(), $"{which}: two of a kind at {i}");
        }
        if (messages is [.., ModelMessage.Assistant last]) Assert.Empty(last.Blocks.OfType<AssistantBlock.ToolCall>());
    }
}
