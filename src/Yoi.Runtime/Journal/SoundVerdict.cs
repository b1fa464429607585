using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// Remembers beside a journal that a whole pass found it sound, so that a listing costs what the number of Pods costs. Holds for the same inode with
/// the same size and times. A verdict that cannot be read or written is no error and is told nobody: the journal is read again, which is only slower.
/// </summary>
internal static class SoundVerdict
{
    /// <summary>A verdict is good for later only if the journal had rested so long: times have grains.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(2);

    /// <summary>Longer than any verdict: what has more bytes is none.</summary>
    private const int Most = 256;

    /// <summary>True if what is known of a journal can be kept: nobody changed it just now.</summary>
    internal static bool CanHold(in FileStatus journal, TimeProvider time) => time.GetUtcNow() - journal.Changed > Rest;

    /// <summary>True if this very journal was found sound.</summary>
    internal static bool Holds(string podDirectory, in FileStatus journal)
    {
        try
        {
            using var file = PrivateFile.OpenToRead(PathIn(podDirectory));
            var bytes = new byte[Most];
            return file is not null && bytes.AsSpan(0, RandomAccess.Read(file, bytes, 0)).SequenceEqual(Words(journal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Keeps that a journal was found sound. Two that do so at once may leave none, or half of one, which is as good as none.</summary>
    /// <param name="file">The journal, open.</param>
    internal static void Keep(string podDirectory, SafeFileHandle file, in FileStatus journal)
    {
        try
        {
            PrivateFile.Sync(file, PodFiles.Journal); // What was found sound is what a power loss leaves.
            PrivateFile.Replace(PathIn(podDirectory), Words(journal), durable: false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full disk, a read-only one, a Pod that is removed this moment.
        }
    }

    /// <summary>For a pass that found damage where a verdict may still hold: a disk can lose bytes without touching a time.</summary>
    internal static void Forget(string podDirectory) => _ = Libc.Unlink(PathIn(podDirectory));

    private static string PathIn(string podDirectory) => Path.Combine(podDirectory, PodFiles.Verdict);

    /// <remarks>The first word is the version of what was looked at: a later build that looks at more begins with another.</remarks>
    private static byte[] Words(in FileStatus journal) => Encoding.ASCII.GetBytes(string.Create(
        CultureInfo.InvariantCulture, $"1 {PodFiles.Journal} {journal.Version} {journal.Size:x} {journal.ModifiedSeconds:x}-{journal.ModifiedNanoseconds:x}\n"));
}
