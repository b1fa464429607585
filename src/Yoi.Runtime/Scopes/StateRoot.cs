using System.Runtime.InteropServices;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The directories that must be this user's alone, and the lock file beside the table. Opened by every Pod process *before* it
/// takes its life-lock: so whoever finds Pods living and no lock file knows that table and lock were removed under them.
/// </summary>
internal static class StateRoot
{
    private const string Temporary = ".tmp.";

    /// <summary>Makes what is missing (0700, 0600) and refuses what is not ours. Changes nothing that exists.</summary>
    /// <param name="alsoRuntime">False where the runtime directory does not matter: it may vanish under a living Pod.</param>
    /// <exception cref="ScopeException">A directory belongs to another, is a link or no directory, or others may write it.</exception>
    internal static void Open(YoiDirectories directories, Func<string, bool> isAlive, bool alsoRuntime)
    {
        try
        {
            OpenPrivate(directories.State);
            OpenPrivate(directories.Pods);
            if (alsoRuntime) OpenPrivate(directories.Runtime);
            if (Libc.Identify(directories.ScopeLock, out _) == Errno.NoEnt) CreateLock(directories, isAlive);
        }
        catch (IOException e)
        {
            throw new ScopeException($"Yoi's own directories cannot be used: {e.Message}", cause: e);
        }
    }

    /// <summary>Null if nobody but this user can change what is in the directory, else what is wrong with it.</summary>
    internal static string? Problem(string path)
    {
        var errno = Libc.Identify(path, out var found);
        if (errno != 0) return $"{path}: {Marshal.GetPInvokeErrorMessage(errno)}";
        if (found.IsLink) return $"{path} is a symbolic link; it must be a directory of yours";
        if (!found.IsDirectory) return $"{path} is not a directory";
        if (found.Owner != Libc.Geteuid()) return $"{path} belongs to uid {found.Owner}, not to you (uid {Libc.Geteuid()})";
        return (found.Permissions & 0x12) == 0 ? null
            : $"others may write {path} (mode {Convert.ToString(found.Permissions, 8)}); look at what is in it, then `chmod 700 {path}`";
    }

    /// <summary>True if a Pod other than the one in <paramref name="own"/> holds its life-lock.</summary>
    internal static bool AnyAlive(YoiDirectories directories, Func<string, bool> isAlive, string? own) =>
        Directory.Exists(directories.Pods) && Directory.EnumerateDirectories(directories.Pods).Any(pod => pod != own && isAlive(pod));

    private static void OpenPrivate(string path)
    {
        if (Libc.Identify(path, out _) == Errno.NoEnt) PrivateFile.CreateDirectory(path);
        if (Problem(path) is { } problem) throw new ScopeException(problem);
    }

    // With its text, or not at all, and only if the name is free.
    private static void CreateLock(YoiDirectories directories, Func<string, bool> isAlive)
    {
        var lost = AnyAlive(directories, isAlive, own: null);
        foreach (var left in Directory.GetFiles(directories.State, Path.GetFileName(directories.ScopeLock) + Temporary + "*"))
            if (!Path.Exists("/proc/" + left[(left.IndexOf(Temporary, StringComparison.Ordinal) + Temporary.Length)..].Split('.')[0])) File.Delete(left); // Of one that was killed here.
        var temporary = $"{directories.ScopeLock}{Temporary}{Environment.ProcessId}.{Guid.NewGuid():n}";
        try
        {
            using (var file = PrivateFile.OpenToWrite(temporary, OpenFlags.Exclusive))
                RandomAccess.Write(file, LockText.Format(0, "-", lost ? null : 0), 0);
            Failpoint.Pass(Failpoints.StateLock);
            using var state = PrivateFile.OpenDirectory(directories.State);
            var error = SpareFile.GiveName(state, Path.GetFileName(temporary), Path.GetFileName(directories.ScopeLock));
            if (error == Errno.Exist) return; // Another was quicker.
            if (error != 0) throw new LinuxException("rename to " + directories.ScopeLock, error);
            Failpoint.Pass(Failpoints.StateLockSync);
            PrivateFile.SyncDirectory(directories.State);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
