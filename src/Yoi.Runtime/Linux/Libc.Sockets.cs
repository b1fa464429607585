using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    /// <summary>What a socket file, its directory and their watch need. Names are relative to an open directory.</summary>
    internal static partial class Sockets
    {
        internal const int AtFdCwd = -100, AtSymlinkNoFollow = 0x100, AtEmptyPath = 0x1000;
        internal const uint StatxBasic = 0x7ff;
        internal const int TypeMask = 0xF000, TypeSocket = 0xC000, TypeLink = 0xA000, TypeDirectory = 0x4000;
        internal const int SolSocket = 1, SoPeerCred = 17;

        internal const uint InAttrib = 0x4, InMovedFrom = 0x40, InMovedTo = 0x80, InCreate = 0x100, InDelete = 0x200, InDeleteSelf = 0x400, InMoveSelf = 0x800;
        internal const short PollIn = 1;

        private const int OPath = 0x200000;

        /// <summary>A handle on the last component itself, even if that is a symbolic link.</summary>
        /// <returns>An invalid handle if it cannot be opened; see the last error.</returns>
        internal static SafeFileHandle OpenPath(string path) => Libc.Open(path, OPath | OpenFlags.CloseOnExec | OpenFlags.NoFollow, 0);

        internal static int Notify() => InotifyInit(OpenFlags.CloseOnExec);

        internal static int WakeEvent() => EventFd(0, OpenFlags.CloseOnExec);

        [LibraryImport(Name, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int Statx(SafeHandle directory, string name, int flags, uint mask, out Identity identity);

        [LibraryImport(Name, EntryPoint = "renameat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int RenameAt(SafeHandle from, string oldName, SafeHandle to, string newName);

        [LibraryImport(Name, EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int UnlinkAt(SafeHandle directory, string name, int flags);

        [LibraryImport(Name, EntryPoint = "fchmodat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int ChmodAt(SafeHandle directory, string name, uint mode, int flags);

        [LibraryImport(Name, EntryPoint = "inotify_init1", SetLastError = true)]
        private static partial int InotifyInit(int flags);

        [LibraryImport(Name, EntryPoint = "inotify_add_watch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        internal static partial int InotifyAdd(int notify, string path, uint mask);

        [LibraryImport(Name, EntryPoint = "eventfd", SetLastError = true)]
        private static partial int EventFd(uint initial, int flags);

        [LibraryImport(Name, EntryPoint = "write", SetLastError = true)]
        internal static partial nint Write(int fd, in ulong value, nuint count);

        [LibraryImport(Name, EntryPoint = "poll", SetLastError = true)]
        internal static unsafe partial int Poll(PollFd* fds, nuint count, int timeout);

        [LibraryImport(Name, EntryPoint = "close", SetLastError = true)]
        internal static partial int Close(int fd);

        /// <summary>The head of <c>struct statx</c>, which is laid out alike on every machine.</summary>
        [StructLayout(LayoutKind.Explicit, Size = 256)]
        internal struct Identity
        {
            [FieldOffset(20)] internal uint Uid;
            [FieldOffset(28)] internal ushort Mode;
            [FieldOffset(32)] internal ulong Inode;
            [FieldOffset(136)] internal uint DeviceMajor;
            [FieldOffset(140)] internal uint DeviceMinor;

            internal readonly int Type => Mode & TypeMask;
            internal readonly int Permissions => Mode & 0xFFF;

            internal readonly bool IsSameFile(in Identity other) =>
                Inode == other.Inode && DeviceMajor == other.DeviceMajor && DeviceMinor == other.DeviceMinor;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct PollFd
        {
            internal int Fd;
            internal short Events, Returned;
        }
    }
}
