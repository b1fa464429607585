using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>Messages with open files in them, between two processes that share a pair of sockets.</summary>
internal static partial class Libc
{
    /// <summary>More files than this are not sent in one message.</summary>
    internal const int MostFilesInMessage = 12;

    private const int LevelSocket = 1, Rights = 1, NoSignal = 0x4000, CloseOnExecFiles = 0x40000000, FilesCutOff = 0x8;
    private static readonly int ControlHeader = nint.Size + (2 * sizeof(int));

    /// <summary>Sends one message whole.</summary>
    /// <exception cref="LinuxException">It cannot be sent: EPIPE if nobody holds the other end.</exception>
    internal static unsafe void SendMessage(SafeFileHandle socket, ReadOnlySpan<byte> text, params ReadOnlySpan<SafeFileHandle> files)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(files.Length, MostFilesInMessage);
        var control = stackalloc byte[ControlHeader + (MostFilesInMessage * sizeof(int))];
        fixed (byte* bytes = text)
        {
            var part = new IoVector { Base = (nint)bytes, Length = text.Length };
            var message = new MessageHeader { Parts = (nint)(&part), PartCount = 1 };
            if (files.Length > 0)
            {
                message.Control = (nint)control;
                message.ControlLength = ControlHeader + (files.Length * sizeof(int));
                *(nint*)control = (nint)message.ControlLength;
                (*(int*)(control + nint.Size), *(int*)(control + nint.Size + sizeof(int))) = (LevelSocket, Rights);
                // The caller's for the length of this call.
                for (var i = 0; i < files.Length; i++) *(int*)(control + ControlHeader + (i * sizeof(int))) = (int)files[i].DangerousGetHandle();
            }
            while (SendMessage(socket, message, NoSignal) < 0)
                if (Marshal.GetLastPInvokeError() != Errno.Intr) throw Failed("sendmsg");
        }
    }

    /// <summary>Waits for the next message; a length of 0 is the end.</summary>
    /// <exception cref="LinuxException">It cannot be received whole.</exception>
    internal static unsafe (int Length, SafeFileHandle[] Files) ReceiveMessage(SafeFileHandle socket, Span<byte> buffer)
    {
        var room = ControlHeader + (MostFilesInMessage * sizeof(int));
        var control = stackalloc byte[room];
        fixed (byte* bytes = buffer)
        {
            var part = new IoVector { Base = (nint)bytes, Length = buffer.Length };
            var message = new MessageHeader { Parts = (nint)(&part), PartCount = 1, Control = (nint)control, ControlLength = room };
            nint length;
            while ((length = ReceiveMessage(socket, ref message, CloseOnExecFiles)) < 0)
                if (Marshal.GetLastPInvokeError() != Errno.Intr) throw Failed("recvmsg");
            var count = message.ControlLength > ControlHeader ? (int)(*(nint*)control - ControlHeader) / sizeof(int) : 0;
            var files = new SafeFileHandle[count];
            for (var i = 0; i < count; i++) files[i] = new SafeFileHandle(*(int*)(control + ControlHeader + (i * sizeof(int))), ownsHandle: true);
            return (message.Flags & FilesCutOff) == 0 ? ((int)length, files) : throw new LinuxException("recvmsg", Errno.MFile);
        }
    }

    /// <summary>Sends nothing more: whoever holds the other end finds the end behind what was sent.</summary>
    internal static void EndMessages(SafeFileHandle socket)
    {
        const int sending = 1;
        if (Shutdown(socket, sending) != 0 && Marshal.GetLastPInvokeError() != Errno.NotConnected) throw Failed("shutdown");
    }

    [LibraryImport(Name, EntryPoint = "shutdown", SetLastError = true)]
    private static partial int Shutdown(SafeFileHandle socket, int how);

    [LibraryImport(Name, EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(SafeFileHandle socket, in MessageHeader message, int flags);

    [LibraryImport(Name, EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessage(SafeFileHandle socket, ref MessageHeader message, int flags);

    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        internal nint Base, Length;
    }

    /// <summary>struct msghdr of glibc, the same on 64-bit x64 and arm64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        internal nint Name;
        internal uint NameLength;
        internal nint Parts, PartCount, Control, ControlLength;
        internal int Flags;
    }
}
