using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>What stopping came to.</summary>
/// <param name="Returned">Rules that went back to the spawner, or became free.</param>
/// <param name="Below">Pods below it that were stopped with it, leaf first.</param>
internal sealed record StopOutcome(string Name, string PodId, PodEnd Reason, string? By, string? Detail, IReadOnlyList<ScopeRule> Returned, IReadOnlyList<string> Below);

/// <summary>
/// Stops a Pod and its tree, leaf first: no new work, ask, wait, TERM, KILL through a pidfd, verify that the life-lock is
/// free and the process gone, give the scope back, write the end entry if the Pod did not. Idempotent.
/// The tree is known from the scope table and launch records, never by asking. Used by StopPod and the command line.
/// </summary>
internal sealed class TreeStopper(YoiDirectories directories, ScopeTable table, TimeProvider time)
{
    /// <summary>Returns when nothing of the tree can write any more.</summary>
    /// <param name="by">Who stops it: a Pod's name or <c>human</c>.</param>
    /// <param name="force">Skips asking: KILL at once.</param>
    internal Task<StopOutcome> StopAsync(KnownPod pod, string by, bool force, CancellationToken ct) =>
        throw new NotImplementedException($"{directories}{table}{time}");
}
