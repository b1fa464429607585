using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    private const int OfdGetLock = 36, OfdSetLock = 37;
    private const short WriteLock = 1, Unlock = 2;

    /// <summary>Takes an exclusive open-file-description lock on one byte, without waiting. False if another description holds it.</summary>
    /// <exception cref="LinuxException">The file system cannot lock, or the file is not open for writing.</exception>
    internal static bool TryLockByte(SafeFileHandle file, long offset, string name)
    {
        var range = new LockRange { Type = WriteLock, Start = offset, Length = 1 };
        while (FcntlLock(file, OfdSetLock, ref range) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Intr: continue;
                case Errno.Again or Errno.Acces: return false;
                default: throw Failed("lock " + name);
            }
        }
        return true;
    }

    /// <summary>Gives one byte's lock back.</summary>
    /// <exception cref="LinuxException">The call failed.</exception>
    internal static void UnlockByte(SafeFileHandle file, long offset, string name)
    {
        var range = new LockRange { Type = Unlock, Start = offset, Length = 1 };
        if (FcntlLock(file, OfdSetLock, ref range) != 0) throw Failed("unlock " + name);
    }

    /// <summary>True if another open file description, of this or any process, holds a lock on the byte. Changes nothing.</summary>
    /// <exception cref="LinuxException">The file system cannot lock.</exception>
    internal static bool IsByteLocked(SafeFileHandle file, long offset, string name)
    {
        var range = new LockRange { Type = WriteLock, Start = offset, Length = 1 };
        if (FcntlLock(file, OfdGetLock, ref range) != 0) throw Failed("probe " + name);
        return range.Type != Unlock;
    }

    /// <summary>Takes everything from an offset on.</summary>
    /// <exception cref="LinuxException">Another holds a part of it, or the file system cannot lock.</exception>
    internal static void LockFrom(SafeFileHandle file, long offset, string name)
    {
        var range = new LockRange { Type = WriteLock, Start = offset };
        if (FcntlLock(file, OfdSetLock, ref range) != 0) throw Failed("lock " + name);
    }

    /// <summary>Gives a range back; what is held around it stays held.</summary>
    /// <exception cref="LinuxException">The call failed.</exception>
    internal static void UnlockRange(SafeFileHandle file, long offset, long length, string name)
    {
        var range = new LockRange { Type = Unlock, Start = offset, Length = length };
        if (FcntlLock(file, OfdSetLock, ref range) != 0) throw Failed("unlock " + name);
    }

    /// <summary>Where what another open file description holds from an offset on begins; null if nothing is held there.</summary>
    /// <exception cref="LinuxException">The file system cannot lock.</exception>
    internal static long? FirstLockedFrom(SafeFileHandle file, long offset, string name)
    {
        var range = new LockRange { Type = WriteLock, Start = offset };
        if (FcntlLock(file, OfdGetLock, ref range) != 0) throw Failed("probe " + name);
        return range.Type == Unlock ? null : range.Start;
    }

    // fcntl is variadic; Linux passes variadic arguments in registers like any others, on arm64 too.
    [LibraryImport(Name, EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FcntlLock(SafeFileHandle file, int command, ref LockRange range);

    /// <summary>struct flock, the same on 64-bit x64 and arm64. Pid must be 0 for open-file-description locks.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LockRange
    {
        internal short Type, Whence;
        internal long Start, Length;
        internal int Pid;
    }
}
