using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Journal;

/// <summary>Another Pod acts only on what is on disk.</summary>
public sealed class SyncedReadingTests
{
    private static JournalReader Acting(TempPod pod) => new(pod.Journal, synced: true);

    private static int Count(JournalReader reader) => reader.ReadAfter(Cursor.Start, out _).Count;

    [Fact, Trait("case", "G09"), Trait("case", "T38")]
    public async Task A_record_that_waits_for_its_sync_is_not_there_for_whoever_acts_on_it()
    {
        await using var pod = new TempPod();
        using SemaphoreSlim entered = new(0), go = new(0);
        var stalls = false;
        pod.Open(file: path => new FaultyFile(path)
        {
            OnFlush = () =>
            {
                if (!stalls) return null;
                entered.Release();
                go.Wait(TempPod.Ct);
                return null;
            },
        });
        await pod.Append(TempPod.Created());
        stalls = true;
        var waiting = pod.Append(new Entry.Input("not yet"));
        await entered.WaitAsync(TempPod.Ct);
        Assert.Equal((1, 2), (Count(Acting(pod)), Count(pod.Reader))); // It is in the file, and the disk has stalled: nobody waits.
        Assert.False(waiting.IsCompleted);
        stalls = false;
        go.Release();
        await waiting;
        Assert.Equal(2, Count(Acting(pod)));
        await pod.Writer!.AppendAsync(Durability.Written, new Entry.TurnStart(0));
        Assert.Equal((2, 3), (Count(Acting(pod)), Count(pod.Reader)));
    }

    [Fact, Trait("case", "G04")]
    public async Task A_record_whose_sync_fails_was_never_there_for_whoever_acts_on_it()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        var seen = 0;
        file!.OnFlush = () =>
        {
            seen = Math.Max(Count(pod.Reader), seen);
            Assert.Equal(1, Count(Acting(pod)));
            return Errno.Io;
        };
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")));
        Assert.Equal((2, 1, 1), (seen, Count(Acting(pod)), Count(pod.Reader))); // Others saw it for a moment.
    }

    [Fact, Trait("case", "G09")]
    public async Task What_a_dead_Pod_left_unsynced_is_synced_by_who_reads_it()
    {
        await using var pod = new TempPod();
        pod.Open();
        await pod.Writer!.AppendAsync(Durability.Written, TempPod.Created());
        Assert.Equal(0, Count(Acting(pod)));
        await pod.CloseAsync();
        Assert.Equal(1, Count(Acting(pod)));
        Assert.Null(PodLock.SyncedLength(pod.Directory));
    }

    [Fact, Trait("case", "G03")]
    public async Task A_disk_that_was_full_at_the_sync_takes_again_what_was_written_before()
    {
        await using var pod = new TempPod();
        FaultyFile? file = null;
        pod.Open(file: path => file = new FaultyFile(path));
        await pod.Append(TempPod.Created());
        await pod.Writer!.AppendAsync(Durability.Written, new Entry.TurnStart(0));
        file!.OnFlush = () => Errno.NoSpc;
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")));
        Assert.Equal(2, pod.Folded.Records.Count);
        file.OnFlush = () => null;
        Assert.Equal(3, (await pod.Append(new Entry.Input("kept")))[0].Seq);
        Assert.Equal(3, Count(Acting(pod)));
        Assert.Equal(pod.Folded.Records.Select(JournalWriterTests.Line), pod.Reader.ReadAfter(Cursor.Start, out var health).Select(JournalWriterTests.Line));
        Assert.Equal(JournalHealth.Good, health);

        // If the kernel no longer has it, memory says more than the disk: then it is over until a restart.
        await pod.Writer!.AppendAsync(Durability.Written, new Entry.TurnStart(1));
        file.OnFlush = () => Errno.NoSpc;
        await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")));
        using (var other = File.OpenHandle(pod.Journal, FileMode.Open, FileAccess.Write)) RandomAccess.Write(other, "\0\0"u8, file.Length - 9);
        file.OnFlush = () => null;
        Assert.Contains("no longer holds", (await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")))).Message, StringComparison.Ordinal);
        Assert.Contains("until this Pod is restarted", (await Assert.ThrowsAsync<JournalException>(() => pod.Append(new Entry.Input("lost")))).Message, StringComparison.Ordinal);
    }
}
