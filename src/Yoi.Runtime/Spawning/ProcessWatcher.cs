using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>How a process ended: its exit code or signal; neither if it was not our child.</summary>
/// <param name="OutOfMemory">True if the kernel killed it because memory ran out.</param>
internal sealed record ProcessExit(int? Code, int? Signal, bool OutOfMemory = false)
{
    /// <summary>The end reason of a Pod that wrote none itself.</summary>
    internal (PodEnd Reason, string? Detail) AsEnd() => (Code, Signal) switch
    {
        (0, _) => (PodEnd.Exited, null),
        ({ } code, _) => (PodEnd.Crashed, $"exit code {code}"),
        (_, { }) when OutOfMemory => (PodEnd.Killed, "out of memory: the kernel ended it"),
        (_, { } signal) => (PodEnd.Crashed, $"signal {signal}"),
        _ => (PodEnd.Lost, "exit status not observable"),
    };

    public override string ToString() => (Code, Signal) switch
    {
        ({ } code, _) => $"exit code {code}",
        (_, { } signal) => $"signal {signal}",
        _ => "exit status not observable",
    };
}

/// <summary>
/// Learns of the end of processes: one thread of this process sleeps in <c>poll</c> over their pidfds and reaps those that
/// are our own children. Starts with the first process, wakes for nothing else.
/// </summary>
internal static class ProcessWatcher
{
    private const int StackSize = 128 * 1024;

    private static readonly Lock Gate = new();
    private static readonly List<Watched> All = [];
    private static SafeFileHandle? _wake;
    private static long? _outOfMemory; // Under the lock, like all that ends.

