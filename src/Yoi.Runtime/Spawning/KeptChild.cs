using Yoi.Protocol;

namespace Yoi.Runtime.Spawning;

/// <summary>One child whose end is not recorded yet.</summary>
internal sealed class KeptChild(Entry.ChildSpawned child, KnownPod pod, PodProcess? process)
{
    internal Entry.ChildSpawned Child { get; } = child;
    internal KnownPod Pod { get; } = pod;
    internal PodProcess? Process { get; } = process;

    /// <summary>False if it was dead before anybody watched it, also where its process was not reaped yet.</summary>
    internal bool WasAlive { get; } = pod.IsAlive;

    /// <summary>Held by whoever ends it or records its end.</summary>
    internal SemaphoreSlim Busy { get; } = new(1, 1);
    internal volatile bool Recorded;
    internal bool Reported { get; set; }
    internal Task Watching { get; set; } = Task.CompletedTask;
}
