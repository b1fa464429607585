using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Delivery;

public sealed class OutputPageTests : IDisposable
{
    private readonly Spawning.SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    private static OutputPage Read(JournalledPod pod, Told? from, int maxBytes = 10_000) =>
        OutputPage.Read(new JournalReader(Path.Combine(pod.Directory, PodFiles.Journal)), pod.Id, from, maxBytes);

    [Fact]
    public async Task Texts_come_once_in_order_with_a_blank_line_between_and_cut_ones_are_marked()
    {
        await using var pod = new JournalledPod(_root, "x");
        await pod.Runs(0, "one");
        await pod.Says(JournalledPod.Said("two", 1), JournalledPod.Said("thr", 2, partial: true));

        var page = Read(pod, null);
        Assert.Equal("one\n\ntwo\n\nthr\n[cut off here: the message was cancelled]", page.Text);
        Assert.False(page.HasMore);
        Assert.Equal("", Read(pod, page.To).Text);
        await pod.Says(JournalledPod.Said("four", 3));
        Assert.Equal("four", Read(pod, page.To).Text);
    }

    [Fact]
    public async Task Reading_in_pieces_of_any_size_gives_every_character_once_and_cuts_none_in_two()
    {
        await using var pod = new JournalledPod(_root, "x");
        string[] texts = ["", "grüße 🙂🙂", new string('x', 40), "ß", "日本語のテキスト🎉"];
        foreach (var text in texts) await pod.Says(JournalledPod.Said(text));
        var whole = string.Concat(texts);

        foreach (var size in new[] { 1, 2, 3, 7, 10, 64, 1000 })
        {
            var got = "";
            Told? at = null;
            for (var reads = 0; ; reads++)
            {
                var page = Read(pod, at, size);
                Assert.True(reads < 200, "it does not end");
                Assert.DoesNotContain('\uFFFD', page.Text);
                got += page.Text.Replace("\n\n", "", StringComparison.Ordinal);
                at = page.To;
                if (!page.HasMore) break;
                Assert.NotEqual("", page.Text);
            }
            Assert.Equal(whole, got);
        }
    }

    [Fact, Trait("case", "T06")]
    public async Task An_unknown_kind_is_named_never_silently_no_text()
    {
        await using var pod = new JournalledPod(_root, "x");
        await pod.Says(new Entry.Unknown("hologram", JsonDocument.Parse("""{"text":"important"}""").RootElement.Clone()), JournalledPod.Said("after"));

        var page = Read(pod, null);

        Assert.Contains("entry 1 is of kind `hologram`", page.Text, StringComparison.Ordinal);
        Assert.EndsWith("after", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Damage_is_counted_and_never_served()
    {
        await using var pod = new JournalledPod(_root, "x");
        await pod.Says(JournalledPod.Said("first"));
        await pod.Says(JournalledPod.Said("second"));
        var file = Path.Combine(pod.Directory, PodFiles.Journal);
        var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(file, text.Replace("first", "f1rst", StringComparison.Ordinal), TestContext.Current.CancellationToken);

        var page = Read(pod, null);

        Assert.Equal(("second", 1), (page.Text, page.DamagedLines));
    }

    [Fact]
    public async Task A_cursor_only_goes_forward_and_a_piece_counts()
    {
        await using var pod = new JournalledPod(_root, "x");
        var book = new ChildBook();
        book.Apply(pod.Spawned);
        void Result(long seq, int within) => book.Apply(new Entry.ToolResult("c", "ReadPodOutput", "", null, false, Told: [new Told(pod.Id, Told.OutputCursor, seq, 0, "", within)]));

        Result(3, 7);
        Result(3, 5);
        Assert.Equal((3, 7), (book.WithId(pod.Id)!.Output!.Seq, book.WithId(pod.Id)!.Output!.Within));
        Result(4, 0);
        Result(2, 99);
        Assert.Equal((4, 0), (book.WithId(pod.Id)!.Output!.Seq, book.WithId(pod.Id)!.Output!.Within));
    }

    [Fact]
    public void A_name_means_the_newest_child_of_that_name()
    {
        var book = new ChildBook();
        book.Apply(new Entry.ChildSpawned("x", "old", 1, "0", "b", [], 1, null));
        book.Apply(new Entry.ChildEnded("x", "old", PodEnd.Exited, null, null, []));
        book.Apply(new Entry.ChildSpawned("x", "new", 2, "0", "b", [], 2, null));

        Assert.Equal("new", book.Named("x")?.PodId);
        Assert.Equal(["new"], book.Newest.Select(child => child.PodId));
        Assert.Null(book.Named("y"));
    }
}