    /// <summary>One process under watch.</summary>
    internal sealed class Watched(SafeFileHandle pidfd, int pid)
    {
        internal int Pid { get; } = pid;
        internal SafeFileHandle Pidfd { get; } = pidfd;
        internal TaskCompletionSource<ProcessExit> Exit { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>
    /// Set in a Pod's process: the Pods of a Pod below it that dies become its children, so that their ends can be seen, too. Whoever
    /// starts other programs by other means must not set it: this thread would take their ends away.
    /// </summary>
    internal static bool AdoptsOrphans { get; set; }

    /// <summary>Does this while no process is reaped: a child that is started and watched in there is missed by nobody, however soon it ends.</summary>
    internal static T WhileNothingIsReaped<T>(Func<T> start)
    {
        lock (Gate) return start();
    }

    /// <summary>Watches a process until it ends or is forgotten. Keeps the descriptor open as long.</summary>
    /// <exception cref="LinuxException">No thread can be had to watch it.</exception>
    internal static Watched Watch(SafeFileHandle pidfd, int pid)
    {
        var added = false;
        var watched = new Watched(pidfd, pid);
        lock (Gate)
        {
            if (_wake is null) Start_NeedsLock();
            pidfd.DangerousAddRef(ref added);
            All.Add(watched);
        }
        Wake();
        return watched;
    }

    /// <summary>Stops watching; the process, if it is our child, is then reaped by nobody.</summary>
    internal static void Forget(Watched watched)
    {
        lock (Gate)
        {
            if (!All.Remove(watched)) return;
        }
        watched.Pidfd.DangerousRelease();
        Wake();
    }

    private static void Start_NeedsLock()
    {
        var fd = Libc.EventFd(0, Libc.CloseOnExec);
        if (fd < 0) throw Libc.Failed("eventfd");
        _wake = new SafeFileHandle(fd, ownsHandle: true);
        _outOfMemory = OutOfMemory.Count();
        try
        {
            new Thread(Loop, StackSize) { IsBackground = true, Name = "process watcher" }.Start();
        }
        catch (OutOfMemoryException) // What the runtime calls it when there is no thread. The next process begins anew.
        {
            _wake.Dispose();
            _wake = null;
            throw new LinuxException("start a thread", Errno.Again);
        }
    }

    private static void Wake()
    {
        if (Libc.EventFdWrite(_wake!, 1) != 0) throw Libc.Failed("eventfd_write");
    }

    private static void Loop()
    {
        while (true)
        {
            Watched[] now;
            lock (Gate) now = [.. All];
            foreach (var ended in WaitForEnds(now)) End(ended);
        }
    }

    /// <summary>Sleeps until something ended or the list changed.</summary>
    private static unsafe List<Watched> WaitForEnds(Watched[] now)
    {
        var fds = new PollFd[now.Length + 1];
        fds[0] = new PollFd { Fd = (int)_wake!.DangerousGetHandle(), Events = Libc.PollIn };
        for (var i = 0; i < now.Length; i++) fds[i + 1] = new PollFd { Fd = (int)now[i].Pidfd.DangerousGetHandle(), Events = Libc.PollIn };
        int ready;
        fixed (PollFd* first = fds) ready = Libc.Poll(first, (nuint)fds.Length, -1);
        if (ready <= 0) return [];
        if (fds[0].Revents != 0 && Libc.EventFdRead(_wake, out _) != 0) throw Libc.Failed("eventfd_read");
        return [.. now.Where((_, i) => fds[i + 1].Revents != 0)];
    }

    private static void End(Watched watched)
    {
        Watched[] same;
        ProcessExit exit;
        lock (Gate)
        {
            // Forgotten between the poll and here: the number may name another file by now.
            if (!All.Contains(watched)) return;
            exit = Reap(watched.Pidfd);
            // A child is reaped once: all who watch it learn the same. Until then its pid was its own; that of a process that is not ours may be another's by now.
            var isOurs = exit is not { Code: null, Signal: null };
            same = [.. All.Where(other => other == watched || (isOurs && other.Pid == watched.Pid))];
            foreach (var one in same) All.Remove(one);
            if (AdoptsOrphans) ReapStrangers_NeedsLock();
        }
        foreach (var one in same)
        {
            one.Exit.TrySetResult(exit);
            one.Pidfd.DangerousRelease();
        }
    }

    /// <summary>
    /// An orphan that came to us, being the nearest above that lives, and that nobody watches: it must not stay a zombie. One that is
    /// watched is left to its own turn.
    /// </summary>
    private static unsafe void ReapStrangers_NeedsLock()
    {
        var information = stackalloc byte[Libc.SignalInfoSize];
        while (true)
        {
            new Span<byte>(information, Libc.SignalInfoSize).Clear();
            if (Libc.WaitId(Libc.WaitForAny, 0, information, Libc.WaitExited | Libc.WaitNoHang | Libc.WaitNoReap) != 0) return;
            var pid = *(int*)(information + 16);
            if (pid == 0 || All.Any(watched => watched.Pid == pid)) return;
            if (Libc.WaitId(Libc.WaitByPid, pid, information, Libc.WaitExited | Libc.WaitNoHang) != 0) return;
        }
    }

    private static bool MemoryRanOut()
    {
        var (before, now) = (_outOfMemory, OutOfMemory.Count());
        _outOfMemory = now;
        return now > before;
    }

    private static unsafe ProcessExit Reap(SafeFileHandle pidfd)
    {
        var information = stackalloc byte[Libc.SignalInfoSize];
        new Span<byte>(information, Libc.SignalInfoSize).Clear();
        if (Libc.WaitId(Libc.WaitByPidfd, pidfd, information, Libc.WaitExited | Libc.WaitNoHang) != 0) return new ProcessExit(null, null);
        var (code, status) = (*(int*)(information + 8), *(int*)(information + 24));
        return code switch
        {
            1 => new ProcessExit(status, null), // CLD_EXITED
            2 or 3 => new ProcessExit(null, status, status == Libc.SigKill && MemoryRanOut()), // CLD_KILLED, CLD_DUMPED
            _ => new ProcessExit(null, null),
        };
    }
}
