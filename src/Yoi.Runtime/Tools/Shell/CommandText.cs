using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>What of a command's output the model is shown.</summary>
internal static class CommandText
{
    /// <summary>Shown whole up to here.</summary>
    internal const int InlineBytes = 30_000;

    private const int Head = 8_000, Tail = 20_000;

    /// <summary>All of it, or its beginning and end and where the rest is.</summary>
    internal static string Inline(CommandOutput output, string whole)
    {
        var length = output.Length;
        if (length <= InlineBytes) return output.Text(0, InlineBytes).TrimEnd('\n');
        return $"{output.Text(0, Head)}\n\n[{length - Head - Tail} bytes left out; all of it is in {whole}, which commands can read: tail, grep, sed -n]\n\n{output.Text(length - Tail, Tail).TrimEnd('\n')}";
    }

    /// <summary>True if the kernel probably refused something: only a hint hangs on it, never a decision.</summary>
    internal static bool LooksRefused(string text) =>
        text.Contains("Read-only file system", StringComparison.Ordinal) || text.Contains("Permission denied", StringComparison.Ordinal) || text.Contains("Operation not permitted", StringComparison.Ordinal)
        || text.Contains("Device or resource busy", StringComparison.Ordinal);

    internal static string Hint(Shell shell) => $"[yoi] Commands run in a sandbox. {shell.Reach}";
}
