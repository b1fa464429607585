using System.Globalization;
using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Journal;

public sealed class JournalWriterTests
{
    [Fact]
    public async Task What_was_appended_is_folded_and_read_back_in_order()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        var one = await writer.AppendAsync(Durability.Synced, TempPod.Created(), new Entry.Input("hello"));
        var two = await writer.AppendAsync(Durability.Written, new Entry.RunStart(0, 2));
        Assert.Equal([1, 2, 3], one.Concat(two).Select(record => record.Seq));
        Assert.Equal(3, writer.HeadSeq);
        Assert.Equal(two[0].Time, writer.LastTime);

        var read = pod.Reader.ReadAfter(Cursor.Start, out var health);
        Assert.Equal(pod.Folded.Records.Select(Line), read.Select(Line));
        Assert.Equal(JournalHealth.Good, health);
        Assert.Equal(new FileInfo(pod.Journal).Length, read[^1].End.Offset);

        await pod.CloseAsync();
        pod.Open();
        Assert.Equal(read.Select(Line), pod.Folded.Records.Select(Line));
        Assert.Equal(4, (await pod.Append(new Entry.Notify("s", "m")))[0].Seq);
    }

    [Fact]
    public async Task Nothing_is_written_behind_the_end_of_the_pod()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        var writer = pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        var end = new Entry.PodEnded(PodEnd.Stopped, "human", null, [], new Totals());
        file!.OnWrite = () => (Errno.NoSpc, 0);
        await Assert.ThrowsAsync<JournalException>(() => writer.AppendLastAsync(end));
        file.OnWrite = () => null;
        await pod.Append(new Entry.Notify("s", "the end that failed is no end"));

        var last = writer.AppendLastAsync(end);
        await Assert.ThrowsAsync<JournalException>(() => writer.AppendAsync(Durability.Synced, new Entry.Notify("s", "late")));
        await last;

        Assert.Equal(["pod_created", "notify", "pod_ended"], pod.Reader.ReadAfter(Cursor.Start, out _).Select(record => Kinds.Entries.Of(record.Entry).Name));
    }

    [Fact, Trait("case", "G08")]
    public async Task A_second_writer_is_refused()
    {
        await using var pod = new TempPod();
        pod.Open();
        Assert.Null(PodLock.TryTake(pod.Directory));
        Assert.Null(PodLock.TryTakeJournalOfDead(pod.Directory));
        Assert.Throws<JournalException>(() => JournalWriter.Open(pod.Directory, pod.Lock!, [], TimeProvider.System));
        await pod.Append(TempPod.Created());
        await pod.CloseAsync();
        pod.Open(); // The positive control: closed, it may be opened again.
    }

    [Fact, Trait("case", "G01")]
    public async Task A_torn_tail_is_cut_back_once_and_reported()
    {
        await using var pod = new TempPod();
        pod.Open();
        await pod.Append(TempPod.Created(), new Entry.Input("one"));
        await pod.Append(new Entry.Input("two ✂"), new Entry.Notify("a", "b"), new Entry.RunStart(0, 2));
        await pod.CloseAsync();
        var whole = await File.ReadAllBytesAsync(pod.Journal, TempPod.Ct);
        var records = pod.Reader.ReadAfter(Cursor.Start, out _);

        for (var length = (int)records[2].Offset; length <= whole.Length; length++)
        {
            await File.WriteAllBytesAsync(pod.Journal, whole[..length], TempPod.Ct);
            var kept = records.Count(record => record.End.Offset <= length);
            var torn = length - (int)records[kept - 1].End.Offset;

            var seen = pod.Reader.ReadAfter(Cursor.Start, out var health); // A foreign reader repairs nothing.
            Assert.Equal(kept, seen.Count);
            Assert.Equal((torn, 0), ((int)health.UnfinishedBytes, health.DamagedLines));
            Assert.Equal(length, new FileInfo(pod.Journal).Length);
            Assert.Equal(kept, pod.Reader.Last()?.Seq);

            pod.Open(file: path => new UnsyncedFile(path));
            var repaired = pod.Folded.Records.Select(record => record.Entry).OfType<Entry.Repaired>().ToList();
            Assert.Equal(torn > 0 ? [new Entry.Repaired(torn, 0)] : [], repaired);
            await pod.CloseAsync();
            var size = new FileInfo(pod.Journal).Length;
            pod.Open(file: path => new UnsyncedFile(path));
            await pod.CloseAsync();
            Assert.Equal(size, new FileInfo(pod.Journal).Length); // Once.
            Assert.Equal(kept + repaired.Count, pod.Reader.ReadAfter(Cursor.Start, out health).Count);
            Assert.Equal(JournalHealth.Good, health);
        }
    }

    [Theory, Trait("case", "G03")]
    [InlineData(Errno.NoSpc)]
    [InlineData(Errno.DQuot)]
    public async Task A_full_disk_leaves_no_spliced_line_and_writing_goes_on_once_there_is_space(int errno)
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        var writer = pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        for (var bytes = 0; bytes < 60; bytes += 7)
        {
            var before = new FileInfo(pod.Journal).Length;
            var writes = 0;
            file!.OnWrite = () => ++writes == 2 ? (errno, bytes) : null;
            var refusal = await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("first"), new Entry.Input("lost")));
            Assert.Contains("free some space", refusal.Message, StringComparison.Ordinal);
            Assert.Equal(before, new FileInfo(pod.Journal).Length); // Neither of the two.
            file.OnWrite = () => null;
            var seq = writer.HeadSeq;
            Assert.Equal(seq + 1, (await pod.Append(new Entry.Input("kept")))[0].Seq);
        }
        var read = pod.Reader.ReadAfter(Cursor.Start, out var health);
        Assert.Equal(JournalHealth.Good, health);
        Assert.All(read.Skip(1), record => Assert.Equal(new Entry.Input("kept"), record.Entry));
        Assert.Equal(read.Select(Line), pod.Folded.Records.Select(Line));
    }

    [Fact, Trait("case", "G12")]
    public async Task An_entry_longer_than_a_line_may_be_is_refused_alone()
    {
        await using var pod = new TempPod();
        pod.Open(file: path => new UnsyncedFile(path));
        await pod.Append(TempPod.Created());
        Assert.Contains("longer than a line may be", (await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input(new string('x', JournalCodec.MaxLineBytes))))).Message, StringComparison.Ordinal);
        Assert.Equal(2, (await pod.Append(new Entry.Input("fits")))[0].Seq);
    }

    [Fact, Trait("case", "G03")]
    public async Task A_tail_that_cannot_be_cut_stops_every_append_until_it_can()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        file!.OnWrite = () => (Errno.NoSpc, 20);
        file.OnTruncate = () => Errno.NoSpc;
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")));
        file.OnWrite = () => null;
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost, too")));
        Assert.Single(pod.Reader.ReadAfter(Cursor.Start, out var health));
        Assert.Equal(20, health.UnfinishedBytes);
        file.OnTruncate = () => null;
        Assert.Equal(2, (await pod.Append(new Entry.Input("kept")))[0].Seq);
        Assert.Equal([1, 2], pod.Reader.ReadAfter(Cursor.Start, out health).Select(record => record.Seq));
        Assert.Equal(JournalHealth.Good, health);
    }

    [Fact, Trait("case", "G04")]
    public async Task After_a_failed_sync_nothing_is_written_until_the_process_restarts()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        file!.OnFlush = () => Errno.Io;
        var refusal = await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")));
        Assert.Contains("until this Pod is restarted", refusal.Message, StringComparison.Ordinal);
        file.OnFlush = () => null;
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("refused")));
        await Assert.ThrowsAsync<JournalException>(() => pod.Writer!.AppendAsync(Durability.Written, new Entry.Input("refused")));
        Assert.Single(pod.Folded.Records);
        await pod.CloseAsync();
        pod.Open();
        Assert.Single(pod.Folded.Records);
        Assert.Equal(2, (await pod.Append(new Entry.Input("kept")))[0].Seq);
    }

    [Fact, Trait("case", "G09")]
    public async Task After_a_power_loss_everything_that_was_acknowledged_as_synced_is_there()
    {
        const int seed = 99;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await using var pod = new TempPod();
        var expected = 0L;
        for (var life = 0; life < 20; life++)
        {
            ForgetfulFile? file = null;
            var writer = pod.Open(file: path => file = new ForgetfulFile(path));
            var acknowledged = writer.HeadSeq;
            Assert.InRange(acknowledged, expected, long.MaxValue);
            Assert.Equal(JournalHealth.Good with { UnfinishedBytes = writer.Found.UnfinishedBytes }, writer.Found);
            for (var i = random.Next(1, 12); i > 0; i--)
            {
                var synced = random.Next(3) == 0;
                var records = await writer.AppendAsync(synced ? Durability.Synced : Durability.Written, TempPod.Created(), new Entry.Input("x"));
                if (synced) acknowledged = records[^1].Seq;
            }
            expected = acknowledged;
            var survives = file!.LosePower(random);
            await pod.CloseAsync();
            using var handle = File.OpenHandle(pod.Journal, FileMode.Open, FileAccess.Write);
            RandomAccess.SetLength(handle, survives);
        }
    }

    [Fact]
    public async Task A_fold_that_throws_is_heard_by_all_who_wait()
    {
        await using var pod = new TempPod();
        using var podLock = PodLock.TryTake(pod.Directory)!;
        var writer = JournalWriter.Open(pod.Directory, podLock, [new Broken()], TimeProvider.System);
        var first = writer.AppendAsync(Durability.Written, TempPod.Created());
        await Assert.ThrowsAsync<JournalException>(() => first);
        await Assert.ThrowsAsync<JournalException>(() => writer.AppendAsync(Durability.Written, TempPod.Created()));
        await Assert.ThrowsAsync<DivideByZeroException>(async () => await writer.DisposeAsync());
    }

    [Fact]
    public async Task What_is_queued_is_written_before_the_journal_closes_and_nothing_after()
    {
        await using var pod = new TempPod();
        var writer = pod.Open();
        var queued = Enumerable.Range(0, 600).Select(_ => writer.AppendAsync(Durability.Written, TempPod.Created())).ToList();
        await writer.DisposeAsync();
        await Task.WhenAll(queued);
        Assert.Equal(600, pod.Reader.Last()?.Seq);
        await Assert.ThrowsAsync<JournalException>(() => writer.AppendAsync(Durability.Written, TempPod.Created()));
    }

    [Fact]
    public async Task An_entry_that_cannot_be_written_down_fails_alone()
    {
        await using var pod = new TempPod();
        pod.Open();
        await pod.Append(TempPod.Created());
        var deep = string.Concat(Enumerable.Repeat("[", 70)) + string.Concat(Enumerable.Repeat("]", 70));
        using var json = System.Text.Json.JsonDocument.Parse(deep, new() { MaxDepth = 100 });
        var bad = pod.Append(new Entry.Input("goes with it"), new Entry.Unknown("deep", json.RootElement));
        var good = pod.Append(new Entry.Input("kept"));
        await Assert.ThrowsAsync<JournalException>(() => bad);
        Assert.Equal(2, (await good)[0].Seq);
        Assert.Equal(2, pod.Reader.ReadAfter(Cursor.Start, out _).Count);
    }

    [Fact]
    public async Task Appends_that_wait_together_share_one_sync()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        using var entered = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        var first = true;
        var writer = pod.Open(file: path => file = new FaultyFile(path));
        file!.OnFlush = () =>
        {
            if (first)
            {
                entered.Release();
                go.Wait(TempPod.Ct);
            }
            first = false;
            return null;
        };
        var begun = writer.AppendAsync(Durability.Synced, TempPod.Created());
        await entered.WaitAsync(TempPod.Ct);
        var waiting = Enumerable.Range(0, 50).Select(i => writer.AppendAsync(Durability.Synced, new Entry.Input($"{i}"))).ToList();
        Assert.False(begun.IsCompleted); // A stalled disk holds up no caller, and tells none that it is done.
        Assert.Equal(0, writer.HeadSeq);
        go.Release();
        var records = (await Task.WhenAll(waiting)).SelectMany(group => group).ToList();
        Assert.Equal(Enumerable.Range(0, 50).Select(i => (i + 2L, (Entry)new Entry.Input($"{i}"))), records.Select(record => (record.Seq, record.Entry)));
        Assert.Equal(2, file.Flushes);
    }

    [Fact]
    public async Task The_files_are_private_whatever_the_umask()
    {
        await using var pod = new TempPod();
        var nested = Path.Combine(pod.Directory, "a", "b");
        using (var podLock = PodLock.TryTake(nested))
        {
            await using var writer = JournalWriter.Open(nested, podLock!, [], TimeProvider.System);
            await writer.AppendAsync(Durability.Synced, TempPod.Created());
            foreach (var file in Directory.GetFiles(nested)) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            Assert.Equal(2, Directory.GetFiles(nested).Length);
        }
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Assert.Equal(owner, File.GetUnixFileMode(nested));
        Assert.Equal(owner, File.GetUnixFileMode(Path.GetDirectoryName(nested)!));
    }

    [Fact]
    public async Task A_newer_journal_is_not_written_but_read_with_what_is_unknown_kept()
    {
        await using var pod = new TempPod();
        pod.Open();
        await pod.Append(TempPod.Created(JournalCodec.Version + 1));
        await pod.Append(new Entry.Unknown("dream", System.Text.Json.JsonElement.Parse("""{"of":"sheep"}""")));
        await pod.CloseAsync();
        var refusal = Assert.Throws<JournalException>(() => pod.Open());
        Assert.Contains("version 2", refusal.Message, StringComparison.Ordinal);
        Assert.Empty(pod.Folded.Records);
        var dream = Assert.IsType<Entry.Unknown>(pod.Reader.ReadAfter(Cursor.Start, out _)[1].Entry);
        Assert.Equal(("dream", """{"of":"sheep"}"""), (dream.Kind, dream.Data.GetRawText()));
    }

    private sealed class Broken : IJournalFold
    {
        public void Apply(JournalRecord record) => throw new DivideByZeroException();
    }

    internal static string Line(JournalRecord record)
    {
        var line = new System.Buffers.ArrayBufferWriter<byte>();
        JournalCodec.Write(line, record.Seq, record.Time, record.Entry);
        return string.Create(CultureInfo.InvariantCulture, $"{record.Offset}+{record.Length} {record.Crc} {Encoding.UTF8.GetString(line.WrittenSpan)}");
    }
}
