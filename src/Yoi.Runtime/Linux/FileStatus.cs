using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>What the kernel says of a file: the part of <c>struct statx</c> that is used. Its layout is the same on every architecture; that of fstat's is not.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal readonly struct FileStatus
{
    [FieldOffset(16)] internal readonly uint Links;
    [FieldOffset(20)] internal readonly uint Owner;
    [FieldOffset(24)] internal readonly uint Group;
    [FieldOffset(28)] internal readonly ushort Mode;
    [FieldOffset(32)] internal readonly ulong Inode;
    [FieldOffset(40)] internal readonly long Size;
    [FieldOffset(80)] private readonly long _bornSeconds;
    [FieldOffset(88)] private readonly uint _bornNanoseconds;
    [FieldOffset(96)] private readonly long _changedSeconds;
    [FieldOffset(104)] private readonly uint _changedNanoseconds;
    [FieldOffset(112)] internal readonly long ModifiedSeconds;
    [FieldOffset(120)] internal readonly uint ModifiedNanoseconds;
    [FieldOffset(136)] internal readonly uint DeviceMajor;
    [FieldOffset(140)] internal readonly uint DeviceMinor;

    /// <summary>Of the mount that it was found on a number that none before or after has; 0 before Linux 6.8.</summary>
    [FieldOffset(144)] internal readonly ulong Mount;

    internal ulong Device => ((ulong)DeviceMajor << 32) | DeviceMinor;

    internal int Type => Mode & 0xf000;

    internal bool IsFile => Type == 0x8000;

    internal bool IsDirectory => Type == 0x4000;

    internal bool IsLink => Type == 0xa000;

    internal bool IsSocket => Type == 0xc000;

    /// <summary>The twelve permission bits.</summary>
    internal int Permissions => Mode & 0xfff;

    internal DateTimeOffset Modified => DateTimeOffset.UnixEpoch.AddTicks((ModifiedSeconds * TimeSpan.TicksPerSecond) + (ModifiedNanoseconds / 100));

    /// <summary>When the inode was last changed in any way; no program can set it.</summary>
    internal DateTimeOffset Changed => DateTimeOffset.UnixEpoch.AddTicks((_changedSeconds * TimeSpan.TicksPerSecond) + (_changedNanoseconds / 100));

    /// <summary>When the inode was made, in nanoseconds; 0 where the file system does not know. Tells a number that is used again from its first owner.</summary>
    internal long Born => (_bornSeconds * 1_000_000_000) + _bornNanoseconds;

    internal FileVersion Version => new(Device, Inode, _changedSeconds, _changedNanoseconds);

    /// <summary>True if both are one inode. Holds only while somebody keeps one of them open: a freed inode's number is used again.</summary>
    internal bool IsSameFile(in FileStatus other) => Device == other.Device && Inode == other.Inode;

    /// <summary>One inode, and nobody wrote to it between.</summary>
    internal bool IsUnchanged(in FileStatus other) => IsSameFile(other) && Size == other.Size
        && ModifiedSeconds == other.ModifiedSeconds && ModifiedNanoseconds == other.ModifiedNanoseconds;
}

/// <summary>Another for every file, and for a file that was changed in any way.</summary>
internal readonly record struct FileVersion(ulong Device, ulong Inode, long Seconds, uint Nanoseconds)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Device:x}-{Inode:x}-{Seconds:x}-{Nanoseconds:x}");
}

internal static partial class Libc
{
    private const int CurrentDirectory = -100, EmptyPath = 0x1000, DoNotFollow = 0x100;
    private const uint UniqueMount = 0x4000, BasicStatus = 0xfff | UniqueMount; // Kernels pass over what they do not know.

    /// <summary>Asks what a path is, not following a link at its end. The error number, or 0.</summary>
    internal static int Identify(string path, out FileStatus status) =>
        StatusOf(CurrentDirectory, path, DoNotFollow, BasicStatus, out status) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Asks what is behind a path, following links. The error number, or 0.</summary>
    internal static int IdentifyTarget(string path, out FileStatus status) =>
        StatusOf(CurrentDirectory, path, 0, BasicStatus, out status) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Asks about an open file.</summary>
    /// <param name="name">What the failure calls it.</param>
    /// <exception cref="LinuxException">The kernel does not say.</exception>
    internal static FileStatus Identify(SafeFileHandle file, string name = "an open file") =>
        TryStatAt(file, "\0"u8, out var status, out _) ? status : throw Failed("statx " + name);

    /// <summary>What a name in a directory is; the empty path asks about the handle itself. Links are not followed.</summary>
    internal static bool TryStatAt(SafeFileHandle directory, ReadOnlySpan<byte> path, out FileStatus status, out int error)
    {
        var done = StatusAt(directory, path, EmptyPath | DoNotFollow, BasicStatus, out status) == 0;
        error = done ? 0 : Marshal.GetLastPInvokeError();
        return done;
    }

    [LibraryImport(Name, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatusOf(int directory, string path, int flags, uint mask, out FileStatus status);

    [LibraryImport(Name, EntryPoint = "statx", SetLastError = true)]
    private static partial int StatusAt(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags, uint mask, out FileStatus status);
}
