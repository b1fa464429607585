using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    private const int LockShared = 1, LockExclusive = 2, LockWithoutWaiting = 4, LockRelease = 8;

    /// <summary>Takes the exclusive flock; false if another open file holds it.</summary>
    /// <exception cref="LinuxException">Locks do not work here (ENOLCK and the like): never to be read as "not held".</exception>
    internal static bool TryFlock(SafeFileHandle file) => TryFlock(file, LockExclusive | LockWithoutWaiting);

    /// <summary>The same, and waits for whoever has it.</summary>
    /// <exception cref="LinuxException">Locks do not work here.</exception>
    internal static void WaitForFlock(SafeFileHandle file) => TryFlock(file, LockExclusive);

    /// <summary>True if another open file holds the exclusive flock. Those who ask do not see each other.</summary>
    /// <exception cref="LinuxException">Locks do not work here.</exception>
    internal static bool IsFlocked(SafeFileHandle file)
    {
        if (!TryFlock(file, LockShared | LockWithoutWaiting)) return true;
        ReleaseFlock(file);
        return false;
    }

    private static bool TryFlock(SafeFileHandle file, int operation)
    {
        while (true)
        {
            if (Flock(file, operation) == 0) return true;
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Intr: continue;
                case Errno.Again: return false;
                default: throw Failed("flock");
            }
        }
    }

    /// <summary>Gives the flock back, also that of copies of the descriptor: a process that is being started has one until it is another program.</summary>
    internal static void ReleaseFlock(SafeFileHandle file) => _ = Flock(file, LockRelease);

    /// <summary>The flags of FS_IOC_GETFLAGS; null where the file system has none.</summary>
    internal static long? InodeFlags(SafeFileHandle file)
    {
        const nuint getFlags = 0x80086601;
        var flags = 0L;
        return Ioctl(file, getFlags, ref flags) == 0 ? flags & 0xffffffff : null;
    }

    [LibraryImport(Name, EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeFileHandle file, nuint request, ref long argument);

    [LibraryImport(Name, EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Rename(string from, string to);

    [LibraryImport(Name, EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int HardLink(string existing, string name);

    [LibraryImport(Name, EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
