using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>A place in a durable file that is not as it was written.</summary>
/// <param name="File">Name of the file in the Pod's directory.</param>
/// <param name="Line">From 1; 0 if the whole file is meant.</param>
/// <param name="Offset">Byte offset of that line.</param>
internal sealed record Damage(string File, int Line, long Offset, string What)
{
    public override string ToString() => Line == 0 ? $"{File}: {What}" : $"{File} line {Line} (byte {Offset}): {What}";
}

/// <summary>Looks at every line of a journal, and at nothing in it: what its checksums say.</summary>
internal static class JournalCheck
{
    /// <summary>Most places that are told one by one.</summary>
    private const int Most = 100;

    /// <summary>What is damaged, in order; an unfinished last line is none. Empty if there is no journal. Costs a pass over its bytes.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static IReadOnlyList<Damage> Look(string podDirectory)
    {
        using var file = PrivateFile.OpenToRead(Path.Combine(podDirectory, PodFiles.Journal));
        return file is null ? [] : Pass(file, podDirectory, out _);
    }

    /// <summary>The same, but a journal that was found sound is read again only once it has changed.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static IReadOnlyList<Damage> LookIfChanged(string podDirectory, TimeProvider time)
    {
        var path = Path.Combine(podDirectory, PodFiles.Journal);
        using var file = PrivateFile.OpenToRead(path);
        if (file is null) return [];
        var before = Libc.Identify(file, path);
        if (SoundVerdict.Holds(podDirectory, before)) return [];
        // Asked before the pass: what is written from here on gives the journal another time than the one that is kept.
        var rested = SoundVerdict.CanHold(before, time);
        var found = Pass(file, podDirectory, out var lines);
        if (rested && found.Count == 0 && lines > 0 && IsSame(before, Libc.Identify(file, path))) SoundVerdict.Keep(podDirectory, file, before);
        return found;
    }

    private static bool IsSame(in FileStatus before, in FileStatus now) => before.IsUnchanged(now) && before.Version == now.Version;

    private static List<Damage> Pass(SafeFileHandle file, string podDirectory, out int lines)
    {
        using var scanner = new LineScanner(file, 0, long.MaxValue);
        var found = new List<Damage>();
        for (lines = 0; found.Count < Most && scanner.TryNext(out var line, out var offset); lines++)
            if (!JournalCodec.ChecksumHolds(line)) found.Add(new(PodFiles.Journal, lines + 1, offset, "the checksum does not hold"));
        if (found.Count > 0) SoundVerdict.Forget(podDirectory);
        return found;
    }
}
