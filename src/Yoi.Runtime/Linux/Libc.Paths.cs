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

    [LibraryImport(Name, EntryPoint = "readlinkat", SetLastError = true)]
    internal static partial nint ReadLinkAt(SafeFileHandle directory, ReadOnlySpan<byte> path, Span<byte> target, nint size);

    [LibraryImport(Name, EntryPoint = "getdents64", SetLastError = true)]
    internal static partial nint ReadEntries(SafeFileHandle directory, Span<byte> buffer, nint size);

    [LibraryImport(Name, EntryPoint = "mkdirat", SetLastError = true)]
    internal static partial int MakeDirectoryAt(SafeFileHandle directory, ReadOnlySpan<byte> path, uint mode);

    [LibraryImport(Name, EntryPoint = "renameat", SetLastError = true)]
    internal static partial int RenameAt(SafeFileHandle fromDirectory, ReadOnlySpan<byte> from, SafeFileHandle toDirectory, ReadOnlySpan<byte> to);

    /// <summary>Renames within a directory; fails with EEXIST if the new name is taken, with EINVAL where the file system cannot say.</summary>
    internal static int RenameWithoutReplacing(SafeFileHandle directory, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        const uint noReplace = 1;
        return RenameAt2(directory, from, directory, to, noReplace);
    }

    [LibraryImport(Name, EntryPoint = "renameat2", SetLastError = true)]
    private static partial int RenameAt2(SafeFileHandle fromDirectory, ReadOnlySpan<byte> from, SafeFileHandle toDirectory, ReadOnlySpan<byte> to, uint flags);

    [LibraryImport(Name, EntryPoint = "linkat", SetLastError = true)]
    internal static partial int LinkAt(SafeFileHandle fromDirectory, ReadOnlySpan<byte> from, SafeFileHandle toDirectory, ReadOnlySpan<byte> to, int flags);

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
