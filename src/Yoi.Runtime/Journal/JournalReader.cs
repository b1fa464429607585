using System.Buffers;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>What one pass over a journal found besides records.</summary>
/// <param name="DamagedLines">Whole lines behind the cursor whose checksum does not hold; skipped.</param>
/// <param name="UnfinishedBytes">Bytes behind the last newline; known when the pass came to the end.</param>
/// <param name="FirstDamage">Line number (from 1 at the pass's start) and byte offset of the first damage.</param>
/// <param name="More">True if the page was full before the end.</param>
internal sealed record JournalHealth(int DamagedLines, long UnfinishedBytes, (int Line, long Offset)? FirstDamage, bool More = false)
{
    internal static JournalHealth Good { get; } = new(0, 0, null);

    /// <summary>Where the first damaged line is, and how many there are; null if there is none.</summary>
    internal string? Words => FirstDamage is not { } at ? null
        : string.Create(CultureInfo.InvariantCulture, $"{PodFiles.Journal} line {at.Line} (byte {at.Offset}): the checksum does not hold{(DamagedLines > 1 ? $", and {DamagedLines - 1} more" : "")}");
}

/// <summary>
/// Reads any Pod's journal, its own or another's, alive or dead. Repairs nothing. Drops records with a seq seen before.
/// A journal that is not there has no records.
/// </summary>
/// <param name="synced">
/// True for whoever acts on what another Pod said: reads only what is on disk. A record that is written and not yet synced may still be
/// taken back, or be lost with the power.
/// </param>
internal sealed class JournalReader(string path, bool synced = false)
{
    /// <summary>Bytes that this reader has read from the file.</summary>
    internal long BytesRead { get; private set; }

    /// <summary>
    /// Records behind <paramref name="after"/>, at most <paramref name="maxBytes"/> of them (at least one). A cursor whose
    /// offset hint holds (the line before it ends there and carries that seq) costs only what is new.
    /// </summary>
    /// <param name="health">What was found in this pass.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    internal IReadOnlyList<JournalRecord> ReadAfter(Cursor after, out JournalHealth health, long maxBytes = long.MaxValue)
    {
        health = JournalHealth.Good;
        using var file = PrivateFile.OpenToRead(path);
        if (file is null) return [];
        using var pass = new JournalPass(file, HintHolds(file, after) ? after.Offset : 0, synced ? SyncedLength(file) : long.MaxValue, Math.Max(0, after.Seq));
        var records = new List<JournalRecord>();
        long bytes = 0;
        while (pass.Next() is { } record)
        {
            bytes += record.Length;
            if (bytes > maxBytes && records.Count > 0)
            {
                health = health with { UnfinishedBytes = 0, More = true };
                BytesRead += pass.BytesRead;
                return records;
            }
            records.Add(record);
            health = pass.Health; // Damage behind the last record of a full page belongs to the next page.
        }
        health = pass.Health;
        BytesRead += pass.BytesRead;
        return records;
    }

    /// <summary>All records of these kinds, in order, one in memory at a time: what to ask of a journal of any length.</summary>
    /// <param name="kinds">None: all kinds.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    internal IEnumerable<JournalRecord> Each(params IReadOnlyList<Type> kinds)
    {
        using var file = PrivateFile.OpenToRead(path);
        if (file is null) yield break;
        using var pass = new JournalPass(file, 0, synced ? SyncedLength(file) : long.MaxValue, 0, kinds.Count == 0 ? null : kinds.ToHashSet());
        while (pass.Next() is { } record) yield return record;
        BytesRead += pass.BytesRead;
    }

    /// <summary>The first whole record, or null if there is none: who the Pod is, unless the first line is damaged.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    internal JournalRecord? First()
    {
        using var file = PrivateFile.OpenToRead(path);
        if (file is null) return null;
        using var pass = new JournalPass(file, 0, long.MaxValue, 0);
        var record = pass.Next();
        BytesRead += pass.BytesRead;
        return record;
    }

    /// <summary>The last whole record, found from the end of the file; null if there is none.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    internal JournalRecord? Last()
    {
        using var file = PrivateFile.OpenToRead(path);
        if (file is null) return null;
        var end = NewlineBefore(file, RandomAccess.GetLength(file), long.MaxValue) + 1;
        while (end > 0)
        {
            var start = NewlineBefore(file, end - 1, long.MaxValue) + 1;
            if (WithLine(file, start, end, line => JournalCodec.Read(line, start)) is { } record) return record;
            end = start;
        }
        return null;
    }

    // Nobody writes it: then it is this reader that syncs what was left behind.
    private long SyncedLength(SafeFileHandle file)
    {
        if (PodLock.SyncedLength(Path.GetDirectoryName(path)!) is { } length) return length;
        length = RandomAccess.GetLength(file);
        PrivateFile.Sync(file, path);
        return length;
    }

    private bool HintHolds(SafeFileHandle file, Cursor cursor)
    {
        if (cursor.Seq <= 0 || cursor.Offset <= 0 || cursor.Offset > RandomAccess.GetLength(file)) return false;
        Span<byte> last = stackalloc byte[1];
        if (Read(file, last, cursor.Offset - 1) != 1 || last[0] != '\n') return false;
        var start = NewlineBefore(file, cursor.Offset - 1, JournalCodec.MaxLineBytes) + 1;
        return WithLine(file, start, cursor.Offset, line => JournalCodec.ClaimedSeq(line) == cursor.Seq && JournalCodec.ChecksumHolds(line));
    }

    // The line from start to end, its newline included; default if there is none.
    private T? WithLine<T>(SafeFileHandle file, long start, long end, Func<ReadOnlySpan<byte>, T> use)
    {
        if (end - start is < 2 or > JournalCodec.MaxLineBytes) return default;
        var length = (int)(end - start - 1);
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            return Read(file, buffer.AsSpan(0, length), start) == length ? use(buffer.AsSpan(0, length)) : default;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Offset of the last newline before the offset, at most `reach` bytes back; -1 if there is none.
    private long NewlineBefore(SafeFileHandle file, long offset, long reach)
    {
        var chunk = 1024;
        var limit = Math.Max(0, offset - reach);
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            while (offset > limit)
            {
                var from = Math.Max(limit, offset - chunk);
                var got = Read(file, buffer.AsSpan(0, (int)(offset - from)), from);
                var newline = buffer.AsSpan(0, got).LastIndexOf((byte)'\n');
                if (newline >= 0) return from + newline;
                offset = from;
                chunk = Math.Min(chunk * 4, 64 * 1024);
            }
            return -1;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private int Read(SafeFileHandle file, Span<byte> into, long offset)
    {
        var total = 0;
        while (total < into.Length)
        {
            var got = RandomAccess.Read(file, into[total..], offset + total);
            if (got == 0) break;
            total += got;
        }
        BytesRead += total;
        return total;
    }
}
