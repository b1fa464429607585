using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Journal;

public sealed class JournalReaderTests
{
    [Fact]
    public async Task Reading_from_a_cursor_near_the_end_does_not_read_the_beginning()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 2_000);
        var cursor = records[^3].End;
        using (var file = new FileStream(pod.Journal, FileMode.Open)) file.Write(new byte[cursor.Offset - 10_000]); // Whoever looks there finds damage.

        var reader = pod.Reader;
        Assert.Equal(records.Skip(records.Count - 2).Select(record => record.Seq), reader.ReadAfter(cursor, out var health).Select(record => record.Seq));
        Assert.Equal(JournalHealth.Good, health);
        Assert.InRange(reader.BytesRead, 1, 8_192);

        reader = pod.Reader;
        Assert.Empty(reader.ReadAfter(records[^1].End, out health)); // Nothing new costs next to nothing.
        Assert.InRange(reader.BytesRead, 1, 4_096);
        Assert.Equal(records[^1].Seq, reader.Last()?.Seq);

        reader = pod.Reader;
        Assert.Equal(2, reader.ReadAfter(cursor with { Offset = -1 }, out health).Count); // The control: without the hint it is read.
        Assert.InRange(reader.BytesRead, cursor.Offset, long.MaxValue);
    }

    [Fact]
    public async Task A_hint_that_does_not_hold_costs_time_and_never_truth()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 50);
        var cursor = records[20].End;
        foreach (var offset in new[] { -1, 0, 1, cursor.Offset - 1, cursor.Offset + 1, records[5].Offset, records[19].End.Offset, records[30].End.Offset, 1 << 30 })
        {
            var read = pod.Reader.ReadAfter(cursor with { Offset = offset }, out var health);
            Assert.Equal(records.Skip(21).Select(JournalWriterTests.Line), read.Select(JournalWriterTests.Line));
            Assert.Equal(JournalHealth.Good, health);
        }
        Assert.Equal(50, pod.Reader.ReadAfter(new Cursor(0, 77), out _).Count);
        Assert.Empty(pod.Reader.ReadAfter(new Cursor(999, -1), out _));
    }

    [Fact]
    public async Task Pages_put_together_are_the_journal_and_each_has_at_least_one_record()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 60, i => new Entry.Input(new string('x', i % 7 * 100)));
        foreach (var size in new long[] { 1, 300, 1_000, 5_000, long.MaxValue })
        {
            var together = new List<JournalRecord>();
            var cursor = Cursor.Start;
            while (true)
            {
                var page = pod.Reader.ReadAfter(cursor, out var health, size);
                together.AddRange(page);
                Assert.Equal(together.Count < records.Count, health.More);
                if (page.Count > 1) Assert.InRange(page.Sum(record => record.Length), 1, size);
                if (!health.More) break;
                cursor = page[^1].End;
            }
            Assert.Equal(records.Select(JournalWriterTests.Line), together.Select(JournalWriterTests.Line));
        }
    }

    [Fact, Trait("case", "G10")]
    public async Task A_flipped_bit_is_found_counted_and_never_served_as_truth()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 25);
        var truth = records.ToDictionary(record => record.Seq, JournalWriterTests.Line);
        var good = await File.ReadAllBytesAsync(pod.Journal, TempPod.Ct);
        const int seed = 20_260_722;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var i = 0; i < 1_000; i++)
        {
            var bit = random.Next(good.Length * 8);
            var bad = (byte[])good.Clone();
            bad[bit / 8] ^= (byte)(1 << (bit % 8));
            await File.WriteAllBytesAsync(pod.Journal, bad, TempPod.Ct);
            var read = pod.Reader.ReadAfter(Cursor.Start, out var health);
            Assert.All(read, record => Assert.Equal(truth[record.Seq], JournalWriterTests.Line(record)));
            Assert.InRange(records.Count - read.Count, 1, 2);
            Assert.True(health.DamagedLines > 0 || health.UnfinishedBytes > 0, $"bit {bit} was not noticed");
            if (health.FirstDamage is { } at) Assert.InRange(bit / 8, at.Offset, at.Offset + 1_000);
        }
    }

    [Fact, Trait("case", "G10")]
    public async Task Damage_in_the_middle_is_reported_once_and_its_seq_is_not_given_again()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 10);
        await FlipAsync(pod, records[4].Offset + 20);
        await FlipAsync(pod, records[9].Offset + 20);
        pod.Open();
        Assert.Equal(new Entry.Repaired(0, 2), pod.Folded.Records[^1].Entry);
        Assert.Equal((2, 8), (pod.Writer!.Found.DamagedLines, pod.Folded.Records.Count - 1));
        Assert.Equal(11, pod.Writer.HeadSeq);
        await pod.CloseAsync();
        pod.Open();
        Assert.Equal(11, pod.Writer.HeadSeq); // Reported before.
        await pod.CloseAsync();
        await FlipAsync(pod, records[6].Offset + 20);
        pod.Open();
        Assert.Equal(new Entry.Repaired(0, 3), pod.Folded.Records[^1].Entry);
        Assert.Equal([1, 2, 3, 4, 6, 8, 9, 11, 12], pod.Reader.ReadAfter(Cursor.Start, out var health).Select(record => record.Seq));
        Assert.Equal((3, 5), (health.DamagedLines, health.FirstDamage?.Line));
        Assert.Equal(2, FoundBehind(pod, records[5].End)); // A reader is told of the damage behind its cursor only,
        Assert.Equal(2, FoundBehind(pod, records[5].End with { Offset = -1 })); // hint or no hint.
    }

    [Fact]
    public async Task A_journal_of_nothing_but_damage_is_not_an_empty_one()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 1);
        await FlipAsync(pod, 30);
        Assert.Null(pod.Reader.First());
        pod.Open();
        Assert.Equal(1, pod.Writer!.Found.DamagedLines);
        Assert.Equal(new Entry.Repaired(0, 1), pod.Reader.First()?.Entry);
        Assert.Equal(records.Count + 1, pod.Writer.HeadSeq);
    }

    [Fact, Trait("case", "G07")]
    public async Task A_record_that_stands_there_twice_is_read_once()
    {
        await using var pod = new TempPod();
        var records = await WriteAsync(pod, 5);
        var bytes = await File.ReadAllBytesAsync(pod.Journal, TempPod.Ct);
        await using (var file = new FileStream(pod.Journal, FileMode.Append)) file.Write(bytes.AsSpan((int)records[3].Offset));
        Assert.Equal([1, 2, 3, 4, 5], pod.Reader.ReadAfter(Cursor.Start, out var health).Select(record => record.Seq));
        Assert.Equal(JournalHealth.Good, health);
        Assert.Empty(pod.Reader.ReadAfter(records[4].End, out _));
        pod.Open();
        Assert.Equal(5, pod.Folded.Records.Count);
        Assert.Equal(6, (await pod.Append(new Entry.Input("six")))[0].Seq);
    }

    [Fact]
    public async Task First_and_last_are_found_past_damage()
    {
        await using var pod = new TempPod();
        Assert.Null(pod.Reader.First());
        Assert.Null(pod.Reader.Last());
        Assert.Empty(pod.Reader.ReadAfter(Cursor.Start, out _));
        var records = await WriteAsync(pod, 8, i => new Entry.Input(new string('y', 3_000 * i)));
        Assert.IsType<Entry.PodCreated>(pod.Reader.First()?.Entry);
        Assert.Equal(8, pod.Reader.Last()?.Seq);
        await FlipAsync(pod, records[7].Offset + 100);
        await FlipAsync(pod, records[6].Offset + 100);
        await File.AppendAllTextAsync(pod.Journal, """{"seq":9,"time":""", TempPod.Ct);
        Assert.Equal(JournalWriterTests.Line(records[5]), JournalWriterTests.Line(pod.Reader.Last()!));
    }

    [Fact]
    public async Task A_line_longer_than_any_record_is_one_damaged_line()
    {
        await using var pod = new TempPod();
        await WriteAsync(pod, 2);
        var third = new System.Buffers.ArrayBufferWriter<byte>();
        JournalCodec.Write(third, 3, DateTimeOffset.UnixEpoch, new Entry.Input("behind the hole"));
        await using (var file = new FileStream(pod.Journal, FileMode.Open))
        {
            file.Position = file.Length + JournalCodec.MaxLineBytes + 1_000_000;
            file.WriteByte((byte)'\n');
            file.Write(third.WrittenSpan);
        }
        Assert.Equal([1, 2, 3], pod.Reader.ReadAfter(Cursor.Start, out var health).Select(record => record.Seq));
        Assert.Equal(1, health.DamagedLines);
        Assert.Equal(3, pod.Reader.Last()?.Seq);
    }

    [Theory]
    [InlineData("symlink")]
    [InlineData("directory")]
    public async Task What_is_no_journal_of_ours_is_neither_read_nor_written(string what)
    {
        await using var pod = new TempPod();
        if (what == "symlink") File.CreateSymbolicLink(pod.Journal, "/etc/passwd");
        else Directory.CreateDirectory(pod.Journal);
        Assert.ThrowsAny<IOException>(() => pod.Reader.ReadAfter(Cursor.Start, out _));
        Assert.Throws<JournalException>(() => pod.Open());
        if (what == "symlink") File.Delete(pod.Journal);
        else Directory.Delete(pod.Journal);
        pod.Open(); // And a refused opening has given everything back.
    }

    private static int FoundBehind(TempPod pod, Cursor cursor)
    {
        pod.Reader.ReadAfter(cursor, out var health);
        return health.DamagedLines;
    }

    private static async Task<IReadOnlyList<JournalRecord>> WriteAsync(TempPod pod, int count, Func<int, Entry>? entry = null)
    {
        pod.Open();
        var entries = Enumerable.Range(1, count - 1).Select(entry ?? (i => new Entry.Input($"input number {i}"))).Prepend(TempPod.Created());
        var records = await pod.Append([.. entries]);
        await pod.CloseAsync();
        return records;
    }

    private static async Task FlipAsync(TempPod pod, long offset)
    {
        var bytes = await File.ReadAllBytesAsync(pod.Journal, TempPod.Ct);
        bytes[offset] ^= 1;
        await File.WriteAllBytesAsync(pod.Journal, bytes, TempPod.Ct);
    }
}
