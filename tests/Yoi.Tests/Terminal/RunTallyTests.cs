using Xunit;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class RunTallyTests
{
    private static RunTally Tally(params Entry[] entries)
    {
        var tally = new RunTally();
        for (var i = 0; i < entries.Length; i++) tally.Take(i + 1, entries[i]);
        return tally;
    }

    private static Entry.Assistant Said(string text, long? input = null, long? output = null) =>
        new(0, [new AssistantBlock.Text(text)], new Usage(input, output), "end_turn");

    [Fact]
    public void The_answer_is_the_last_text_of_the_last_run_and_tokens_add_up()
    {
        var tally = Tally(
            new Entry.RunStart(0, 1), new Entry.TurnStart(0), Said("thinking aloud", 10, 2), new Entry.TurnStart(1), Said("first", 20, 3), new Entry.RunEnded(0, RunEnd.Completed, null, null, 2),
            new Entry.RunStart(1, 2), new Entry.TurnStart(2), Said("second", null, 4), new Entry.RunEnded(1, RunEnd.TurnLimit, null, null, 1));
        Assert.Equal(("second", 2, 3, 30L, 9L, RunEnd.TurnLimit, false), (tally.Answer, tally.Runs, tally.Turns, tally.InputTokens, tally.OutputTokens, tally.LastRun!.Reason, tally.Running));
    }

    [Fact]
    public void Children_and_what_was_told_of_them_are_known()
    {
        var tally = Tally(
            new Entry.ChildSpawned("a", "ida", 1, "s", "b", [], 1, null), new Entry.ChildSpawned("b", "idb", 1, "s", "b", [], 2, null),
            new Entry.News("a", "done", new Told("ida", Told.NewsCursor, 7, 700, "c")),
            new Entry.ToolResult("c", "ReadPodOutput", "s", null, false, false, [new Told("idb", Told.NewsCursor, 3, 300, "c"), new Told("idb", Told.OutputCursor, 9, 900, "c")]),
            new Entry.ChildEnded("a", "ida", PodEnd.Stopped, null, null, []));
        Assert.Equal(["idb"], tally.Children.Keys);
        Assert.Equal((new Cursor(7, 700), new Cursor(3, 300), Cursor.Start), (tally.NewsToldOf("ida"), tally.NewsToldOf("idb"), tally.NewsToldOf("idc")));
    }

    [Fact]
    public void Commands_in_the_background_that_have_not_ended_are_known()
    {
        static Entry.CommandStarted Started(string name, bool background) => new(name, $"run {name}", "/w", null, background, "kernel", 1, "s", "b", 2);
        var tally = Tally(
            Started("1", false), Started("server", true), Started("tests", true), new Entry.CommandEnded("tests", 0, "exited"));
        Assert.Equal(("server", "run server"), (Assert.Single(tally.Background).Key, tally.Background["server"]));
    }
}
