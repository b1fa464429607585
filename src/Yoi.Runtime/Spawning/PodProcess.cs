using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// One process, held by a pidfd: pid, start time and boot id name it for good, and a signal reaches it or nobody.
/// Whoever opens it disposes it.
/// </summary>
internal sealed class PodProcess : IDisposable
{
    private readonly ProcessWatcher.Watched _watched;

    private PodProcess(int pid, string startTime, SafeFileHandle pidfd)
    {
        (Pid, StartTime) = (pid, startTime);
        _watched = ProcessWatcher.Watch(pidfd, pid);
    }

    /// <summary>Inode of the namespace in which pids are read and signalled here.</summary>
    internal static long? PidNamespace { get; } = CommandMarks.Look(Environment.ProcessId)?.Namespace;

    internal int Pid { get; }

    /// <summary>Field 22 of <c>/proc/PID/stat</c>.</summary>
    internal string StartTime { get; }

    /// <summary>Completes when the process has ended.</summary>
    internal Task<ProcessExit> Exited => _watched.Exit.Task;

    /// <summary>A child of ours from its first moment on.</summary>
    /// <param name="spawn">Starts it and returns its pid.</param>
    /// <exception cref="LinuxException">It could not be started or opened.</exception>
    internal static PodProcess Start(Func<int> spawn) => ProcessWatcher.WhileNothingIsReaped(() =>
    {
        var pid = spawn();
        return Open(pid) ?? throw Libc.Failed($"pidfd_open of {pid}"); // Not reaped yet: its pid is its own, even if it has ended.
    });

    /// <summary>The process of that pid, start time and boot; null if it is gone.</summary>
    internal static PodProcess? Open(int pid, string startTime, string bootId) =>
        bootId == ProcessStat.BootId && Open(pid) is { } process ? process.StartTime == startTime ? process : Drop(process) : null;

    /// <summary>The process that has this pid now; null if there is none.</summary>
    internal static PodProcess? Open(int pid)
    {
        if (pid <= 0 || Libc.PidfdOpen(pid) is not { } pidfd) return null;
        // Read after the descriptor was opened: if it can still be read, it is the start time of that very process.
        if (StartTimeOf(pid) is { } start) return new PodProcess(pid, start, pidfd);
        pidfd.Dispose();
        return null;
    }

    /// <summary>Start time of a process; null if there is none.</summary>
    internal static string? StartTimeOf(int pid) => ProcessStat.Of(pid)?.StartTime;

    /// <summary>Pids of what a process has started and not yet buried; of its first thread only.</summary>
    internal static IReadOnlyList<int> ChildrenOf(int pid) =>
        [.. Text(pid, $"task/{pid}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => int.Parse(word, CultureInfo.InvariantCulture))];

    /// <summary>Pids of the processes that were started with exactly these words, and whose parent was not.</summary>
    internal static IEnumerable<int> OrphansOf(IEnumerable<string> words)
    {
        var line = string.Concat(words.Select(word => word + '\0'));
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var pid) || Text(pid, "cmdline") != line) continue;
            if (ProcessStat.Of(pid) is { } stat && !Text(stat.Parent, "cmdline").EndsWith(line, StringComparison.Ordinal)) yield return pid;
        }
    }

    /// <summary>True while it is held by SIGSTOP (or a debugger).</summary>
    internal bool IsHeld => IsHeldNow(Pid, StartTime);

    /// <summary>The same of a process that is not open.</summary>
    internal static bool IsHeldNow(int pid, string startTime) => ProcessStat.Of(pid) is { IsHeld: true } stat && stat.StartTime == startTime;

    /// <summary>Signals it; false if it is gone.</summary>
    internal bool Signal(int signal) => !Exited.IsCompleted && Libc.PidfdSendSignal(_watched.Pidfd, signal);

    /// <summary>Waits for its end; null if the limit passed first.</summary>
    internal async Task<ProcessExit?> ExitedWithin(TimeSpan limit, TimeProvider time, CancellationToken ct)
    {
        try
        {
            return await Exited.WaitAsync(limit, time, ct);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        ProcessWatcher.Forget(_watched);
        _watched.Pidfd.Dispose();
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"process {Pid} (started {StartTime})");

    private static PodProcess? Drop(PodProcess process)
    {
        process.Dispose();
        return null;
    }

    /// <summary>A file of a process; empty if there is no such process, or it is another user's.</summary>
    private static string Text(int pid, string name)
    {
        try
        {
            return File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/{name}"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
