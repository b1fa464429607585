namespace Yoi.Runtime.Spawning;

/// <summary>
/// A control group beneath which this process may make groups of its own: the one it is in; on a machine with one hierarchy also the one
/// above it, if that was delegated to us with a subgroup for our processes. What must be on there is on, or <see cref="DelegatedGroup"/> sees to it.
/// </summary>
/// <param name="Unified">True: the one hierarchy (version 2). False: one of a controller alone (version 1).</param>
/// <param name="Processes">True: it counts processes.</param>
/// <param name="Memory">True: it counts memory.</param>
internal sealed record GroupRoot(string Directory, bool Unified, bool Processes, bool Memory)
{
    private sealed record Mount(string Root, string Place, bool Unified, string[] Options);

    /// <summary>Those of this process, by what the kernel says of it; none where control groups are not mounted.</summary>
    /// <param name="own">Text of <c>/proc/self/cgroup</c>.</param>
    /// <param name="mounts">Text of <c>/proc/self/mountinfo</c>.</param>
    /// <param name="controllers">What a group gives to the groups in it (<c>cgroup.subtree_control</c>), by its directory.</param>
    /// <param name="delegated">True if whoever manages this directory has given it away.</param>
    internal static IReadOnlyList<GroupRoot> Find(string own, string mounts, Func<string, string> controllers, Func<string, bool> delegated)
    {
        List<GroupRoot> found = [];
        var mounted = mounts.Split('\n').Select(Parse).OfType<Mount>().ToList();
        foreach (var line in own.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split(':', 3) is not [_, var names, var path]) continue;
            if (names.Length == 0)
            {
                if (mounted.FirstOrDefault(mount => mount.Unified) is { } one && Below(one, path) is { } directory) found.AddRange(InOne(directory, one.Place, controllers, delegated));
                continue;
            }
            var alone = names.Split(',');
            var (processes, memory) = (alone.Contains("pids"), alone.Contains("memory"));
            if (!processes && !memory) continue;
            if (mounted.FirstOrDefault(mount => !mount.Unified && alone.All(mount.Options.Contains)) is { } place && Below(place, path) is { } its)
                found.Add(new(its, false, processes, memory));
        }
        return found;
    }

    /// <summary>The group of this process on the one hierarchy, and where that is mounted, by the same two texts; null where there is none.</summary>
    internal static (string Directory, string Top)? OwnInOne(string own, string mounts) =>
        own.Split('\n').FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal)) is { } line
        && mounts.Split('\n').Select(Parse).OfType<Mount>().FirstOrDefault(mount => mount.Unified) is { } one && Below(one, line[3..]) is { } directory
            ? (directory, one.Place) : null;

    /// <summary>
    /// The group right above, if that was delegated to us; null if not. It is if it says so. A manager of services says so of its own, and
    /// of its users' managers, but those say nothing: there it is seen by the subgroup, which a manager makes below a service or a scope only if told to delegate.
    /// </summary>
    internal static string? DelegatedAbove(string directory, string top, Func<string, bool> delegated) =>
        directory != top && !IsUnit(directory) && Path.GetDirectoryName(directory) is { } above && (IsUnit(above) || delegated(above)) ? above : null;

    /// <summary>The group that counts this process's memory, by the same two texts; null where none does.</summary>
    internal static (string Directory, bool Unified)? MemoryOf(string own, string mounts)
    {
        var mounted = mounts.Split('\n').Select(Parse).OfType<Mount>().ToList();
        var lines = own.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(':', 3)).Where(words => words.Length == 3).ToList();
        if (lines.FirstOrDefault(words => words[1].Split(',').Contains("memory")) is { } alone)
            return mounted.FirstOrDefault(mount => !mount.Unified && mount.Options.Contains("memory")) is { } place && Below(place, alone[2]) is { } its ? (its, false) : null;
        return lines.FirstOrDefault(words => words[1].Length == 0) is { } one && mounted.FirstOrDefault(mount => mount.Unified) is { } whole && Below(whole, one[2]) is { } directory
            ? (directory, true) : null;
    }

    private static IEnumerable<GroupRoot> InOne(string directory, string top, Func<string, string> controllers, Func<string, bool> delegated)
    {
        foreach (var at in (string?[])[directory, DelegatedAbove(directory, top, delegated)])
        {
            if (at is null) break;
            var given = controllers(at).Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
            var root = new GroupRoot(at, true, given.Contains("pids"), given.Contains("memory"));
            if (root.Processes || root.Memory) return [root];
        }
        return [];
    }

    /// <summary>Of a service or a scope: whoever started it has a group that is the manager's unless it was delegated. Slices hold no processes.</summary>
    private static bool IsUnit(string directory) => Path.GetExtension(directory) is ".service" or ".scope";

    private static string? Below(Mount mount, string path)
    {
        if (path.Split('/').Contains("..")) return null; // Above what this process may see.
        if (mount.Root != "/" && path != mount.Root && !path.StartsWith(mount.Root + "/", StringComparison.Ordinal)) return null;
        var rest = mount.Root == "/" ? path : path[mount.Root.Length..];
        return rest is "" or "/" ? mount.Place : mount.Place + rest;
    }

    private static Mount? Parse(string line)
    {
        if (line.Split(" - ") is not [var before, var after] || before.Split(' ') is not [_, _, _, var root, var place, ..] || after.Split(' ') is not [var kind, _, var options]) return null;
        return kind is "cgroup" or "cgroup2" && !place.Contains('\\') && !root.Contains('\\') ? new(root, place, kind == "cgroup2", options.Split(',')) : null;
    }
}
