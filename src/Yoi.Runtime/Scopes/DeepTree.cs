using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Directories that commands filled: deeper than any path is long, with names that are no text and modes that keep their owner out. Walked
/// on handles, two at a time, following no link. Nobody else works in them.
/// </summary>
internal static class DeepTree
{
    private const int RemoveDirectory = 0x200;

    /// <summary>Removes it with all that is in it; what is not there is removed.</summary>
    /// <exception cref="IOException">Something could not be removed.</exception>
    internal static void Remove(string path) => Walk(
        path, unlock: true, (directory, name) => Unlink(directory, name, 0), (directory, name) => Unlink(directory, name, RemoveDirectory));

    /// <summary>Bytes of all files below it; of what its owner may not look into, none.</summary>
    internal static long Bytes(string path)
    {
        var total = 0L;
        Walk(path, unlock: false, (directory, name) => total += Door.StatusOf(directory, name)?.Size ?? 0, (_, _) => { });
        return total;
    }

    private static void Walk(string path, bool unlock, Action<SafeFileHandle, string> file, Action<SafeFileHandle, string> left)
    {
        var above = PathText.Encode(Door.Below("/", Door.DirectoryOf(path)));
        if (Libc.TryOpenAt(Door.Slash, above, OpenFlags.Path | OpenFlags.Directory | OpenFlags.CloseOnExec, 0, out _) is not { } at) return;
        var levels = new Stack<Level>();
        try
        {
            for (string? name = Door.NameOf(path); name is not null || levels.Count > 0;)
            {
                if (name is not null) Enter(ref at, name, levels, unlock, file);
                else Leave(ref at, levels.Pop(), left);
                name = levels.Count > 0 && levels.Peek().Below.TryDequeue(out var next) ? next : null;
            }
        }
        finally
        {
            at.Dispose();
        }
    }

    /// <summary>Of a directory all that is no directory is dealt with at once.</summary>
    private static void Enter(ref SafeFileHandle at, string name, Stack<Level> levels, bool unlock, Action<SafeFileHandle, string> file)
    {
        var child = Door.Look(at, name, out _);
        if (child is null) return;
        var status = Door.StatusOf(child);
        if (!status.IsDirectory)
        {
            child.Dispose();
            file(at, name);
            return;
        }
        if (unlock) Quarantine.Unlock(child);
        if (Above(child, out _) is not { } back)
        {
            child.Dispose();
            if (unlock) Unlink(at, name, RemoveDirectory); // Which says why not.
            return;
        }
        back.Dispose();
        var level = new Level(name, Door.StatusOf(at), new Queue<string>());
        if (Door.OpenBeneath(at, name, OpenFlags.ReadOnly | OpenFlags.Directory, out _) is { } listed)
        {
            using (listed)
                foreach (var (entry, kind) in Door.EntriesOf(listed))
                {
                    if (kind is 4 or 0) level.Below.Enqueue(entry);
                    else file(child, entry);
                }
        }
        levels.Push(level);
        at.Dispose();
        at = child;
    }

    private static void Leave(ref SafeFileHandle at, Level level, Action<SafeFileHandle, string> left)
    {
        var up = Above(at, out var error) ?? throw new LinuxException("open ..", error);
        at.Dispose();
        at = up;
        if (!Door.StatusOf(up).IsSameFile(level.Above)) throw new IOException($"{PathText.Shown(level.Name)} was moved while it was walked through");
        left(up, level.Name);
    }

    /// <summary>Null for a directory that its owner may not enter.</summary>
    private static SafeFileHandle? Above(SafeFileHandle directory, out int error) =>
        Libc.TryOpenAt(directory, "..\0"u8, OpenFlags.Path | OpenFlags.Directory | OpenFlags.CloseOnExec, 0, out error);

    private static void Unlink(SafeFileHandle directory, string name, int flags)
    {
        Failpoint.Pass(Failpoints.TreeUnlink);
        if (Libc.UnlinkAt(directory, PathText.Encode(name), flags) != 0) throw Libc.Failed("remove " + PathText.Shown(name));
    }

    /// <param name="Above">The directory that it is in.</param>
    /// <param name="Below">Directories in it that are still to be walked.</param>
    private sealed record Level(string Name, FileStatus Above, Queue<string> Below);
}
