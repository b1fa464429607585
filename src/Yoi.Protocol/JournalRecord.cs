namespace Yoi.Protocol;

/// <summary>One line of a journal.</summary>
/// <param name="Seq">Grows by one from 1; unique in its journal.</param>
/// <param name="Time">When it was appended; for people, never used to decide anything.</param>
/// <param name="Offset">Byte offset of the line's first byte.</param>
/// <param name="Length">Bytes of the line, its newline included.</param>
/// <param name="Crc">CRC-32C of the line up to its checksum, eight hex digits.</param>
public sealed record JournalRecord(long Seq, DateTimeOffset Time, Entry Entry, long Offset, int Length, string Crc)
{
    /// <summary>The cursor behind this record.</summary>
    public Cursor End => new(Seq, Offset + Length);
}

/// <summary>A place in a journal: everything up to and including <paramref name="Seq"/> has been read.</summary>
/// <param name="Offset">Byte offset behind that entry; a hint that is verified, -1 if unknown.</param>
public readonly record struct Cursor(long Seq, long Offset)
{
    /// <summary>Before the first entry.</summary>
    public static Cursor Start => new(0, 0);
}
