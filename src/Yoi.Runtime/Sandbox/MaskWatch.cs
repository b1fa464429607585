using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Sys = Yoi.Runtime.Linux.Libc.Sockets;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// Notices while a command runs that what its mounts lie on was replaced, moved or removed from outside: when a name is renamed over or
/// removed, the kernel takes the mounts off it. Owns one thread that sleeps in the kernel. It watches the inodes themselves and the directories above them: what a
/// command writes wakes nobody, only what it removes or renames beside a masked directory does.
/// </summary>
internal sealed unsafe class MaskWatch : IDisposable
{
    private const int StackSize = 256 * 1024;
    private const uint DoNotFollow = 0x0200_0000;

    private readonly Func<bool> _changed;
    private readonly SafeFileHandle _notify;
    private readonly SafeFileHandle _wake;
    private readonly object _gate = new();
    private volatile bool _stopped;
    private bool _isOver;

    /// <param name="changed">Compares; true if there is nothing more to watch for. Must not throw. Called at once, then after each event.</param>
    private MaskWatch(SafeFileHandle notify, SafeFileHandle wake, Func<bool> changed)
    {
        (_notify, _wake, _changed) = (notify, wake, changed);
        new Thread(Run, StackSize) { IsBackground = true, Name = "mask watch" }.Start();
    }

    /// <summary>Null if there is nothing to watch, or nothing to watch with: then the end of the command shows it.</summary>
    /// <param name="paths">What mounts lie on.</param>
    internal static MaskWatch? Start(IEnumerable<string> paths, Func<bool> changed)
    {
        var masks = new Dictionary<string, uint>(StringComparer.Ordinal);
        foreach (var path in paths)
        {
            masks[path] = masks.GetValueOrDefault(path) | Sys.InAttrib | Sys.InMoveSelf | Sys.InDeleteSelf; // The number of a file's names is one of its attributes.
            // Of a directory that is removed the inode tells only when nobody holds it any more; the directory above tells at once.
            if (Directory.Exists(path)) masks[Door.DirectoryOf(path)] = masks.GetValueOrDefault(Door.DirectoryOf(path)) | Sys.InDelete | Sys.InMovedFrom | Sys.InMoveSelf | Sys.InDeleteSelf;
            for (var above = Door.DirectoryOf(path); above != "/"; above = Door.DirectoryOf(above)) masks.TryAdd(above, Sys.InMoveSelf | Sys.InDeleteSelf);
        }
        if (masks.Count == 0) return null;
        var (notify, wake) = (new SafeFileHandle(Sys.Notify(), ownsHandle: true), new SafeFileHandle(Sys.WakeEvent(), ownsHandle: true));
        try
        {
            if (!notify.IsInvalid && !wake.IsInvalid)
            {
                // What its owner may not read cannot be watched; the end shows that, too.
                foreach (var (path, mask) in masks) _ = Sys.InotifyAdd((int)notify.DangerousGetHandle(), path, mask | DoNotFollow);
                return new(notify, wake, changed);
            }
        }
        catch (OutOfMemoryException)
        {
            // No thread can be started: the user has too many processes.
        }
        notify.Dispose();
        wake.Dispose();
        return null;
    }

    private void Run()
    {
        Watch();
        lock (_gate)
        {
            _isOver = true;
            Monitor.Pulse(_gate);
        }
        _notify.Dispose(); // Here: to take its marks off the kernel waits for every processor, some ten milliseconds, and nobody else has to.
    }

    private void Watch()
    {
        Span<byte> events = stackalloc byte[4096];
        var fds = stackalloc PollFd[2];
        while (!_stopped && !_changed())
        {
            fds[0] = new PollFd { Fd = (int)_notify.DangerousGetHandle(), Events = Libc.PollIn };
            fds[1] = new PollFd { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.PollIn };
            while (Libc.Poll(fds, 2, -1) < 0 && Marshal.GetLastPInvokeError() == Errno.Intr)
            {
                // A signal; the wait goes on.
            }
            if (fds[0].Revents != 0) _ = Libc.Read(_notify, events, events.Length);
        }
    }

    /// <summary>Nothing is compared any more when this returns.</summary>
    public void Dispose()
    {
        if (_stopped) return;
        _stopped = true;
        if (Libc.EventFdWrite(_wake, 1) != 0) throw Libc.Failed("eventfd_write");
        lock (_gate)
        {
            while (!_isOver) Monitor.Wait(_gate);
        }
        _wake.Dispose();
    }
}
