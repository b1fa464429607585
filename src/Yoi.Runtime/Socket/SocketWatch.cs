using Yoi.Runtime.Linux;
using Sys = Yoi.Runtime.Linux.Libc.Sockets;

namespace Yoi.Runtime.Socket;

/// <summary>
/// Notices that a socket file went away (logout removes the runtime directory under living Pods) and asks for it to be
/// made again. Owns one thread that sleeps in the kernel: it watches the socket's own inode and its directory, so that
/// other Pods' coming and going wakes nobody; while the file cannot be made, the nearest directory that exists.
/// </summary>
internal sealed unsafe class SocketWatch : IDisposable
{
    private readonly string _path;
    private readonly Func<bool> _restore;
    private readonly int _wake = Sys.WakeEvent();
    private readonly Thread _thread;
    private volatile bool _stopped;

    /// <param name="restore">Puts the file back if it is gone; false if that is not possible now. Must not throw.</param>
    internal SocketWatch(string path, Func<bool> restore)
    {
        _path = path;
        _restore = restore;
        _thread = new Thread(Watch, maxStackSize: 256 * 1024) { IsBackground = true, Name = "socket watch" };
        _thread.Start();
    }

    private void Watch()
    {
        if (_wake < 0) return; // As without an inotify instance, below.
        var again = false;
        while (!_stopped)
        {
            var notify = Sys.Notify();
            if (notify < 0) return; // No inotify instance to be had: the Pod works, only without this comfort.
            var watching = AddWatches(notify);
            var inPlace = _restore();
            // A file made just now needs a watch of its own: go around, once, for the number of watches has a limit.
            again = inPlace && !watching && !again;
            if (!again) Sleep(notify);
            _ = Sys.Close(notify);
        }
    }

    /// <returns>True if the socket file itself is watched.</returns>
    private bool AddWatches(int notify)
    {
        var directory = Path.GetDirectoryName(_path)!;
        if (Sys.InotifyAdd(notify, _path, Sys.InAttrib | Sys.InMoveSelf | Sys.InDeleteSelf) >= 0)
        {
            _ = Sys.InotifyAdd(notify, directory, Sys.InMoveSelf | Sys.InDeleteSelf);
            return true;
        }
        const uint AnyChange = Sys.InAttrib | Sys.InMovedFrom | Sys.InMovedTo | Sys.InCreate | Sys.InDelete | Sys.InDeleteSelf | Sys.InMoveSelf;
        for (var place = directory; place is not null; place = Path.GetDirectoryName(place))
            if (Sys.InotifyAdd(notify, place, AnyChange) >= 0) break;
        return false;
    }

    private void Sleep(int notify)
    {
        var fds = stackalloc PollFd[2];
        fds[0] = new PollFd { Fd = notify, Events = Libc.PollIn };
        fds[1] = new PollFd { Fd = _wake, Events = Libc.PollIn };
        while (Libc.Poll(fds, 2, -1) < 0 && System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == Errno.Intr)
        {
            // A signal; the wait goes on.
        }
    }

    public void Dispose()
    {
        if (_stopped) return;
        _stopped = true;
        _ = Sys.Write(_wake, 1, sizeof(ulong));
        _thread.Join();
        _ = Sys.Close(_wake);
    }
}
