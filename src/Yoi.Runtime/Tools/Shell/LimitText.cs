using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>Limits in words: those that the kernel counted, and those that a command's own words suggest.</summary>
internal static class LimitText
{
    private const int FileSizeSignal = 25;
    private const string Raised = "the user raises it in yoi.jsonc, limits.commands";

    private static readonly string[] OfMemory = ["Cannot allocate memory", "MemoryError", "out of memory", "Out of memory", "OutOfMemory", "bad_alloc"];
    private static readonly string[] OfProcesses = ["Resource temporarily unavailable", "can't start new thread", "unable to create native thread", "EAGAIN"];

    /// <summary>What the kernel had to enforce.</summary>
    internal static IReadOnlyList<string> Met(CommandEnd end, CommandLimits limits)
    {
        List<string> met = [];
        if (end.Memory == MemoryLack.Elsewhere) met.Add("the machine, or what Yoi may have of it, ran out of memory and processes were ended for it; it was not the limit of commands");
        if (end.Memory == MemoryLack.Limit) met.Add(Text($"the limit of {limits.MemoryMb} MiB of memory was reached and processes were ended for it; {Raised}"));
        if (end.Processes) met.Add(Text($"the limit of {limits.Processes} processes and threads was reached and no more were given; {Raised}"));
        return met;
    }

    /// <summary>A hint for a command that failed and whose words sound like a limit; null if they do not. Nothing depends on it.</summary>
    internal static string? Hint(int? code, string text, CommandLimits limits)
    {
        var what = code == 128 + FileSizeSignal || text.Contains("File too large", StringComparison.Ordinal) ? Text($"a file may have {limits.FileMb} MiB")
            : OfMemory.Any(word => text.Contains(word, StringComparison.Ordinal)) ? Text($"memory, {limits.MemoryMb} MiB")
            : OfProcesses.Any(word => text.Contains(word, StringComparison.Ordinal)) ? Text($"{limits.Processes} processes and threads")
            : text.Contains("No space left on device", StringComparison.Ordinal) ? Text($"{limits.TempMb} MiB in /dev/shm, or in /tmp if the scope lies below it; or the disk is full")
            : null;
        return what is null ? null : $"this sounds like a limit of commands: {what}; {Raised}";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
