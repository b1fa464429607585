using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// The first process of a command: at level <c>kernel</c> of its own pid namespace, with which all of it goes, at <c>partial</c> the first of those that
/// its keeper ends.
/// </summary>
/// <param name="Namespace">Inode of the pid namespace. Alone none of the four names a process: numbers are used again.</param>
internal sealed record CommandProcess(int Pid, string StartTime, string BootId, long Namespace);

/// <summary>
/// Which commands of a Pod may still run: one small file a command in the Pod's directory, made before the command may begin. So whoever finds a
/// Pod dead finds what it left, and ends it before the Pod's scope goes to anybody else. A mark goes when the command's whole tree is gone
/// and nothing is left to settle.
/// </summary>
internal static class CommandMarks
{
    private const int EndRounds = 5, Nothing = 0;

    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(2);

    /// <summary>Where the commands of a Pod have their temporary files.</summary>
    internal static string PrivateTemp(string podDirectory) => podDirectory + "/sandbox/tmp";

    /// <param name="about">What is to be settled when the command is gone, one line; null: nothing.</param>
    internal static CommandMark Put(string podDirectory, CommandProcess process, string? about = null)
    {
        PrivateFile.CreateDirectory(Path.Combine(podDirectory, PodFiles.Commands));
        var path = Path.Combine(podDirectory, PodFiles.Commands, NameOf(process));
        using var file = PrivateFile.OpenToWrite(path, OpenFlags.Exclusive);
        var first = string.Create(CultureInfo.InvariantCulture, $"{process.Pid} {process.StartTime} {process.BootId} {process.Namespace}\n");
        var whole = false;
        try
        {
            Failpoint.Pass(Failpoints.CommandPut);
            RandomAccess.Write(file, Encoding.UTF8.GetBytes(about is null ? first : $"{first}{CommandMark.AboutWord}{about}\n"), 0);
            whole = true;
        }
        finally
        {
            if (!whole) File.Delete(path); // Its command does not begin.
        }
        return new(path);
    }

    /// <summary>The marks of a Pod whose commands are gone.</summary>
    internal static IReadOnlyList<CommandMark> Of(string podDirectory)
    {
        var directory = Path.Combine(podDirectory, PodFiles.Commands);
        try
        {
            return Directory.Exists(directory) ? [.. Directory.GetFiles(directory).Order(StringComparer.Ordinal).Select(path => new CommandMark(path))] : [];
        }
        catch (UnauthorizedAccessException)
        {
            if (!PrivateFile.GiveBack(directory)) throw;
            return Of(podDirectory);
        }
    }

    /// <summary>
    /// Ends what a dead Pod left running, and waits for it. To be called only while nobody holds the Pod's life-lock, or by the Pod itself
    /// before it begins and when it has ended its commands.
    /// </summary>
    /// <param name="isHeld">
    /// Whether somebody holds the life-lock by now; null for the Pod itself. Asked again when it is known what would be ended: that is a dead
    /// process's, or else the lock is held. A Pod that comes back behind that starts others.
    /// </param>
    /// <returns>True if something of it may still run.</returns>
    internal static bool AnyLeft(string podDirectory, Func<bool>? isHeld = null)
    {
        try
        {
            var left = false;
            var marks = Of(podDirectory);
            if (marks.Count > 0 && isHeld?.Invoke() == true) return true;
            foreach (var mark in marks)
            {
                var process = Parse(mark.FirstLine);
                // A mark that does not say what its name says is damaged, or was never whole: then its command never began.
                if (process is null || mark.Name != NameOf(process) ? IsThere(mark.Name) : !End(process) || IsAnyLeftOf(process, podDirectory, isHeld)) left = true;
                else if (mark.About is null) mark.Remove();
            }
            return left;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return AnyLeft(podDirectory, isHeld); // Another does the same this moment.
        }
    }

