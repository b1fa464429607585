using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Delivery;

public sealed class NewsDeskTests : IDisposable
{
    private readonly Spawning.SpawningRoot _root = new();
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _root.Dispose();

    [Fact, Trait("case", "T16")]
    public async Task A_finished_run_is_news_that_is_told_once_and_names_what_to_do()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "hello");

        spawner.Desk.Poked(child.Id);
        await Eventually.Holds(() => spawner.Desk.Untold == 1);
        Assert.Equal(1, spawner.Arrived);
        Assert.Equal(1, await spawner.Desk.TellAsync(Ct));
        Assert.Equal(0, await spawner.Desk.TellAsync(Ct));
        spawner.Desk.Poked(child.Id);
        await spawner.Look(Ct);

        Assert.Equal(0, spawner.Desk.Untold);
        var told = Assert.Single(spawner.Told);
        Assert.Contains("pod `x` finished its run: completed", told.Text, StringComparison.Ordinal);
        Assert.Contains("ReadPodOutput", told.Text, StringComparison.Ordinal);
        Assert.Equal((5L, Told.NewsCursor), (told.Told.Seq, told.Told.What));
    }

    [Fact, Trait("case", "T04")]
    public async Task A_flood_of_pokes_costs_few_looks_and_loses_no_news()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "hello");
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 200_000; i++) spawner.Desk.Poked(child.Id);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20); // What is told twice is not kept twice.
        await Eventually.Holds(() => spawner.Desk.Untold == 1);
        Assert.Equal(1, await spawner.Desk.TellAsync(Ct));
    }

    [Fact]
    public async Task A_failed_run_is_told_with_its_detail_and_an_end_with_its_reason()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "hello", RunEnd.ProviderError, "overloaded: try later");
        await child.Says(new Entry.PodEnded(PodEnd.Stopped, "human", null, [], new Totals()));
        await spawner.Look(Ct);

        await spawner.Desk.TellAsync(Ct);

        Assert.Contains("provider_error: overloaded: try later", spawner.Told[0].Text, StringComparison.Ordinal);
        Assert.Contains("has ended: stopped by human", spawner.Told[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_told_before_a_restart_is_not_told_again_and_what_was_not_is()
    {
        await using var child = new JournalledPod(_root, "x");
        await using (var spawner = new SpawnerDesk(_root))
        {
            await spawner.Says(child.Spawned);
            await child.Runs(0, "one");
            await spawner.Look(Ct);
            await spawner.Desk.TellAsync(Ct);
            await child.Runs(1, "two");
            await spawner.Look(Ct); // Seen, not told.
        }

        await using var again = new SpawnerDesk(_root);
        await Eventually.Holds(() => again.Desk.Untold == 1);
        await again.Desk.TellAsync(Ct);

        Assert.Equal([5L, 10L], again.Told.Select(news => news.Told.Seq));
    }

    [Fact]
    public async Task An_item_that_a_tool_result_tells_is_told_by_nobody_else()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "one");
        await spawner.Look(Ct);

        var taken = spawner.Desk.Take(child.Id);
        Assert.Single(taken);
        Assert.Empty(spawner.Desk.Take(child.Id));
        Assert.Equal(0, await spawner.Desk.TellAsync(Ct));
        await spawner.Says(new Entry.ToolResult("c", "WaitForPods", "done", null, false, Told: [taken[0].Told]), new Entry.TurnStart(1));

        Assert.Equal(0, await spawner.Desk.TellAsync(Ct));
        Assert.Equal(5, spawner.Desk.Book.WithId(child.Id)?.News?.Seq);
    }

    [Fact]
    public async Task An_item_whose_tool_result_was_lost_is_untold_again_at_the_next_turn()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "one");
        await spawner.Look(Ct);
        spawner.Desk.Take(child.Id);

        await spawner.Says(new Entry.TurnStart(1));

        Assert.Equal(1, spawner.Desk.Untold);
        Assert.Equal(1, await spawner.Desk.TellAsync(Ct));
    }

    [Fact, Trait("case", "T17")]
    public async Task Notices_in_a_child_and_pokes_of_strangers_are_no_news()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var grandchild = new JournalledPod(_root, "y");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Says(grandchild.Spawned);
        await grandchild.Runs(0, "deep");
        for (var i = 0; i < 50; i++) await grandchild.Says(new Entry.Notify("test", "notice"));

        spawner.Desk.Poked(grandchild.Id);
        spawner.Desk.Poked(child.Id);
        await spawner.Look(Ct);

        Assert.Equal((0, 0), (spawner.Desk.Untold, spawner.Arrived));
    }

    [Fact, Trait("case", "T17")]
    public async Task A_completed_run_is_news_if_it_worked_on_input_or_on_news_and_not_if_on_notices_alone_and_a_failed_one_always_is()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        async Task<int> Tells(RunEnd end, params Entry[] before)
        {
            await child.Says([.. before, new Entry.TurnStart(0), JournalledPod.Said("x"), new Entry.RunEnded(0, end, null, null, 1)]);
            await spawner.Look(Ct);
            return await spawner.Desk.TellAsync(Ct);
        }

        var notice = new Entry.Notify("cron", "c");
        Assert.Equal(1, await Tells(RunEnd.Completed, new Entry.Input("a"), new Entry.RunStart(0, null)));
        Assert.Equal(0, await Tells(RunEnd.Completed, notice, new Entry.RunStart(1, null)));
        Assert.Equal(1, await Tells(RunEnd.ProviderError, notice, new Entry.RunStart(2, null)));
        Assert.Equal(1, await Tells(RunEnd.Completed, notice, new Entry.News("y", "it has finished", new Told("y", Told.NewsCursor, 1, 1, "0")), new Entry.RunStart(3, 1)));
        Assert.Equal(0, await Tells(RunEnd.Completed, notice, new Entry.RunStart(4, null), new Entry.Input("b", Queued: true)));
        var queued = child.Journal.HeadSeq - 3;
        Assert.Equal(1, await Tells(RunEnd.Completed, new Entry.RunStart(5, queued)));
        Assert.Equal(0, await Tells(RunEnd.Completed, notice, new Entry.RunStart(6, null)));
    }

    [Fact, Trait("case", "T04")]
    public async Task A_hundred_completions_of_ten_children_make_a_hundred_entries_whatever_pokes_come()
    {
        await using var spawner = new SpawnerDesk(_root);
        List<JournalledPod> children = [];
        for (var i = 0; i < 10; i++) children.Add(new JournalledPod(_root, "c" + i));
        foreach (var child in children) await spawner.Says(child.Spawned);

        using var done = new CancellationTokenSource();
        var telling = Task.Run(async () =>
        {
            while (!done.IsCancellationRequested) { await spawner.Desk.TellAsync(Ct); await Task.Yield(); }
        }, Ct);
        await Task.WhenAll(children.Select(async child =>
        {
            for (var run = 0; run < 10; run++)
            {
                await child.Runs(run, "text");
                if (run % 3 != 1) spawner.Desk.Poked(child.Id); // Every third poke is lost.
            }
        }));
        await done.CancelAsync();
        await telling;
        await spawner.Look(Ct);
        await spawner.Desk.TellAsync(Ct);

        Assert.Equal(100, spawner.Told.Count);
        Assert.Equal(100, spawner.Told.Select(news => (news.Told.PodId, news.Told.Seq)).Distinct().Count());
        foreach (var child in children) await child.DisposeAsync();
    }

    [Fact]
    public async Task A_child_is_done_when_nothing_runs_and_nothing_waits_since_it_was_last_sent_something()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        async Task<(bool Open, int Waiting, int Ended)> Now() => (await spawner.Look(Ct))[0] is var s ? (s.RunIsOpen, s.InputsWaiting, s.RunsEnded) : default;

        await child.Says(new Entry.Input("a"));
        Assert.Equal((false, 1, 0), await Now());
        await child.Says(new Entry.RunStart(0, null), new Entry.Input("b", "spawner", Queued: true));
        Assert.Equal((true, 1, 0), await Now());
        await child.Says(new Entry.RunEnded(0, RunEnd.Completed, null, null, 1));
        Assert.Equal((false, 1, 1), await Now());
        await child.Says(new Entry.RunStart(1, 3), new Entry.RunEnded(1, RunEnd.Completed, null, null, 1));
        Assert.Equal((false, 0, 2), await Now());
        await child.Says(new Entry.Notify("cron", "c"), new Entry.RunStart(2, null));
        Assert.Equal((true, 1, 2), await Now());
        await child.Says(new Entry.TurnStart(5), new Entry.RunPaused(2, "human"), new Entry.Input("d"));
        Assert.Equal((true, 1, 2), await Now());
        await child.Says(new Entry.RunResumed(2, "input"));
        Assert.Equal((true, 0, 2), await Now());
    }

    [Fact]
    public async Task A_wait_for_change_is_over_when_something_was_read_and_not_before()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Says(new Entry.Input("a"));
        await spawner.Look(Ct);

        var changed = spawner.Desk.Changed;
        await spawner.Look(Ct); // Nothing new: a waiter that looks does not wake itself.
        Assert.False(changed.IsCompleted);
        await child.Says(new Entry.RunStart(0, null));
        spawner.Desk.Poked(child.Id);
        await changed.WaitAsync(TimeSpan.FromSeconds(20), Ct);
    }

    [Fact]
    public async Task What_was_told_of_a_child_is_not_news_again_to_one_who_still_waits_for_it_after_it_was_handed_over()
    {
        await using var child = new JournalledPod(_root, "x");
        await using var spawner = new SpawnerDesk(_root);
        await spawner.Says(child.Spawned);
        await child.Runs(0, "hello");
        await spawner.Look(Ct);
        Assert.Equal(1, await spawner.Desk.TellAsync(Ct));
        var waitedFor = spawner.Desk.Book.All;

        await spawner.Says(new Entry.ChildHandedOver(child.Name, child.Id, "middle"));
        await child.Runs(1, "for the other"); // News, but not ours.
        Assert.Equal(0, Assert.Single(await spawner.Desk.LookAsync(waitedFor, Ct)).ReadTo.Seq);
        Assert.Equal(0, spawner.Desk.Untold);

        await spawner.Says(child.Spawned with { Told = [spawner.Told[0].Told] }); // It comes again: what was told stays told.
        await spawner.Look(Ct);
        Assert.Equal(1, spawner.Desk.Untold);
    }
}
