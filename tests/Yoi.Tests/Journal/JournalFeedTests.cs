using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Journal;

public sealed class JournalFeedTests
{
    [Fact]
    public async Task A_feed_replays_from_its_seq_and_then_follows()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created(), new Entry.Input("2"), new Entry.Input("3"));
        await using var feed = writer.Subscribe(2, 1 << 20);
        Assert.Equal(3, feed.HeadSeq);
        await pod.Append(new Entry.Input("4"));
        await writer.DisposeAsync();
        var items = await feed.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct);
        Assert.Equal([2, 3, 4], items.Select(item => ((FeedItem.Record)item).Value.Seq));
    }

    [Fact]
    public async Task A_slow_reader_gets_a_gap_and_resumes_from_it_without_loss()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created());
        await using var slow = writer.Subscribe(1, 2_000);
        await using var quick = writer.Subscribe(1, 1 << 20);
        for (var i = 0; i < 100; i++) await pod.Append(new Entry.Input(new string('x', 100)));
        var items = await slow.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct);
        var gap = Assert.IsType<FeedItem.Gap>(items[^1]);
        var seen = items.OfType<FeedItem.Record>().Select(item => item.Value.Seq).ToList();
        Assert.InRange(seen.Count, 2, 50);
        Assert.Equal(seen[^1] + 1, gap.NextSeq);

        await using var again = writer.Subscribe(gap.NextSeq, 2_000);
        await writer.DisposeAsync();
        seen.AddRange((await again.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct)).Select(item => ((FeedItem.Record)item).Value.Seq));
        Assert.Equal(Enumerable.Range(1, 101).Select(i => (long)i), seen);
        Assert.Equal(101, (await quick.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct)).Count);
    }

    [Fact]
    public async Task Who_comes_in_the_middle_of_a_message_gets_its_text_so_far_then_deltas_then_the_entry()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created(), new Entry.Input("go"));
        writer.PublishDelta(new Event.Delta(2, 0, 0, "thinking", "hm"));
        writer.PublishDelta(new Event.Delta(2, 1, 0, "text", "to be re"));
        writer.PublishDelta(new Event.Delta(2, 0, 0, "thinking", "well ")); // The model's first try was cut: all anew.
        writer.PublishDelta(new Event.Delta(2, 1, 0, "text", "Hel"));
        writer.PublishDelta(new Event.Delta(2, 1, 3, "text", "lo"));
        await pod.Append(new Entry.Notify("clock", "tick")); // Behind the deltas, and no part of the message.
        await using var feed = writer.Subscribe(3, 1 << 20);
        writer.PublishDelta(new Event.Delta(2, 1, 99, "text", "fits nothing"));
        writer.PublishDelta(new Event.Delta(2, 1, 5, "text", " you"));
        await pod.Append(new Entry.Assistant(0, [new AssistantBlock.Text("Hello you")], null, "end_turn"));
        await using var after = writer.Subscribe(4, 1 << 20);
        await writer.DisposeAsync();
        Assert.Equal(
            ["3", "0/0 well ", "1/0 Hello", "1/5  you", "4"],
            (await feed.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct)).Select(Short));
        Assert.Equal(["4"], (await after.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct)).Select(Short)); // What was said is no delta any more.
    }

    [Fact]
    public async Task A_run_that_ended_leaves_no_partial_text()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created());
        writer.PublishDelta(new Event.Delta(1, 0, 0, "text", "lost"));
        await pod.Append(new Entry.RunEnded(0, RunEnd.ProviderError, null, "cut", 1));
        await using var feed = writer.Subscribe(9, 1 << 20);
        await writer.DisposeAsync();
        Assert.Empty(await feed.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct));
    }

    [Fact]
    public async Task Deltas_that_nobody_reads_cut_that_reader_off_and_a_new_one_has_the_whole_text()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created());
        await using var slow = writer.Subscribe(2, 5_000);
        for (var i = 0; i < 1_000; i++) writer.PublishDelta(new Event.Delta(1, 0, i * 10, "text", "0123456789"));
        await pod.Append(new Entry.Input("queued"));
        var items = await slow.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct);
        Assert.Equal(2, Assert.IsType<FeedItem.Gap>(items[^1]).NextSeq);
        Assert.InRange(items.Count, 10, 100);
        await using var again = writer.Subscribe(2, 5_000);
        await writer.DisposeAsync();
        items = await again.ReadAsync(TempPod.Ct).ToListAsync(TempPod.Ct);
        Assert.Equal(10_000, ((FeedItem.Delta)items[1]).Value.Text.Length);
    }

    [Fact]
    public async Task A_cancelled_feed_is_let_go()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        await pod.Append(TempPod.Created());
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(TempPod.Ct);
        await using var feed = writer.Subscribe(1, 1 << 20);
        var seen = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in feed.ReadAsync(cancel.Token))
            {
                seen++;
                await cancel.CancelAsync();
            }
        });
        Assert.Equal(1, seen);
        await pod.Append(new Entry.Input("goes on"));
    }

    private static string Short(FeedItem item) => item switch
    {
        FeedItem.Record record => $"{record.Value.Seq}",
        FeedItem.Delta delta => $"{delta.Value.Block}/{delta.Value.Offset} {delta.Value.Text}",
        _ => "gap",
    };
}
