using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>Calls that name a file relative to an open directory. Paths are bytes that end with NUL.</summary>
internal static partial class Libc
{
    /// <summary>The same number on x64 and arm64.</summary>
    private const nint OpenAt2Number = 437;

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial nint OpenAt2(nint number, SafeFileHandle directory, ReadOnlySpan<byte> path, in OpenHow how, nint size);

    [LibraryImport(Name, EntryPoint = "open", SetLastError = true)]
    private static partial int OpenPath(ReadOnlySpan<byte> path, int flags, uint mode);

    [LibraryImport(Name, EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAt(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags, uint mode);

    [LibraryImport(Name, EntryPoint = "statx", SetLastError = true)]
    private static partial int StatAt(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags, uint mask, out PathStatus status);

    [LibraryImport(Name, EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int FileSystemStatus(SafeFileHandle file, Span<byte> buffer);

    [LibraryImport(Name, EntryPoint = "readlinkat", SetLastError = true)]
    internal static partial nint ReadLinkAt(SafeFileHandle directory, ReadOnlySpan<byte> path, Span<byte> target, nint size);

    [LibraryImport(Name, EntryPoint = "getdents64", SetLastError = true)]
    internal static partial nint ReadEntries(SafeFileHandle directory, Span<byte> buffer, nint size);

    [LibraryImport(Name, EntryPoint = "mkdirat", SetLastError = true)]
    internal static partial int MakeDirectoryAt(SafeFileHandle directory, ReadOnlySpan<byte> path, uint mode);

    [LibraryImport(Name, EntryPoint = "renameat", SetLastError = true)]
    internal static partial int RenameAt(SafeFileHandle fromDirectory, ReadOnlySpan<byte> from, SafeFileHandle toDirectory, ReadOnlySpan<byte> to);

    [LibraryImport(Name, EntryPoint = "unlinkat", SetLastError = true)]
    internal static partial int UnlinkAt(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags);

    [LibraryImport(Name, EntryPoint = "fchown", SetLastError = true)]
    internal static partial int ChangeOwner(SafeFileHandle file, uint owner, uint group);

    /// <summary>openat2, the only open that can promise to stay beneath a directory. Null and the error number if it fails.</summary>
    internal static SafeFileHandle? TryOpenBeneath(SafeFileHandle directory, ReadOnlySpan<byte> path, in OpenHow how, out int error) =>
        Opened((int)OpenAt2(OpenAt2Number, directory, path, how, Marshal.SizeOf<OpenHow>()), out error);

    internal static SafeFileHandle? TryOpenAt(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags, uint mode, out int error) =>
        Opened(OpenAt(directory, path, flags, mode), out error);

    /// <summary>The handle on <c>/</c> that all else is opened from.</summary>
    /// <exception cref="LinuxException">There is none.</exception>
    internal static SafeFileHandle OpenSlash() =>
        Opened(OpenPath("/\0"u8, OpenFlags.Path | OpenFlags.Directory | OpenFlags.CloseOnExec, 0), out _) ?? throw Failed("open /");

    /// <summary>What a name in a directory is; the empty path asks about the handle itself. Links are not followed.</summary>
    internal static bool TryStatAt(SafeFileHandle directory, ReadOnlySpan<byte> path, out PathStatus status, out int error)
    {
        const int emptyPath = 0x1000, doNotFollow = 0x100;
        var done = StatAt(directory, path, emptyPath | doNotFollow, PathStatus.Basic, out status) == 0;
        error = done ? 0 : Marshal.GetLastPInvokeError();
        return done;
    }

    /// <summary>The file system's number, as in linux/magic.h: the first word of struct statfs on x64 and arm64.</summary>
    internal static long FileSystemKind(SafeFileHandle file)
    {
        Span<byte> buffer = stackalloc byte[256];
        return FileSystemStatus(file, buffer) == 0 ? MemoryMarshal.Read<long>(buffer) : throw Failed("fstatfs");
    }

    private static SafeFileHandle? Opened(int descriptor, out int error)
    {
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }
}

/// <summary>struct open_how of openat2(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct OpenHow(int flags, uint mode, ulong resolve)
{
    internal const ulong NoMagicLinks = 0x02, NoLinks = 0x04, Beneath = 0x08;

    internal readonly ulong Flags = (uint)flags;
    internal readonly ulong Mode = mode;
    internal readonly ulong Resolve = resolve;
}

/// <summary>The part of struct statx that is used; its layout is the same on all architectures.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct PathStatus
{
    internal const uint Basic = 0x7ff;

    [FieldOffset(16)] internal uint Links;
    [FieldOffset(20)] internal uint Owner;
    [FieldOffset(24)] internal uint Group;
    [FieldOffset(28)] internal ushort Mode;
    [FieldOffset(32)] internal ulong Inode;
    [FieldOffset(40)] internal long Size;
    [FieldOffset(112)] internal long ModifiedSeconds;
    [FieldOffset(120)] internal uint ModifiedNanoseconds;
    [FieldOffset(136)] private uint _deviceMajor;
    [FieldOffset(140)] private uint _deviceMinor;

    internal readonly ulong Device => ((ulong)_deviceMajor << 32) | _deviceMinor;

    internal readonly int Type => Mode & 0xf000;

    internal readonly bool IsFile => Type == 0x8000;

    internal readonly bool IsDirectory => Type == 0x4000;

    internal readonly bool IsLink => Type == 0xa000;

    internal readonly DateTimeOffset Modified =>
        DateTimeOffset.UnixEpoch.AddTicks((ModifiedSeconds * TimeSpan.TicksPerSecond) + (ModifiedNanoseconds / 100));

    internal readonly bool IsSameFile(in PathStatus other) => Device == other.Device && Inode == other.Inode;

    /// <summary>One inode, and nobody wrote to it between.</summary>
    internal readonly bool IsUnchanged(in PathStatus other) => IsSameFile(other) && Size == other.Size
        && ModifiedSeconds == other.ModifiedSeconds && ModifiedNanoseconds == other.ModifiedNanoseconds;
}
