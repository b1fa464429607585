using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// A Pod's life-lock: open-file-description locks on its <c>pod.lock</c>. Byte 0 is held for life; byte 1 is the right
/// to write the journal. Far behind them stands what of the journal is not on disk yet: everything from <see cref="Unsynced"/> plus
/// its synced length on is locked while somebody writes it. The kernel gives all back when the last descriptor closes, however the process ends.
/// </summary>
internal sealed class PodLock : IDisposable
{
    private const long LifeByte = 0, JournalByte = 1;

    /// <summary>Where the range begins that stands for the journal's bytes: no journal is that long.</summary>
    private const long Unsynced = 1L << 40;

    private readonly SafeFileHandle _file;
    private int _writers;

    private PodLock(string directory, SafeFileHandle file) => (Directory, _file) = (directory, file);

    /// <summary>The Pod's durable directory.</summary>
    internal string Directory { get; }

    /// <summary>
    /// Takes byte 0 and byte 1 of a Pod's own lock file, creating it and its directory; null if another process holds one.
    /// </summary>
    /// <exception cref="IOException">The lock file cannot be used; the message says why.</exception>
    internal static PodLock? TryTake(string podDirectory)
    {
        PrivateFile.CreateDirectory(podDirectory);
        return Take(podDirectory, static (file, path) => Libc.TryLockByte(file, LifeByte, path) && Libc.TryLockByte(file, JournalByte, path));
    }

    /// <summary>Takes byte 1 of a dead Pod's lock (to write its end entry); null if it lives or another does so now.</summary>
    /// <remarks>First the lock, then the probe: a Pod that starts meanwhile takes byte 0, then fails on byte 1 and gives up.</remarks>
    /// <exception cref="IOException">The lock file cannot be used; the message says why.</exception>
    internal static PodLock? TryTakeJournalOfDead(string podDirectory) =>
        Take(podDirectory, static (file, path) => Libc.TryLockByte(file, JournalByte, path) && !Libc.IsByteLocked(file, LifeByte, path));

    /// <summary>
    /// True if a process holds byte 0. Probes with F_OFD_GETLK, which disturbs nobody. A missing file is dead. What a dead Pod's
    /// commands left running is ended first; while it cannot be, the Pod counts as alive: something of it may still write.
    /// </summary>
    /// <exception cref="IOException">It cannot be known; that is not "dead".</exception>
    internal static bool IsAlive(string podDirectory) => IsHeld(podDirectory) || CommandMarks.AnyLeft(podDirectory, () => IsHeld(podDirectory));