    /// <summary>The process as it is now; null if there is none of this pid.</summary>
    internal static CommandProcess? Look(int pid)
    {
        try
        {
            if (ProcessStat.Of(pid) is not { State: not ('Z' or 'X') } stat) return null;
            var link = new FileInfo($"/proc/{pid}/ns/pid").LinkTarget; // pid:[4026532181]
            return link is null ? null : new(pid, stat.StartTime, ProcessStat.BootId, long.Parse(link[5..^1], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Kills just this process, and waits for it: true when it is gone. What cannot be looked at is not known to be.</summary>
    internal static bool End(CommandProcess process)
    {
        if (process.BootId != ProcessStat.BootId) return true;
        // The descriptor first: what is compared then is what is killed.
        using var pidfd = Libc.PidfdOpen(process.Pid);
        if (pidfd is null) return Marshal.GetLastPInvokeError() is not (Errno.MFile or Errno.NFile or Errno.NoMem);
        if (IsThis(process) is not { } isThis) return Libc.PidfdWait(pidfd, TimeSpan.Zero) || !Libc.PidfdSendSignal(pidfd, Nothing);
        if (!isThis) return true;
        _ = Libc.PidfdSendSignal(pidfd, Libc.SigKill);
        return Libc.PidfdWait(pidfd, EndLimit);
    }

    /// <summary>False if it has ended or its number is another's by now; null if that cannot be seen.</summary>
    private static bool? IsThis(CommandProcess process)
    {
        if (ProcessStat.Of(process.Pid) is not { } stat) return null;
        if (stat.State is 'Z' or 'X' || stat.StartTime != process.StartTime) return false;
        if (Look(process.Pid) is { } now) return now == process;
        // It hides its namespace from its user. In our own nobody else has had that number since that time.
        return process.Namespace == Look(Environment.ProcessId)?.Namespace ? true : null;
    }

    /// <summary>
    /// Without a namespace of its own a command leaves what its keeper would have ended, had not somebody killed that, too. Its processes have the
    /// Pod's private directory in their environment, but for those that took pains to lose it.
    /// </summary>
    private static bool IsAnyLeftOf(CommandProcess process, string podDirectory, Func<bool>? isHeld)
    {
        if (process.BootId != ProcessStat.BootId || process.Namespace != Look(Environment.ProcessId)?.Namespace) return false;
        var mark = Encoding.UTF8.GetBytes($"TMPDIR={PrivateTemp(podDirectory)}\0");
        var left = true;
        for (var round = 0; left && round < EndRounds; round++)
        {
            left = false;
            foreach (var found in Directory.EnumerateDirectories("/proc"))
            {
                if (!int.TryParse(found.AsSpan("/proc/".Length), CultureInfo.InvariantCulture, out var pid) || !HasInEnvironment(pid, mark)) continue;
                left = true;
                if (Look(pid) is not { } member || !HasInEnvironment(pid, mark)) continue;
                if (isHeld?.Invoke() == true) return true;
                End(member);
            }
        }
        return left;
    }

    private static bool HasInEnvironment(int pid, byte[] mark)
    {
        try
        {
            return File.ReadAllBytes($"/proc/{pid}/environ").AsSpan().IndexOf(mark) >= 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // It has ended, or is another user's.
        }
    }

    private static string NameOf(CommandProcess process) => string.Create(CultureInfo.InvariantCulture, $"{process.Pid}-{process.StartTime}");

    // Not to be signalled: that takes all four.
    private static bool IsThere(string name) => name.Split('-') is [var pid, var start] && int.TryParse(pid, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && Look(number)?.StartTime == start;

    private static CommandProcess? Parse(string line)
    {
        var words = line.Split(' ');
        return words.Length == 4 && int.TryParse(words[0], CultureInfo.InvariantCulture, out var pid) && long.TryParse(words[3], CultureInfo.InvariantCulture, out var inode)
            ? new(pid, words[1], words[2], inode) : null;
    }
}
