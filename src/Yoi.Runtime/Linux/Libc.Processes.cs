using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>One descriptor of <c>poll</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollFd
{
    internal int Fd;
    internal short Events;
    internal short Revents;
}

internal static partial class Libc
{
    internal const short PollIn = 1;

    /// <summary>Generous sizes of glibc's opaque structures: 336 and 80 bytes on x64 and arm64.</summary>
    internal const int SpawnAttributesSize = 512, SpawnActionsSize = 256, SignalSetSize = 128, SignalInfoSize = 128;

    internal const short SpawnSetSignalDefaults = 0x04, SpawnSetSignalMask = 0x08, SpawnSetSession = 0x80;

    /// <summary>The same on x64 and arm64, as are the two system call numbers.</summary>
    internal const int OpenWriteOnly = 1, OpenCreate = 0x40, OpenTruncate = 0x200, OpenAppend = 0x400, CloseOnExec = 0x80000;

    private const int PidfdSendSignalNumber = 424, PidfdOpenNumber = 434;

    // posix_spawn and its kin return the error number; they do not set errno.

    [LibraryImport(Name, EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    internal static unsafe partial int PosixSpawn(out int pid, string path, byte* actions, byte* attributes, byte** argv, byte** environment);

    [LibraryImport(Name, EntryPoint = "posix_spawnattr_init")]
    internal static unsafe partial int SpawnAttributesInit(byte* attributes);

    [LibraryImport(Name, EntryPoint = "posix_spawnattr_destroy")]
    internal static unsafe partial int SpawnAttributesDestroy(byte* attributes);

    [LibraryImport(Name, EntryPoint = "posix_spawnattr_setflags")]
    internal static unsafe partial int SpawnAttributesSetFlags(byte* attributes, short flags);

    [LibraryImport(Name, EntryPoint = "posix_spawnattr_setsigdefault")]
    internal static unsafe partial int SpawnAttributesSetSignalDefaults(byte* attributes, byte* signals);

    [LibraryImport(Name, EntryPoint = "posix_spawnattr_setsigmask")]
    internal static unsafe partial int SpawnAttributesSetSignalMask(byte* attributes, byte* signals);

    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_init")]
    internal static unsafe partial int SpawnActionsInit(byte* actions);

    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_destroy")]
    internal static unsafe partial int SpawnActionsDestroy(byte* actions);

    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_adddup2")]
    internal static unsafe partial int SpawnActionsDuplicate(byte* actions, int from, int to);

    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    internal static unsafe partial int SpawnActionsOpen(byte* actions, int fd, string path, int flags, uint mode);

    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_addchdir_np", StringMarshalling = StringMarshalling.Utf8)]
    internal static unsafe partial int SpawnActionsChangeDirectory(byte* actions, string path);

    /// <summary>glibc 2.34 and newer; older ones throw <see cref="EntryPointNotFoundException"/>.</summary>
    [LibraryImport(Name, EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    internal static unsafe partial int SpawnActionsCloseFrom(byte* actions, int first);

    /// <summary>Two connected stream sockets, close-on-exec.</summary>
    internal static unsafe (SafeSocketHandle Ours, SafeFileHandle Theirs) StreamPair()
    {
        var fds = stackalloc int[2];
        if (SocketPair(1, 1 | CloseOnExec, 0, fds) != 0) throw Failed("socketpair");
        return (new SafeSocketHandle(fds[0], ownsHandle: true), new SafeFileHandle(fds[1], ownsHandle: true));
    }

    /// <summary>Two connected sockets that keep messages apart, close-on-exec; their numbers are as high as a pipe's end.</summary>
    internal static unsafe (SafeFileHandle Ours, SafeFileHandle Theirs) MessagePair()
    {
        const int sequencedPackets = 5;
        var fds = stackalloc int[2];
        if (SocketPair(1, sequencedPackets | CloseOnExec, 0, fds) != 0) throw Failed("socketpair");
        using SafeFileHandle ours = new(fds[0], ownsHandle: true), theirs = new(fds[1], ownsHandle: true);
        return (Raised(ours), Raised(theirs));
    }

    [LibraryImport(Name, EntryPoint = "socketpair", SetLastError = true)]
    private static unsafe partial int SocketPair(int domain, int type, int protocol, int* fds);

    /// <summary>A descriptor that names the process for good; null if there is no such process.</summary>
    internal static SafeFileHandle? PidfdOpen(int pid)
    {
        var fd = PidfdCall(PidfdOpenNumber, pid, 0, 0, 0);
        return fd >= 0 ? new SafeFileHandle((nint)fd, ownsHandle: true) : null;
    }

    /// <summary>Signals the process that the descriptor names; false if it is gone.</summary>
    internal static bool PidfdSendSignal(SafeFileHandle pidfd, int signal)
    {
        var added = false;
        try
        {
            pidfd.DangerousAddRef(ref added);
            return PidfdCall(PidfdSendSignalNumber, pidfd.DangerousGetHandle(), signal, 0, 0) == 0;
        }
        finally
        {
            if (added) pidfd.DangerousRelease();
        }
    }

    /// <summary>Waits until the process that the descriptor names has ended. Signals that the waiting thread handles meanwhile do not count.</summary>
    /// <returns>False if the limit passed first.</returns>
    internal static unsafe bool PidfdWait(SafeFileHandle pidfd, TimeSpan limit)
    {
        var begun = Stopwatch.GetTimestamp();
        var poll = new PollFd { Fd = (int)pidfd.DangerousGetHandle(), Events = PollIn };
        int ready;
        do ready = Poll(&poll, 1, (int)Math.Max(0, (limit - Stopwatch.GetElapsedTime(begun)).TotalMilliseconds));
        while (ready < 0 && Marshal.GetLastPInvokeError() == Errno.Intr);
        return ready == 1;
    }

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial long PidfdCall(long number, nint a, nint b, nint c, nint d);

    [LibraryImport(Name, EntryPoint = "poll", SetLastError = true)]
    internal static unsafe partial int Poll(PollFd* fds, nuint count, int timeoutMs);

    /// <summary>Flag of an eventfd: each read takes one, not all.</summary>
    internal const int OneByOne = 1;

    [LibraryImport(Name, EntryPoint = "eventfd", SetLastError = true)]
    internal static partial int EventFd(uint initial, int flags);

    [LibraryImport(Name, EntryPoint = "eventfd_read", SetLastError = true)]
    internal static partial int EventFdRead(SafeFileHandle fd, out ulong value);

    [LibraryImport(Name, EntryPoint = "eventfd_write", SetLastError = true)]
    internal static partial int EventFdWrite(SafeFileHandle fd, ulong value);

    internal const int WaitForAny = 0, WaitByPid = 1, WaitByPidfd = 3, WaitExited = 4, WaitNoHang = 1, WaitNoReap = 0x1000000;

    private const int SetChildSubreaper = 36;

    /// <summary>From here on the orphans of this process's descendants become its own children.</summary>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    internal static void AdoptOrphans()
    {
        if (ProcessControl(SetChildSubreaper, 1, 0, 0, 0) != 0) throw Failed("prctl");
    }

    [LibraryImport(Name, EntryPoint = "prctl", SetLastError = true)]
    private static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);

    /// <summary>The same for a pid, or any child (0). <c>si_pid</c> is at byte 16.</summary>
    [LibraryImport(Name, EntryPoint = "waitid", SetLastError = true)]
    internal static unsafe partial int WaitId(int idType, int id, byte* information, int options);

    /// <summary>False if this process has no children, ended ones included: then nothing lives below it at all.</summary>
    internal static unsafe bool HasChildren()
    {
        var information = stackalloc byte[SignalInfoSize];
        return WaitId(WaitForAny, 0, information, WaitExited | WaitNoHang | WaitNoReap) == 0 || Marshal.GetLastPInvokeError() != Errno.NoChild;
    }

    /// <summary>Waits until a child of this process has ended and leaves it unreaped; 0 if there are no children.</summary>
    /// <exception cref="LinuxException">The call failed.</exception>
    internal static unsafe int PeekEnded()
    {
        var information = stackalloc byte[SignalInfoSize];
        while (WaitId(WaitForAny, 0, information, WaitExited | WaitNoReap) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Errno.Intr: continue;
                case Errno.NoChild: return 0;
                default: throw Failed("waitid");
            }
        }
        return *(int*)(information + 16); // si_pid
    }

    /// <summary>Reaps a child that has ended: <c>si_code</c> and <c>si_status</c>.</summary>
    internal static unsafe (int Code, int Status) Reap(int pid)
    {
        var information = stackalloc byte[SignalInfoSize];
        return WaitId(WaitByPid, pid, information, WaitExited) == 0 ? (*(int*)(information + 8), *(int*)(information + 24)) : throw Failed("waitid");
    }

    /// <summary>Reaps our own child. <c>si_code</c> is at byte 8 of the information, <c>si_status</c> at byte 24.</summary>
    [LibraryImport(Name, EntryPoint = "waitid", SetLastError = true)]
    internal static unsafe partial int WaitId(int idType, SafeFileHandle id, byte* information, int options);

    /// <summary>The path without links, or null (errno says why).</summary>
    internal static unsafe string? RealPath(string path)
    {
        var buffer = stackalloc byte[4096];
        return RealPath(path, buffer) == 0 ? null : Marshal.PtrToStringUTF8((nint)buffer);
    }

    [LibraryImport(Name, EntryPoint = "realpath", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static unsafe partial nint RealPath(string path, byte* resolved);

    /// <summary>From here on this process and its children leave no core file, and none is handed to a program that collects them.</summary>
    /// <exception cref="LinuxException">The kernel refuses it.</exception>
    internal static void ForbidCoreDumps()
    {
        const int core = 4;
        // struct rlimit: soft, hard; 64 bits each on x64 and arm64. Not 0, which does not hold where `core_pattern` is a pipe: 1 is too little for
        // any file, and the one value at which the kernel pipes nothing either (fs/coredump.c).
        ReadOnlySpan<ulong> none = [1, 1];
        if (SetLimit(core, none) != 0) throw Failed("setrlimit RLIMIT_CORE");
    }

    [LibraryImport(Name, EntryPoint = "setrlimit", SetLastError = true)]
    private static partial int SetLimit(int resource, ReadOnlySpan<ulong> limit);
}
