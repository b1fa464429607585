using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>
/// One forward pass over records: those behind <c>after</c>, in order, each seq once. Damaged lines are skipped and
/// counted, except those before the last record that was asked to be left out. Of kinds that are not wanted only the checksum is looked at.
/// </summary>
internal sealed class JournalPass : IDisposable
{
    private readonly LineScanner _lines;
    private readonly long _after;
    private readonly IReadOnlySet<Type>? _wanted;
    private long _last;
    private int _line;
    private int _damaged;
    private (int Line, long Offset)? _firstDamage;

    /// <param name="wanted">Kinds of entries; null for all.</param>
    internal JournalPass(SafeFileHandle file, long from, long to, long after, IReadOnlySet<Type>? wanted = null)
    {
        _lines = new LineScanner(file, from, to);
        _wanted = wanted;
        _after = _last = after;
    }

    /// <summary>Seq of the last record returned, or passed over as not wanted.</summary>
    internal long LastSeq => _last;

    /// <summary>Upper bound of the records that the damaged lines behind the last record were.</summary>
    internal int RecordsLostAtEnd { get; private set; }

    /// <summary>Offset behind the last whole line.</summary>
    internal long End => _lines.Offset;

    internal long BytesRead => _lines.BytesRead;

    /// <summary>What was found so far. The unfinished tail is known once <see cref="Next"/> has returned null.</summary>
    internal JournalHealth Health => new(_damaged, _lines.Unfinished, _firstDamage);

    /// <summary>The next record, or null at the end.</summary>
    internal JournalRecord? Next()
    {
        while (_lines.TryNext(out var line, out var offset))
        {
            _line++;
            if (JournalCodec.ClaimedSeq(line) is > 0 and var claimed && claimed <= _last && JournalCodec.ChecksumHolds(line))
            {
                if (claimed <= _after) (_damaged, _firstDamage) = (0, null);
                continue;
            }
            if (_wanted is not null && JournalCodec.ClaimedKind(line) is { } kind && !_wanted.Contains(kind.Type) && JournalCodec.ChecksumHolds(line))
            {
                (_last, RecordsLostAtEnd) = (JournalCodec.ClaimedSeq(line), 0);
                continue;
            }
            if (JournalCodec.Read(line, offset) is not { } record)
            {
                _damaged++;
                _firstDamage ??= (_line, offset);
                RecordsLostAtEnd += Math.Max(1, line.Count(",\"crc\":\""u8)); // A newline that was damaged joins two records.
                continue;
            }
            RecordsLostAtEnd = 0;
            if (record.Seq <= _last) continue;
            _last = record.Seq;
            if (_wanted?.Contains(record.Entry.GetType()) ?? true) return record;
        }
        return null;
    }

    public void Dispose() => _lines.Dispose();
}
