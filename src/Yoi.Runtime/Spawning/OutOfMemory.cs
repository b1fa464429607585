namespace Yoi.Runtime.Spawning;

/// <summary>
/// How often the kernel has ended a process of our control group because memory ran out. A process that ends by SIGKILL while this
/// number rises was one of them, as far as anybody can tell; without control groups of version 2 nothing is known.
/// </summary>
internal static class OutOfMemory
{
    /// <summary>The number now; null if the kernel does not tell us.</summary>
    internal static long? Count()
    {
        try
        {
            var group = File.ReadLines("/proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal));
            return group is null ? null : CountIn(File.ReadLines($"/sys/fs/cgroup{group[3..]}/memory.events"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // The root of a hierarchy has no such file, and a container may hide it.
        }
    }

    internal static long? CountIn(IEnumerable<string> memoryEvents) =>
        memoryEvents.FirstOrDefault(line => line.StartsWith("oom_kill ", StringComparison.Ordinal)) is { } line && long.TryParse(line.AsSpan(9), out var count) ? count : null;
}