    /// <summary>The same, but true also where it cannot be known: what may live keeps what it holds, and is in nobody else's way.</summary>
    internal static bool MayLive(string podDirectory)
    {
        try
        {
            return IsAlive(podDirectory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    private static bool IsHeld(string podDirectory)
    {
        var path = PathIn(podDirectory);
        using var file = PrivateFile.OpenToRead(path);
        return file is not null && Libc.IsByteLocked(file, LifeByte, path);
    }

    /// <summary>
    /// Proves that a probe through another open file description sees a lock in this directory, and that it can be
    /// given back. The kernel judges by description, not by process, so what holds here holds between processes
    /// of this machine; file systems shared between machines are refused. Leaves the directory as it was.
    /// </summary>
    /// <returns>Null if locks work here, else what is wrong.</returns>
    internal static string? SelfTest(string directory)
    {
        var path = Path.Combine(directory, $".lock-test-{Environment.ProcessId}-{Guid.NewGuid():n}");
        try
        {
            using var folder = PrivateFile.OpenDirectory(directory);
            if (NetworkFileSystem(Libc.FileSystemOf(folder, directory)) is { } kind)
            {
                return $"{directory} is on {kind}: Yoi keeps its state on a file system of this machine (set YOI_HOME or XDG_STATE_HOME)";
            }
            using var probe = PrivateFile.OpenToWrite(path, OpenFlags.Exclusive);
            using (var holder = PrivateFile.OpenToWrite(path))
            {
                if (Libc.IsByteLocked(probe, LifeByte, path)) return $"locks do not work in {directory}: a probe sees a lock that nobody took";
                if (!Libc.TryLockByte(holder, LifeByte, path)) return $"locks do not work in {directory}: a free lock could not be taken";
                if (!Libc.IsByteLocked(probe, LifeByte, path) || Libc.TryLockByte(probe, LifeByte, path))
                {
                    return $"locks do not work in {directory}: a probe does not see a lock that is held";
                }
                if (Libc.IsByteLocked(probe, JournalByte, path)) return $"locks do not work in {directory}: a lock covers more than its byte";
                Libc.UnlockByte(holder, LifeByte, path);
            }
            return Libc.TryLockByte(probe, LifeByte, path) ? null : $"locks do not work in {directory}: a lock cannot be given back";
        }
        catch (IOException e)
        {
            return $"locks do not work in {directory}: {e.Message}";
        }
        finally
        {
            _ = Libc.Unlink(path);
        }
    }

    /// <summary>The same open file under another descriptor: who inherits it holds both bytes until it closes it, too.</summary>
    /// <exception cref="LinuxException">There are no descriptors left.</exception>
    internal SafeFileHandle Share() => Libc.Raised(_file);

    /// <summary>One writer at a time in this process, too; false if there is one.</summary>
    internal bool TryClaimWriter() => Interlocked.Exchange(ref _writers, 1) == 0;

    internal void ReleaseWriter()
    {
        if (!_file.IsClosed) Libc.UnlockRange(_file, Unsynced, 0, Directory);
        Volatile.Write(ref _writers, 0);
    }

    /// <summary>From here on nobody takes a byte of the journal for synced before <see cref="Synced"/> says so.</summary>
    /// <exception cref="IOException">Locks do not work.</exception>
    internal void NothingSynced() => Libc.LockFrom(_file, Unsynced, Directory);

    /// <summary>The journal is on disk up to this length, and is never cut below it.</summary>
    /// <exception cref="IOException">Locks do not work.</exception>
    internal void Synced(long length)
    {
        if (length > 0) Libc.UnlockRange(_file, Unsynced, length, Directory);
    }

    /// <summary>Up to where the journal is on disk, as the process that writes it says; null if none writes it. Waits for no disk.</summary>
    /// <exception cref="IOException">It cannot be known.</exception>
    internal static long? SyncedLength(string podDirectory)
    {
        var path = PathIn(podDirectory);
        using var file = PrivateFile.OpenToRead(path);
        return file is null ? null : Libc.FirstLockedFrom(file, Unsynced, path) - Unsynced;
    }

    /// <remarks>
    /// Unlocks by hand before it closes: a program that another thread starts right now holds a copy of the descriptor
    /// until its exec, and with it the lock.
    /// </remarks>
    public void Dispose()
    {
        if (_file.IsClosed) return;
        try
        {
            Libc.UnlockRange(_file, 0, 0, Directory);
        }
        finally
        {
            _file.Dispose();
        }
    }

    // Locks taken half-way are given back by hand, for the same reason as in Dispose.
    private static PodLock? Take(string podDirectory, Func<SafeFileHandle, string, bool> take)
    {
        var path = PathIn(podDirectory);
        var podLock = new PodLock(podDirectory, PrivateFile.OpenToWrite(path));
        var taken = false;
        try
        {
            taken = take(podLock._file, path);
            return taken ? podLock : null;
        }
        finally
        {
            if (!taken) podLock.Dispose();
        }
    }

    private static string PathIn(string podDirectory) => Path.Combine(podDirectory, PodFiles.Lock);

    // linux/magic.h. What is not listed is judged by the locks alone.
    private static string? NetworkFileSystem(long kind) => kind switch
    {
        0x6969 => "NFS",
        0x517B or 0xFE534D42 or 0xFF534D42 => "an SMB share",
        0x00C36400 => "Ceph",
        0x5346414F or 0x6B414653 => "AFS",
        0x0BD00BD0 => "Lustre",
        0x47504653 => "GPFS",
        0x7461636F => "OCFS2",
        0x01161970 => "GFS2",
        0x73757245 => "Coda",
        _ => null,
    };
}
