using System.Globalization;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>
/// A control group with a limit of memory. On the one hierarchy processes go into a group below it, and beside that one a Pod makes
/// those of its commands: it is named like what a manager of services delegates.
/// </summary>
internal sealed record MemoryGroup(GroupRoot Root, string Directory)
{
    internal const string Needed = "needs a control group beneath our own";

    internal string Processes => (Root.Unified ? Directory + "/pods" : Directory) + "/cgroup.procs";

    /// <summary>Null where none can be made.</summary>
    internal static MemoryGroup? TryMake(int limitMb)
    {
        if (CommandGroup.Usable.FirstOrDefault(root => root.Memory) is not { } root) return null;
        var group = new MemoryGroup(root, $"{root.Directory}/test-{Guid.NewGuid():n}.scope");
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(group.Processes)!);
        File.WriteAllText(group.Directory + (root.Unified ? "/memory.max" : "/memory.limit_in_bytes"), ((long)limitMb << 20).ToString(CultureInfo.InvariantCulture));
        if (root.Unified) File.WriteAllText(group.Directory + "/cgroup.subtree_control", root.Processes ? "+memory +pids" : "+memory");
        return group;
    }

    internal void Add(int pid) => File.WriteAllText(Processes, pid.ToString(CultureInfo.InvariantCulture));

    /// <summary>The kernel lets it go a moment after the last process.</summary>
    internal Task RemoveAsync() => Eventually.Holds(() =>
    {
        try
        {
            foreach (var left in System.IO.Directory.GetDirectories(Directory)) System.IO.Directory.Delete(left); // Of a Pod that was killed, too.
            System.IO.Directory.Delete(Directory);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    });
}
