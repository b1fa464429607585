using System.Globalization;

namespace Yoi.Runtime.Journal;

/// <summary>What the kernel tells of a process in <c>/proc/PID/stat</c>.</summary>
/// <param name="State">One letter: <c>T</c> is held, <c>Z</c> has ended and is not buried.</param>
/// <param name="Parent">The pid of the process above it; 0 if that is of another namespace.</param>
/// <param name="StartTime">Field 22, in ticks since boot: with pid and boot it names a process for good.</param>
internal readonly record struct ProcessStat(char State, int Parent, string StartTime)
{
    /// <summary>The boot that this machine is in.</summary>
    internal static string BootId { get; } = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    /// <summary>True while it is held by SIGSTOP (or a debugger).</summary>
    internal bool IsHeld => State is 'T' or 't';

    /// <summary>Null if there is no such process, or it cannot be seen.</summary>
    internal static ProcessStat? Of(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' '); // Behind the program's name, which may hold anything; the first is field 3.
            return new(fields[0][0], int.Parse(fields[1], CultureInfo.InvariantCulture), fields[19]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
