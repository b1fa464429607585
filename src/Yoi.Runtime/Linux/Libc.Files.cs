using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    [LibraryImport(Name, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial SafeFileHandle Open(string path, int flags, uint mode);

    [LibraryImport(Name, EntryPoint = "write", SetLastError = true)]
    internal static partial nint Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, nint count);

    [LibraryImport(Name, EntryPoint = "fsync", SetLastError = true)]
    internal static partial int Fsync(SafeFileHandle file);

    [LibraryImport(Name, EntryPoint = "fdatasync", SetLastError = true)]
    internal static partial int Fdatasync(SafeFileHandle file);

    [LibraryImport(Name, EntryPoint = "ftruncate", SetLastError = true)]
    internal static partial int Ftruncate(SafeFileHandle file, long length);

    [LibraryImport(Name, EntryPoint = "fchmod", SetLastError = true)]
    internal static partial int Fchmod(SafeFileHandle file, uint mode);

    [LibraryImport(Name, EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Mkdir(string path, uint mode);

    [LibraryImport(Name, EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Unlink(string path);

    [LibraryImport(Name, EntryPoint = "geteuid")]
    internal static partial uint Geteuid();

    /// <summary>The number of the file system's kind, as in linux/magic.h.</summary>
    /// <exception cref="LinuxException">The call failed.</exception>
    internal static long FileSystemOf(SafeFileHandle file, string name = "an open file")
    {
        Span<long> buffer = stackalloc long[64]; // struct statfs begins with f_type, a word, on x64 and arm64; 120 bytes in all.
        return Fstatfs(file, buffer) == 0 ? buffer[0] : throw Failed("fstatfs " + name);
    }

    [LibraryImport(Name, EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int Fstatfs(SafeFileHandle file, Span<long> buffer);

    /// <summary>A short extended attribute as text; null if there is none.</summary>
    internal static string? Attribute(string path, string name)
    {
        Span<byte> value = stackalloc byte[64];
        return GetXattr(path, name, value, value.Length) is >= 0 and var length ? System.Text.Encoding.ASCII.GetString(value[..(int)length]) : null;
    }

    [LibraryImport(Name, EntryPoint = "getxattr", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetXattr(string path, string name, Span<byte> value, nint size);
}

/// <summary>Flags of open(2). Some of them differ between architectures.</summary>
internal static class OpenFlags
{
    internal const int ReadOnly = 0, WriteOnly = 1, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, NoTerminal = 0x100, Append = 0x400,
        NonBlock = 0x800, CloseOnExec = 0x80000, Path = 0x200000;

    internal static int Directory { get; } = IsArm ? 0x4000 : 0x10000;

    internal static int NoFollow { get; } = IsArm ? 0x8000 : 0x20000;

    /// <summary>openat2 does not add it by itself: without it a file above 2 GiB does not open.</summary>
    internal static int LargeFile { get; } = IsArm ? 0x20000 : 0x8000;

    private static bool IsArm => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
}
