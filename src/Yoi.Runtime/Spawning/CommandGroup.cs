using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The control group of one command, where this process may make one: it holds the whole tree to its limits, root's too, and counts how often it
/// did. Elsewhere each process is held for itself, and the kernel does not hold root to a number of processes.
/// </summary>
internal sealed class CommandGroup
{
    private const uint Open = 0x1ED; // rwxr-xr-x, as all groups are.

    private static readonly string[] MostUsed = ["/memory.max_usage_in_bytes", "/memory.memsw.max_usage_in_bytes"]; // Their failcnt stays 0 on new kernels.
    private static readonly string Prefix = string.Create(CultureInfo.InvariantCulture, $"yoi-{Environment.ProcessId}-{PodProcess.StartTimeOf(Environment.ProcessId)}");
    private static readonly Lazy<IReadOnlyList<GroupRoot>> Roots = new(FindRoots);
    private static int _number;

    private readonly IReadOnlyList<(GroupRoot Root, string Directory)> _parts;

    private CommandGroup(IReadOnlyList<(GroupRoot, string)> parts) => _parts = parts;

    /// <summary>True if groups count the processes of a command here, or its memory.</summary>
    internal static (bool Processes, bool Memory) Counts => (Roots.Value.Any(root => root.Processes), Roots.Value.Any(root => root.Memory));

    /// <summary>Where they are made: one that counts both, or one each.</summary>
    internal static IReadOnlyList<GroupRoot> Usable => Roots.Value;

    /// <summary>Makes one, with its limits; null if that cannot be done here.</summary>
    internal static CommandGroup? TryMake(CommandLimits limits) => TryMake(Roots.Value, limits);

    /// <summary>
    /// Where a process of one thread writes 0 to be in: it, and all that it starts from here on. It goes in by itself because that is done at once
    /// in version 1; for whoever moves another one the kernel first waits for every processor, some ten milliseconds.
    /// </summary>
    /// <exception cref="IOException">They cannot be opened; the message says why.</exception>
    internal IReadOnlyList<SafeFileHandle> OpenEntrances()
    {
        List<SafeFileHandle> opened = [];
        try
        {
            foreach (var (root, directory) in _parts) opened.Add(OpenEntrance(directory + (root.Unified ? "/cgroup.procs" : "/tasks")));
            return opened;
        }
        catch (IOException)
        {
            foreach (var entrance in opened) entrance.Dispose();
            throw;
        }
    }

    /// <summary>Which limits the kernel had to enforce.</summary>
    internal (bool Processes, MemoryLack Memory) Reached() => (
        _parts.Any(part => part.Root.Processes && Count(part.Directory + "/pids.events", "max") > 0),
        _parts.Select(Lack).Append(MemoryLack.None).Max());

    /// <summary>Forgets the group. Nothing runs in it any more.</summary>
    internal void Remove()
    {
        foreach (var (_, directory) in _parts) TryRemove(directory);
    }

    /// <summary>The kernel counts in the group whom it ended, wherever memory ran out: what ran into its own limit it counts besides.</summary>
    private static MemoryLack Lack((GroupRoot Root, string Directory) part)
    {
        var (root, directory) = part;
        if (!root.Memory || Count(directory + (root.Unified ? "/memory.events" : "/memory.oom_control"), "oom_kill") == 0) return MemoryLack.None;
        var isOwn = root.Unified ? Count(directory + "/memory.events", "oom") > 0
            : MostUsed.Any(name => File.Exists(directory + name) && Number(directory + name) > Number(directory + "/memory.limit_in_bytes") - (1 << 20)); // It counts in batches.
        return isOwn ? MemoryLack.Limit : MemoryLack.Elsewhere;
    }

    /// <summary>The same in places of the caller's choice.</summary>
    internal static CommandGroup? TryMake(IReadOnlyList<GroupRoot> roots, CommandLimits limits)
    {
        if (roots.Count == 0) return null;
        var name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}-{Interlocked.Increment(ref _number)}");
        var made = new CommandGroup([.. roots.Select(root => (root, $"{root.Directory}/{name}"))]);
        try
        {
            foreach (var (root, directory) in made._parts)
            {
                if (Libc.Mkdir(directory, Open) != 0) throw new IOException($"{directory} cannot be made");
                Limit(root, directory, limits);
            }
            return made;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            made.Remove(); // Not ours to make, or not with these limits: each process is held for itself.
            return null;
        }
    }

    private static void Limit(GroupRoot root, string directory, CommandLimits limits)
    {
        var bytes = (long)limits.MemoryMb << 20;
        if (root.Processes) Write(directory + "/pids.max", limits.Processes);
        if (!root.Memory) return;
        Write(directory + (root.Unified ? "/memory.max" : "/memory.limit_in_bytes"), bytes);
        // In version 1 memory and swap together, in version 2 swap for itself; not there without swap accounting.
        var swap = directory + (root.Unified ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes");
        if (File.Exists(swap)) Write(swap, bytes);
    }

    /// <summary>Where groups can be made, proven by making one; also removes what a process that was killed left there.</summary>
    private static List<GroupRoot> FindRoots()
    {
        try
        {
            var (own, mounts) = (File.ReadAllText("/proc/self/cgroup"), File.ReadAllText("/proc/self/mountinfo"));
            DelegatedGroup.SwitchOnAbove(own, mounts);
            var all = GroupRoot.Find(own, mounts, Controllers, DelegatedGroup.SaysSo);
            List<GroupRoot> usable = [];
            foreach (var root in all)
            {
                if (TryMake([root], new()) is not { } tried) continue;
                tried.Remove();
                usable.Add(root);
                foreach (var left in Directory.GetDirectories(root.Directory, "yoi-*")) RemoveLeft(left);
            }
            return usable;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static void RemoveLeft(string directory)
    {
        if (Path.GetFileName(directory).Split('-') is not [_, var pid, var start, _] || !int.TryParse(pid, CultureInfo.InvariantCulture, out var number)) return;
        if (PodProcess.StartTimeOf(number) != start) TryRemove(directory);
    }

    private static string Controllers(string directory)
    {
        var path = directory + "/cgroup.subtree_control";
        return File.Exists(path) ? File.ReadAllText(path) : "";
    }

    private static void TryRemove(string directory)
    {
        try
        {
            Directory.Delete(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It was not made, or the kernel is not done with it: the next process removes it.
        }
    }

    private static long Count(string path, string name)
    {
        if (!File.Exists(path)) return 0;
        foreach (var line in Encoding.ASCII.GetString(File.ReadAllBytes(path)).Split('\n'))
            if (line.Split(' ') is [var word, var count] && word == name) return long.Parse(count, CultureInfo.InvariantCulture);
        return 0;
    }

    private static long Number(string path) => long.Parse(File.ReadAllText(path).AsSpan().Trim(), CultureInfo.InvariantCulture);

    private static SafeFileHandle OpenEntrance(string path)
    {
        using var low = Libc.Open(path, OpenFlags.WriteOnly | OpenFlags.CloseOnExec, 0);
        return low.IsInvalid ? throw Libc.Failed("open " + path) : Libc.Raised(low);
    }

    private static void Write(string path, long value)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(file, Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)), 0);
    }
}
