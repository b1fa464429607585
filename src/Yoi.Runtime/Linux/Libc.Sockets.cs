using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    /// <summary>What a socket file, its directory and their watch need. Names are relative to an open directory.</summary>
    internal static partial class Sockets
    {
        internal const int SolSocket = 1, SoPeerCred = 17;

        internal const uint InAttrib = 0x4, InMovedFrom = 0x40, InMovedTo = 0x80, InCreate = 0x100, InDelete = 0x200, InDeleteSelf = 0x400, InMoveSelf = 0x800;
        /// <summary>A handle on the last component itself, even if that is a symbolic link.</summary>
        /// <returns>An invalid handle if it cannot be opened; see the last error.</returns>
        internal static SafeFileHandle OpenPath(string path) => Libc.Open(path, OpenFlags.Path | OpenFlags.CloseOnExec | OpenFlags.NoFollow, 0);

        /// <summary>
        /// Whether a socket of any kind is bound to this file. Asked with a datagram socket that connects: the kernel looks for the socket, then
        /// compares the kinds, and one that listens is of another. So nobody is connected to. Null if the path is too long for an address.
        /// </summary>
        /// <param name="path">Ends with NUL.</param>
        internal static bool? IsBound(ReadOnlySpan<byte> path)
        {
            const int unix = 1, datagram = 2, head = 2, longest = 108;
            if (path.Length > longest) return null;
            Span<byte> address = stackalloc byte[head + longest];
            address.Clear();
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(address, unix);
            path.CopyTo(address[head..]);
            using var socket = new SafeFileHandle(Socket(unix, datagram | OpenFlags.CloseOnExec, 0), ownsHandle: true);
            return socket.IsInvalid || Connect(socket, address, head + path.Length) == 0 || Marshal.GetLastPInvokeError() is not (Errno.ConnectionRefused or Errno.NoEnt or Errno.NotDir);
        }

        [LibraryImport(Name, EntryPoint = "socket", SetLastError = true)]
        private static partial int Socket(int family, int kind, int protocol);

        [LibraryImport(Name, EntryPoint = "connect", SetLastError = true)]
        private static partial int Connect(SafeFileHandle socket, ReadOnlySpan<byte> address, int length);

        internal static int Notify() => InotifyInit(OpenFlags.CloseOnExec);

        internal static int WakeEvent() => EventFd(0, CloseOnExec);

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

        [LibraryImport(Name, EntryPoint = "write", SetLastError = true)]
        internal static partial nint Write(int fd, in ulong value, nuint count);

        [LibraryImport(Name, EntryPoint = "close", SetLastError = true)]
        internal static partial int Close(int fd);
    }
}
