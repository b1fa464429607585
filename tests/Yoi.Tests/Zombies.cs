using System.Globalization;

namespace Yoi.Tests;

/// <summary>Ended children of this process that nobody took note of. Those of tests beside the caller's are among them, for a moment.</summary>
internal static class Zombies
{
    /// <param name="name">Only those that ran a program of this name.</param>
    internal static int Count(string? name = null) => Of(name).Count();

    /// <summary>Their directories in <c>/proc</c>.</summary>
    internal static IEnumerable<string> Of(string? name = null)
    {
        var own = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        return Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1])).Where(path =>
        {
            try
            {
                var stat = File.ReadAllText(path + "/stat");
                return stat[(stat.LastIndexOf(')') + 2)..].Split(' ') is ["Z", var parent, ..] && parent == own
                    && (name is null || stat.Contains($" ({name}) ", StringComparison.Ordinal));
            }
            catch (IOException)
            {
                return false; // It ended while we looked.
            }
        });
    }
}
