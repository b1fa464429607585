using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>What one pass over a journal found besides records.</summary>
/// <param name="DamagedLines">Whole lines whose checksum does not hold; skipped.</param>
/// <param name="UnfinishedBytes">Bytes behind the last newline.</param>
/// <param name="FirstDamage">Line number (from 1 at the pass's start) and byte offset of the first damage.</param>
internal sealed record JournalHealth(int DamagedLines, long UnfinishedBytes, (int Line, long Offset)? FirstDamage);

/// <summary>Reads any Pod's journal, its own or another's, alive or dead. Repairs nothing. Drops records with a seq seen before.</summary>
internal sealed class JournalReader(string path)
{
    /// <summary>
    /// Records behind <paramref name="after"/>, at most <paramref name="maxBytes"/> of them (at least one). A cursor whose
    /// offset hint holds (the line before it ends there and carries that seq) costs only what is new.
    /// </summary>
    /// <param name="health">What was found in this pass.</param>
    internal IReadOnlyList<JournalRecord> ReadAfter(Cursor after, out JournalHealth health, long maxBytes = long.MaxValue) =>
        throw new NotImplementedException(path);

    /// <summary>The first record (who the Pod is), or null if there is none.</summary>
    internal JournalRecord? First() => throw new NotImplementedException();

    /// <summary>The last whole record, found from the end of the file; null if there is none.</summary>
    internal JournalRecord? Last() => throw new NotImplementedException();
}
