using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>What the kernel says a path or descriptor is: <c>struct statx</c>, the same on every architecture.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal readonly struct FileIdentity
{
    [FieldOffset(16)] internal readonly uint Links;
    [FieldOffset(20)] internal readonly uint Uid;
    [FieldOffset(28)] private readonly ushort _mode;
    [FieldOffset(32)] internal readonly ulong Inode;
    [FieldOffset(40)] internal readonly long Size;
    [FieldOffset(112)] private readonly long _seconds;
    [FieldOffset(120)] private readonly uint _nanoseconds;
    [FieldOffset(136)] internal readonly uint DeviceMajor;
    [FieldOffset(140)] internal readonly uint DeviceMinor;

    internal bool IsDirectory => (_mode & 0xF000) == 0x4000;
    internal bool IsFile => (_mode & 0xF000) == 0x8000;
    internal bool IsLink => (_mode & 0xF000) == 0xA000;

    /// <summary>The twelve permission bits.</summary>
    internal int Permissions => _mode & 0xFFF;

    /// <summary>True if both are one inode. Holds only while somebody keeps one of them open: a freed inode's number is used again.</summary>
    internal bool IsSameFile(in FileIdentity other) =>
        Inode == other.Inode && DeviceMajor == other.DeviceMajor && DeviceMinor == other.DeviceMinor;

    /// <summary>One inode, and of the same size and time.</summary>
    internal bool IsSameContent(in FileIdentity other) =>
        IsSameFile(other) && Size == other.Size && _seconds == other._seconds && _nanoseconds == other._nanoseconds;
}

internal static partial class Libc
{
    private const int CurrentDirectory = -100, EmptyPath = 0x1000, DoNotFollow = 0x100;
    private const uint BasicStats = 0x7ff;
    private const int LockExclusive = 2, LockWithoutWaiting = 4;

    /// <summary>Asks what a path is, not following a link at its end. The error number, or 0.</summary>
    internal static int Identify(string path, out FileIdentity identity) =>
        Statx(CurrentDirectory, path, DoNotFollow, BasicStats, out identity) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Asks what is behind a path, following links. The error number, or 0.</summary>
    internal static int IdentifyTarget(string path, out FileIdentity identity) =>
        Statx(CurrentDirectory, path, 0, BasicStats, out identity) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <exception cref="LinuxException">The kernel does not say.</exception>
    internal static FileIdentity Identify(SafeFileHandle file)
    {
        var held = false;
        try
        {
            file.DangerousAddRef(ref held);
            return Statx((int)file.DangerousGetHandle(), "", EmptyPath, BasicStats, out var identity) == 0 ? identity : throw Failed("statx");
        }
        finally
        {
            if (held) file.DangerousRelease();
        }
    }

    /// <summary>Takes the exclusive flock; false if another open file holds it.</summary>
    /// <exception cref="LinuxException">Locks do not work here (ENOLCK and the like): never to be read as "not held".</exception>
    internal static bool TryFlock(SafeFileHandle file)
    {
        while (true)
        {
            if (Flock(file, LockExclusive | LockWithoutWaiting) == 0) return true;
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Intr: continue;
                case Errno.Again: return false;
                default: throw Failed("flock");
            }
        }
    }

    /// <summary>The flags of FS_IOC_GETFLAGS; null where the file system has none.</summary>
    internal static long? InodeFlags(SafeFileHandle file)
    {
        const nuint getFlags = 0x80086601;
        var flags = 0L;
        return Ioctl(file, getFlags, ref flags) == 0 ? flags & 0xffffffff : null;
    }

    /// <summary>Writes the resolved path into the buffer (4096 bytes); 0 if it cannot be resolved.</summary>
    [LibraryImport(Name, EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint RealPath(string path, Span<byte> buffer);

    [LibraryImport(Name, EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(SafeFileHandle file, nuint request, ref long argument);

    [LibraryImport(Name, EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Rename(string from, string to);

    [LibraryImport(Name, EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int HardLink(string existing, string name);

    [LibraryImport(Name, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, out FileIdentity identity);

    [LibraryImport(Name, EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
