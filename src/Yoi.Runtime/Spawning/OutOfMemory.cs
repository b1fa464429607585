namespace Yoi.Runtime.Spawning;

/// <summary>
/// How often the kernel has ended a process of our control group because memory ran out. A process that ends by SIGKILL while this
/// number rises was one of them, as far as anybody can tell; without control groups that count memory nothing is known.
/// </summary>
internal static class OutOfMemory
{
    /// <summary>The number now; null if the kernel does not tell us.</summary>
    internal static long? Count()
    {
        try
        {
            if (GroupRoot.MemoryOf(File.ReadAllText("/proc/self/cgroup"), File.ReadAllText("/proc/self/mountinfo")) is not var (directory, unified)) return null;
            return CountIn(File.ReadLines(directory + (unified ? "/memory.events" : "/memory.oom_control")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // The root of a hierarchy has no such file, and a container may hide it.
        }
    }

    internal static long? CountIn(IEnumerable<string> memoryEvents) =>
        memoryEvents.FirstOrDefault(line => line.StartsWith("oom_kill ", StringComparison.Ordinal)) is { } line && long.TryParse(line.AsSpan(9), out var count) ? count : null;
}
