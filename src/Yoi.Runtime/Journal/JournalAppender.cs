using System.Buffers;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// Numbers, stamps and writes records. After a failure the file and the next seq are as before. A full disk or quota is over when there is
/// space again, a file system that takes no writes when it does again; any other failure to write or sync is final until the process
/// restarts, because what the kernel then holds in memory need not be what is on the disk.
/// </summary>
internal sealed class JournalAppender(string path, JournalFile file, TimeProvider time, long lastSeq, long most = JournalAppender.MostBytes) : IDisposable
{
    private const int KeptBuffer = 64 * 1024;

    /// <summary>From here on no work is taken in: a Pod that is replayed at each start must not grow for ever.</summary>
    internal const long MostBytes = 4L << 30;

    private ArrayBufferWriter<byte> _lines = new(1024);
    private long _lastSeq = lastSeq;
    private long _synced = file.Length; // Opening has synced what it found.
    private bool _doubtful;
    private JournalException? _broken;

    /// <summary>Where the file and the numbering stand.</summary>
    internal (long Seq, long Length) Mark => (_lastSeq, file.Length);

    /// <summary>Writes entries next to each other, one write each; all or none of them.</summary>
    /// <exception cref="JournalException">None of them is in the journal.</exception>
    internal IReadOnlyList<JournalRecord> Append(IReadOnlyList<Entry> entries)
    {
        if (_broken is not null) throw new JournalException(_broken.Message, _broken);
        if (file.Length >= most && entries.Any(entry => entry is Entry.Input or Entry.Notify or Entry.TurnStart))
            throw new JournalException($"{path}: it has reached {most >> 20} MiB and takes no more work; start a new Pod");
        _lines.ResetWrittenCount();
        var mark = Mark;
        var records = new JournalRecord[entries.Count];
        for (var i = 0; i < records.Length; i++) records[i] = Serialise(entries[i], mark.Seq + i + 1, mark.Length);
        try
        {
            foreach (var record in records) file.Append(_lines.WrittenSpan.Slice((int)(record.Offset - mark.Length), record.Length));
        }
        catch (IOException e)
        {
            CutTo(mark);
            throw Failed(e, "an entry could not be written", e is LinuxException { Errno: Errno.Rofs });
        }
        _lastSeq += records.Length;
        if (_lines.Capacity > KeptBuffer) _lines = new(1024);
        return records;
    }

    /// <summary>Syncs; if that fails, everything behind the mark is taken back.</summary>
    /// <exception cref="JournalException">Nothing behind the mark counts.</exception>
    internal void SyncOrCut((long Seq, long Length) mark)
    {
        if (_broken is not null) throw new JournalException(_broken.Message, _broken);
        if (_synced == file.Length) return;
        try
        {
            if (_doubtful) file.WriteAgain(_synced);
            file.Sync();
            (_synced, _doubtful) = (file.Length, false);
        }
        catch (IOException e)
        {
            CutTo(mark);
            _doubtful = file.Length > _synced; // Entries of before, which memory and clients know.
            throw Failed(e, "it could not be synced");
        }
    }

    /// <summary>Syncs what no caller asked to be synced. Nothing is taken back if it fails: nobody was told that it is durable.</summary>
    internal void SyncBeforeClose()
    {
        if (_broken is null) SyncOrCut(Mark);
    }

    internal JournalException Closed(Exception? cause = null) => _broken ?? new JournalException($"{path}: the journal is closed", cause);

    public void Dispose() => file.Dispose();

    // Read back before it is written: memory holds what the file says, and nothing is written that cannot be read.
    private JournalRecord Serialise(Entry entry, long seq, long start)
    {
        var before = _lines.WrittenCount;
        try
        {
            JournalCodec.Write(_lines, seq, time.GetUtcNow(), entry);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException or ArgumentException or KeyNotFoundException)
        {
            throw new JournalException($"{path}: an entry of kind {entry.GetType().Name} could not be serialised: {e.Message}", e);
        }
        var line = _lines.WrittenSpan[before..];
        if (line.Length > JournalCodec.MaxLineBytes)
        {
            throw new JournalException($"{path}: an entry of {line.Length} bytes is longer than a line may be ({JournalCodec.MaxLineBytes})");
        }
        return JournalCodec.Read(line[..^1], start + before) is { } record && record.Entry.GetType() == entry.GetType()
            ? record : throw new JournalException($"{path}: an entry of kind {entry.GetType().Name} would not be readable");
    }

    private void CutTo((long Seq, long Length) mark)
    {
        _lastSeq = mark.Seq;
        try
        {
            file.CutTo(mark.Length);
        }
        catch (IOException e)
        {
            Cut = e; // Tried again before the next append, which fails if it does not work then.
        }
    }

    /// <summary>Why the tail could not be cut at once, for the message.</summary>
    private IOException? Cut { get; set; }

    private JournalException Failed(Exception e, string what, bool passes = false)
    {
        var full = passes || e is LinuxException { Errno: Errno.NoSpc or Errno.DQuot };
        var tail = Cut is null ? "" : $"; the unfinished tail is still there ({Cut.Message})";
        Cut = null;
        var failure = full
            ? new JournalException($"{path}: {what}: {e.Message}. Nothing was recorded; {(passes ? "make the file system writable" : "free some space")} and try again{tail}", e)
            : new JournalException($"{path}: {what}: {e.Message}. Nothing more is recorded until this Pod is restarted{tail}", e);
        if (!full) _broken = failure;
        return failure;
    }
}
