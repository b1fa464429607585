using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

internal static partial class Libc
{
    private const int DuplicateCloseOnExec = 1030, LowestOfOurs = 64;
    private const int GetFlags = 3, SetFlags = 4, SetOwner = 8, SetSignal = 10, SignalWhenReady = 0x2000 /* O_ASYNC, on x64 and arm64 */;

    /// <summary>
    /// A pipe, close-on-exec; its ends have high numbers, so that none is in the way of the numbers that a started program is given.
    /// </summary>
    /// <exception cref="LinuxException">There are no descriptors left.</exception>
    internal static unsafe (SafeFileHandle Read, SafeFileHandle Write) Pipe()
    {
        var fds = stackalloc int[2];
        if (Pipe2(fds, CloseOnExec) != 0) throw Failed("pipe2");
        using var low = new SafeFileHandle(fds[0], ownsHandle: true);
        using var lowWrite = new SafeFileHandle(fds[1], ownsHandle: true);
        var read = Raised(low);
        try
        {
            return (read, Raised(lowWrite));
        }
        catch (LinuxException)
        {
            read.Dispose();
            throw;
        }
    }

    /// <summary>A file without a name that holds these bytes, open at its beginning; the same in its number as a pipe's end.</summary>
    /// <exception cref="LinuxException">There is no memory or no descriptor left.</exception>
    internal static SafeFileHandle MemoryFile(byte[] bytes)
    {
        using var low = new SafeFileHandle(MemFdCreate("yoi", 1), ownsHandle: true);
        if (low.IsInvalid) throw Failed("memfd_create");
        RandomAccess.Write(low, bytes, 0);
        return Raised(low);
    }

    [LibraryImport(Name, EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int MemFdCreate(string name, uint flags);

    /// <summary>Another descriptor of the same open file, close-on-exec; its number is as high as a pipe's end.</summary>
    /// <exception cref="LinuxException">There are no descriptors left.</exception>
    internal static SafeFileHandle Raised(SafeFileHandle file)
    {
        var fd = FcntlNumber(file, DuplicateCloseOnExec, LowestOfOurs);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw Failed("fcntl");
    }

    /// <summary>Chooses what the kernel sends to whom when a pipe is written to, or its last writer is gone; nothing until <see cref="SignalFrom"/>.</summary>
    /// <exception cref="LinuxException">The kernel refuses it.</exception>
    internal static void ChooseSignalOf(SafeFileHandle reader, int pid, int signal)
    {
        if (FcntlNumber(reader, SetSignal, signal) < 0 || FcntlNumber(reader, SetOwner, pid) < 0) throw Failed("fcntl");
    }

    /// <summary>From here on it is sent, as long as anybody has this open file.</summary>
    /// <exception cref="LinuxException">The kernel refuses it.</exception>
    internal static void SignalFrom(SafeFileHandle reader)
    {
        if (FcntlNumber(reader, SetFlags, FcntlNumber(reader, GetFlags, 0) | SignalWhenReady) < 0) throw Failed("fcntl");
    }

    /// <summary>Reading what is not there is an error from here on, and waits for nothing.</summary>
    internal static void DoNotWait(SafeFileHandle file)
    {
        if (FcntlNumber(file, SetFlags, FcntlNumber(file, GetFlags, 0) | OpenFlags.NonBlock) != 0) throw Failed("fcntl");
    }

    [LibraryImport(Name, EntryPoint = "pipe2", SetLastError = true)]
    private static unsafe partial int Pipe2(int* fds, int flags);

    [LibraryImport(Name, EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FcntlNumber(SafeFileHandle file, int command, nint argument);

    /// <summary>Reads what is there; 0 at the end, below 0 on an error.</summary>
    [LibraryImport(Name, EntryPoint = "read", SetLastError = true)]
    internal static partial nint Read(SafeFileHandle file, Span<byte> buffer, nint count);
}
