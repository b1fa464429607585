using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Where a Pod has a <see cref="SpareFile"/> this moment: one small file in its directory, made before the spare one and gone after it. So whoever
/// takes over from a Pod that was killed as it wrote finds what it left. A Pod writes one file at a time. Not synced: after a power loss what is
/// left waits for the next that writes there.
/// </summary>
internal sealed class SpareMark(string podDirectory)
{
    private const string Name = "spare";

    private string File => Path.Combine(podDirectory, Name);

    /// <summary>To be held while the spare file has its passing name.</summary>
    /// <exception cref="PathException">It cannot be noted; then nothing is written.</exception>
    internal IDisposable Put(string spare)
    {
        try
        {
            using var file = PrivateFile.OpenToWrite(File);
            Failpoint.Pass(Failpoints.SpareMark);
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, PathText.Encode(spare).AsSpan()[..^1], 0);
            return new Held(File);
        }
        catch (IOException e)
        {
            throw new PathException($"cannot write {PathText.Shown(spare)}: {e.Message}");
        }
    }

    /// <summary>Removes what a dead Pod left beside a file, before its scope goes to anybody else; null if there was nothing.</summary>
    /// <returns>What was removed, in words.</returns>
    internal static string? Settle(string podDirectory)
    {
        var mark = new SpareMark(podDirectory).File;
        try
        {
            if (!System.IO.File.Exists(mark)) return null;
            var spare = PathText.Decode(System.IO.File.ReadAllBytes(mark));
            var removed = spare.StartsWith('/') && SpareFile.IsName(Door.NameOf(spare)) && Remove(spare);
            Failpoint.Pass(Failpoints.SpareSettle);
            System.IO.File.Delete(mark);
            return removed ? $"a write was cut off: the spare file {PathText.Shown(spare)} was removed" : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // What was left stays: it is in nobody's way.
        }
    }

    // Its writer is dead, also where it is locked yet: who gives back the life-lock as it ends may give back that lock later, but runs no more.
    private static bool Remove(string spare)
    {
        using var directory = Door.LookAt(Door.DirectoryOf(spare), out _);
        return directory is not null && Door.StatusOf(directory, Door.NameOf(spare)) is { IsFile: true } && Libc.UnlinkAt(directory, PathText.Encode(Door.NameOf(spare)), 0) == 0;
    }

    private sealed class Held(string file) : IDisposable
    {
        // One that stays names a file that is not there any more.
        public void Dispose() => _ = Libc.Unlink(file);
    }
}
