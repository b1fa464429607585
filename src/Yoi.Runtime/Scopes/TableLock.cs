using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The right to change the table: flock on <c>scopes.lock</c>, and on the state root itself, so that a lock file that was
/// removed or replaced makes no second holder. The kernel gives both back when the process ends; no child inherits them.
/// </summary>
internal sealed class TableLock : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(1), LongestPause = TimeSpan.FromMilliseconds(25);

    /// <summary>So many limits may pass in all while one holder follows the other: a queue that moves is waited for, within bounds.</summary>
    private const int QueueLimits = 12;

    private readonly SafeFileHandle _file, _root;
    private readonly string _name;

    private TableLock(SafeFileHandle file, SafeFileHandle root, string name)
    {
        (_file, _root, _name) = (file, root, name);
        Generation = LockText.Read(file).Generation;
        Write();
    }

    /// <summary>Of the last table that was written; null if the lock file does not know.</summary>
    internal long? Generation { get; private set; }

    /// <summary>Waits, looking again at growing intervals: flock has no wait with a bound.</summary>
    /// <param name="name">Who takes it, for those who wait.</param>
    /// <param name="limit">The longest wait for one holder; a new holder, or a change by the same one, begins it anew.</param>
    /// <exception cref="ScopeException">Still held (names the holder), or locks do not work here.</exception>
    internal static async Task<TableLock> TakeAsync(
        YoiDirectories directories, Func<string, bool> isAlive, TimeProvider time, string name, TimeSpan limit, CancellationToken ct)
    {
        var (began, since) = (time.GetTimestamp(), time.GetTimestamp());
        var holder = Holder(directories);
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            StateRoot.Open(directories, isAlive, alsoRuntime: false);
            if (TryTake(directories, name) is { } taken) return taken;
            if (Holder(directories) is var now && now != holder) (holder, since) = (now, time.GetTimestamp());
            if (time.GetElapsedTime(since) >= limit) throw Busy(directories, now, limit);
            if (time.GetElapsedTime(began) >= limit * QueueLimits)
                throw new ScopeException($"the scope table is busy: many processes have changed it in turn for {(limit * QueueLimits).TotalSeconds:0.#} s; try again", now.Name);
            await Task.Delay(pause, time, ct);
        }
    }

    /// <summary>To be said after a table of this generation was written.</summary>
    /// <exception cref="ScopeException">It cannot be said: then the table is changed all the same.</exception>
    internal void Remember(long generation)
    {
        try
        {
            Failpoint.Pass(Failpoints.TableRemember);
            Generation = generation;
            Write();
        }
        catch (IOException e)
        {
            throw new ScopeException($"the scope table was changed, and its lock file could not be written: {e.Message}", cause: e);
        }
    }

    public void Dispose()
    {
        _root.Dispose();
        _file.Dispose();
    }

    private static TableLock? TryTake(YoiDirectories directories, string name)
    {
        SafeFileHandle? file = null, root = null;
        try
        {
            file = PrivateFile.OpenToWrite(directories.ScopeLock);
            if (!Libc.TryFlock(file)) return null;
            // Somebody may have replaced the file between our open and our lock: then we hold a lock that nobody else looks at.
            if (Libc.Identify(directories.ScopeLock, out var now) != 0 || !now.IsSameFile(Libc.Identify(file))) return null;
            root = PrivateFile.OpenDirectory(directories.State);
            if (!Libc.TryFlock(root)) return null;
            using (var second = PrivateFile.OpenToWrite(directories.ScopeLock))
                if (Libc.Identify(second).IsSameFile(now) && Libc.TryFlock(second))
                    throw new ScopeException($"locks do not work in {directories.State}: two hold one. Set YOI_HOME or XDG_STATE_HOME to a file system of this machine");
            var taken = new TableLock(file, root, name);
            (file, root) = (null, null);
            return taken;
        }
        catch (IOException e)
        {
            throw new ScopeException($"the scope table cannot be locked: {e.Message}", cause: e);
        }
        finally
        {
            root?.Dispose();
            file?.Dispose();
        }
    }

    private void Write()
    {
        var text = LockText.Format(Environment.ProcessId, _name, Generation);
        RandomAccess.Write(_file, text, 0);
        RandomAccess.SetLength(_file, text.Length);
    }

    private static LockText Holder(YoiDirectories directories)
    {
        using var file = PrivateFile.OpenToRead(directories.ScopeLock);
        return file is null ? new LockText(0, "", null) : LockText.Read(file);
    }

    private static ScopeException Busy(YoiDirectories directories, LockText text, TimeSpan limit)
    {
        var pid = HolderPid(directories.ScopeLock) ?? HolderPid(directories.State) ?? text.Pid;
        var name = text.Pid == pid && text.Name.Length > 0 ? text.Name : "another process";
        var stopped = ProcessStat.Of(pid) is { IsHeld: true } ? $" It is stopped: `kill -CONT {pid}` lets it go on, `yoi stop --force {name}` ends it." : "";
        return new($"the scope table is busy: {name} (pid {pid}) has held {directories.ScopeLock} for {limit.TotalSeconds:0.#} s.{stopped}", name);
    }

    // A line of /proc/locks: "3: FLOCK  ADVISORY  WRITE 4711 08:02:131 0 EOF"; the device in hex, the inode not.
    private static int? HolderPid(string path)
    {
        if (Libc.Identify(path, out var file) != 0) return null;
        var place = string.Create(CultureInfo.InvariantCulture, $"{file.DeviceMajor:x2}:{file.DeviceMinor:x2}:{file.Inode}");
        try
        {
            foreach (var line in File.ReadLines("/proc/locks"))
            {
                var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words.Length > 5 && words[1] == "FLOCK" && words[5] == place && int.TryParse(words[4], out var pid) && pid > 0) return pid;
            }
        }
        catch (IOException)
        {
            return null; // Without /proc the lock file's own words must do.
        }
        return null;
    }
}
