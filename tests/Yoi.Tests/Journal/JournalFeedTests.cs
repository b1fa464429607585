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
}
