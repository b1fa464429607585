using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>What came of a damaged place.</summary>
/// <param name="Restored">True if nothing of it is lost.</param>
internal sealed record Mended(Damage Damage, bool Restored, string Outcome);

/// <summary>What a repair did.</summary>
/// <param name="Kept">Files beside the repaired ones that hold what was there before; their names in the Pod's directory.</param>
internal sealed record RepairReport(IReadOnlyList<Mended> Places, IReadOnlyList<string> Kept);

/// <summary>
/// Writes a dead Pod's journal anew: every good line as it is, what can be proven of the damaged ones, and in the place of records that are
/// lost one <see cref="Entry.Repaired"/> with the seq of the first. The damaged file is kept beside it. All or nothing: a repair that is
/// killed leaves the old file.
/// </summary>
internal sealed class JournalRepair : IDisposable
{
    private const string Damaged = ".damaged-";

    private readonly string _directory;
    private readonly DateTimeOffset _now;
    private readonly SafeFileHandle _from, _to;
    private readonly List<(Damage Damage, byte[] Bytes)> _damaged = [];
    private readonly List<Mended> _places = [];
    private readonly ArrayBufferWriter<byte> _lines = new();
    private long _length, _last;

    private JournalRepair(string podDirectory, SafeFileHandle from, SafeFileHandle to, DateTimeOffset now) =>
        (_directory, _from, _to, _now) = (podDirectory, from, to, now);

    /// <summary>Repairs the journal of a Pod whose right to write it is held. Null if there is nothing to repair.</summary>
    /// <exception cref="IOException">It failed; the journal is as it was.</exception>
    internal static RepairReport? Run(PodLock right, TimeProvider time)
    {
        var path = Path.Combine(right.Directory, PodFiles.Journal);
        using var from = PrivateFile.OpenToRead(path);
        if (from is null) return null;
        var aside = path + ".new";
        File.Delete(aside);
        try
        {
            using var repair = new JournalRepair(right.Directory, from, PrivateFile.OpenToWrite(aside, OpenFlags.Exclusive), time.GetUtcNow());
            return repair.Copy() ? repair.Exchange(path, aside) : null;
        }
        finally
        {
            _ = Libc.Unlink(aside);
        }
    }

    /// <summary>A name for what is kept of a file: the first that is free.</summary>
    internal static string NameToKeep(string path)
    {
        for (var number = 1; ; number++)
            if (!Path.Exists(path + Damaged + number)) return path + Damaged + number;
    }

    public void Dispose() => _to.Dispose();

    private bool Copy()
    {
        using var lines = new LineScanner(_from, 0, long.MaxValue);
        for (var number = 1; lines.TryNext(out var line, out var offset); number++)
        {
            var claimed = JournalCodec.ClaimedSeq(line);
            if (JournalCodec.Checksum(line) is null || claimed == 0)
                _damaged.Add((new(PodFiles.Journal, number, offset, "the checksum does not hold"), line.ToArray()));
            else
            {
                Rescue(before: claimed);
                if (claimed > _last) Take(line, claimed); // What stands there twice counts once.
            }
        }
        Rescue(before: long.MaxValue);
        Tail(lines);
        Flush();
        return _places.Count > 0;
    }

    // What can be had of the damaged lines up to here, and a word in the place of what cannot.
    private void Rescue(long before)
    {
        if (_damaged.Count == 0) return;
        var (from, atEnd, restored) = (_last, before == long.MaxValue, 0);
        foreach (var record in LineRescue.Records([.. _damaged.Select(place => place.Bytes)]))
        {
            var seq = JournalCodec.ClaimedSeq(record);
            if (seq <= _last || seq >= before) continue;
            if (seq > _last + 1) Miss(_last + 1);
            Take(record, seq);
            restored++;
        }
        var whole = atEnd ? restored >= _damaged.Count : restored >= before - from - 1;
        if (atEnd ? !whole : _last < before - 1) Miss(_last + 1);
        var outcome = restored == 0 && whole ? "no record is missing: left out"
            : whole ? "restored: its checksum proves it"
            : atEnd ? $"lost: what stood behind seq {from}, but for {restored} record(s)"
            : $"lost: {before - from - 1 - restored} of the records between seq {from} and {before}";
        foreach (var (damage, _) in _damaged) _places.Add(new(damage, whole, outcome));
        _damaged.Clear();
    }

    // Behind the last newline: a record of which only the newline is wrong, or one that was never whole.
    private void Tail(LineScanner lines)
    {
        if (lines.Unfinished == 0) return;
        var tail = new byte[Math.Min(lines.Unfinished, JournalCodec.MaxLineBytes)];
        tail = tail[..RandomAccess.Read(_from, tail, lines.Offset)];
        var record = LineRescue.Records([tail]) is [var only] && JournalCodec.ClaimedSeq(only) > _last ? only : null;
        if (record is not null) Take(record, JournalCodec.ClaimedSeq(record));
        var damage = new Damage(PodFiles.Journal, 0, lines.Offset, $"its last record is unfinished ({lines.Unfinished} bytes from byte {lines.Offset} on)");
        _places.Add(new(damage, record is not null, record is null ? "cut off: it never counted" : "restored: only its newline was missing"));
    }

    private void Miss(long seq)
    {
        JournalCodec.Write(_lines, seq, _now, new Entry.Repaired(0, 0, Lost: true));
        _last = seq;
    }

    private void Take(ReadOnlySpan<byte> line, long seq)
    {
        _lines.Write(line);
        _lines.Write("\n"u8);
        _last = seq;
        if (_lines.WrittenCount > 1 << 20) Flush();
    }

    private void Flush()
    {
        Failpoint.Pass(Failpoints.RepairWrite);
        RandomAccess.Write(_to, _lines.WrittenSpan, _length);
        _length += _lines.WrittenCount;
        _lines.ResetWrittenCount();
    }

    /// <summary>A second name for what is there now. A repair that was cut off behind it has given it one.</summary>
    private string Keep(string path)
    {
        var status = Libc.Identify(_from);
        if (Directory.GetFiles(_directory, Path.GetFileName(path) + Damaged + "*").FirstOrDefault(name => Libc.Identify(name, out var other) == 0 && other.IsSameFile(status)) is { } before) return before;
        var kept = NameToKeep(path);
        Failpoint.Pass(Failpoints.RepairKeep);
        if (Libc.HardLink(path, kept) != 0) throw Libc.Failed("link " + kept);
        return kept;
    }

    private RepairReport Exchange(string path, string aside)
    {
        Failpoint.Pass(Failpoints.RepairSync);
        PrivateFile.Sync(_to, aside);
        var kept = Keep(path);
        Failpoint.Pass(Failpoints.RepairRename);
        if (Libc.Rename(aside, path) != 0) throw Libc.Failed("rename " + aside);
        Failpoint.Pass(Failpoints.RepairDirectorySync);
        PrivateFile.SyncDirectory(_directory);
        return new(_places, [Path.GetFileName(kept)]);
    }
}
