using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>A place in a durable file that is not as it was written.</summary>
/// <param name="File">Name of the file in the Pod's directory.</param>
/// <param name="Line">From 1; 0 if the whole file is meant.</param>
/// <param name="Offset">Byte offset of that line.</param>
internal sealed record Damage(string File, int Line, long Offset, string What)
{
    public override string ToString() => Line == 0 ? $"{File}: {What}" : $"{File} line {Line} (byte {Offset}): {What}";
}

/// <summary>Looks at every line of a journal, and at nothing in it: what its checksums say. Costs a pass over the bytes.</summary>
internal static class JournalCheck
{
    /// <summary>Most places that are told one by one.</summary>
    private const int Most = 100;

    /// <summary>What is damaged, in order; an unfinished last line is none. Empty if there is no journal.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static IReadOnlyList<Damage> Look(string podDirectory)
    {
        using var file = PrivateFile.OpenToRead(Path.Combine(podDirectory, PodFiles.Journal));
        if (file is null) return [];
        using var lines = new LineScanner(file, 0, long.MaxValue);
        var found = new List<Damage>();
        for (var number = 1; found.Count < Most && lines.TryNext(out var line, out var offset); number++)
            if (!JournalCodec.ChecksumHolds(line)) found.Add(new(PodFiles.Journal, number, offset, "the checksum does not hold"));
        return found;
    }
}
