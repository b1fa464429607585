using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The file beside another that is renamed over it: <c>.yoi-0123456789abcdef.tmp</c>. Whoever writes one holds a flock on it, so that one
/// that nobody locks was left behind by a process that was killed: the next that writes in that directory removes it.
/// </summary>
internal static class SpareFile
{
    private const string Prefix = ".yoi-", Suffix = ".tmp";
    private const int IdBytes = 8, NameLength = 5 + (2 * IdBytes) + 4;

    /// <summary>Directories that this process has looked through: what another leaves there later waits for the next process.</summary>
    private static readonly ConcurrentDictionary<(ulong Device, ulong Inode), bool> LookedThrough = new();

    /// <summary>True for the name of a spare file.</summary>
    internal static bool IsName(string name) => name.Length == NameLength && name.StartsWith(Prefix, StringComparison.Ordinal)
        && name.EndsWith(Suffix, StringComparison.Ordinal) && name[Prefix.Length..^Suffix.Length].All(char.IsAsciiHexDigitLower);

    /// <summary>Removes one, unless its writer lives; false if it was not there or stays.</summary>
    internal static bool RemoveIfLeft(SafeFileHandle directory, string name)
    {
        using var file = Door.OpenBeneath(directory, name, OpenFlags.ReadOnly | OpenFlags.NoFollow | OpenFlags.NonBlock, out _);
        return file is not null && Door.StatusOf(file).IsFile && Libc.TryFlock(file) && Libc.UnlinkAt(directory, PathText.Encode(name), 0) == 0;
    }

    internal static string NewName() => Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdBytes)) + Suffix;

    /// <summary>Makes one, after those that were left behind are gone.</summary>
    /// <exception cref="PathException">It cannot be made.</exception>
    internal static SafeFileHandle Make(SafeFileHandle directory, string name, string path, uint mode)
    {
        var status = Door.StatusOf(directory);
        if (LookedThrough.TryAdd((status.Device, status.Inode), true)) Clear(directory);
        for (var tries = 0; ; tries++)
        {
            var file = FileReplacement.Make(directory, name, path, mode);
            // Another process that clears this very moment may have taken it for one that was left.
            if (IsHeld(file) || tries == Door.MostTries) return file;
            file.Dispose();
        }
    }

    /// <summary>It has its name: others may lock it.</summary>
    internal static void Release(SafeFileHandle file) => Libc.ReleaseFlock(file);

    /// <summary>Gives it its name, if nothing has that name: checked by the kernel in the same step.</summary>
    /// <exception cref="PathException">Something has, or it failed.</exception>
    internal static void PutWhereNothingIs(SafeFileHandle directory, string spare, string name, string path)
    {
        var error = GiveName(directory, spare, name);
        if (error == Errno.Exist) throw FileReplacement.Changed(path);
        if (error != 0) throw Door.Failed("cannot write", path, error);
    }

    /// <summary>The same of any file.</summary>
    /// <returns>0, or the error; EEXIST if something has that name.</returns>
    internal static int GiveName(SafeFileHandle directory, string spare, string name)
    {
        if (Libc.RenameWithoutReplacing(directory, PathText.Encode(spare), PathText.Encode(name)) == 0) return 0;
        if (Marshal.GetLastPInvokeError() is not (Errno.Inval or Errno.NoSys) and var error) return error;
        // A file system without that flag: a hard link is refused by a name that is there, too.
        if (Libc.LinkAt(directory, PathText.Encode(spare), directory, PathText.Encode(name), 0) != 0) return Marshal.GetLastPInvokeError();
        _ = Libc.UnlinkAt(directory, PathText.Encode(spare), 0);
        return 0;
    }

    private static bool IsHeld(SafeFileHandle file)
    {
        try
        {
            return Libc.TryFlock(file) && Door.StatusOf(file).Links > 0;
        }
        catch (LinuxException)
        {
            return true; // No locks here: then nobody clears anything here either.
        }
    }

    private static void Clear(SafeFileHandle directory)
    {
        try
        {
            foreach (var path in Directory.EnumerateFiles($"/proc/self/fd/{directory.DangerousGetHandle()}", Prefix + "*" + Suffix))
            {
                if (IsName(Path.GetFileName(path))) RemoveIfLeft(directory, Path.GetFileName(path));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What was left stays: it is in nobody's way.
        }
    }
}
