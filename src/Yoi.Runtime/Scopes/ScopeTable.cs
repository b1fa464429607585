using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>A Pod's row in the table.</summary>
/// <param name="Directory">Its durable directory; <c>pod.lock</c> in it says whether it lives.</param>
/// <param name="SpawnerId">The living Pod that what it holds goes back to; null for a root.</param>
/// <param name="RootId">Root of its tree.</param>
/// <param name="Pending">True from lending until the child has adopted the grant; blocks all writers.</param>
/// <param name="Scope">All it was given. What is lent on to its own children is in their rows.</param>
internal sealed record TableRow(
    string PodId, string Name, string Directory, string? SpawnerId, string RootId, int Depth, bool Pending,
    long Generation, ScopeRules Scope, PodLimits Limits, int? Pid);

/// <summary>The whole table: one immutable document.</summary>
internal sealed record TableDocument(int Version, long Generation, IReadOnlyList<TableRow> Pods)
{
    /// <summary>The policy of one Pod: its row's rules, less what its children hold.</summary>
    internal ScopePolicy PolicyOf(string podId) => throw new NotImplementedException(podId);
}

/// <summary>A refusal or failure of the table; the message names holder, rule or command that helps. Nothing was changed.</summary>
internal sealed class ScopeException(string message, string? holder = null) : Exception(message)
{
    /// <summary>Name of the Pod that holds what was asked for.</summary>
    internal string? Holder { get; } = holder;
}

/// <summary>
/// Who may write what, now, over all Pods of this user and state root. Every change is made under <c>scopes.lock</c>,
/// by write-aside, fsync, rename and fsync of the directory. Reads take no lock. Unreadable content fails closed.
/// Dead Pods' rows are dropped under the lock whenever a change is made (their children move to the nearest living ancestor).
/// </summary>
internal sealed class ScopeTable(YoiDirectories directories, TimeProvider time)
{
    /// <summary>Longest wait for the lock before the refusal that names its holder.</summary>
    internal static readonly TimeSpan LockWait = TimeSpan.FromSeconds(5);

    /// <summary>The table as it is; an absent file is an empty table only if no Pod has ever been journalled.</summary>
    /// <exception cref="ScopeException">Unreadable or impossible content; names the repair command.</exception>
    internal TableDocument Read() => throw new NotImplementedException(directories.State + time);

    /// <summary>A root Pod takes its scope. The caller holds its own <c>pod.lock</c>.</summary>
    /// <returns>The row's generation.</returns>
    /// <exception cref="ScopeException">Held by another (names it), name in use, busy, or over a limit.</exception>
    internal Task<long> AcquireAsync(TableRow row, CancellationToken ct) => throw new NotImplementedException();

    /// <summary>A spawner lends: checks subset, overlap, name, children, depth and tree limits, adds the child's row as pending.</summary>
    /// <returns>The grant's generation.</returns>
    internal Task<long> LendAsync(string spawnerId, TableRow child, CancellationToken ct) => throw new NotImplementedException();

    /// <summary>The child takes its pending grant. The caller holds its own <c>pod.lock</c>.</summary>
    /// <exception cref="ScopeException">The grant was withdrawn or has another generation: the child exits, having touched nothing.</exception>
    internal Task AdoptAsync(string childId, long generation, int pid, CancellationToken ct) => throw new NotImplementedException();

    /// <summary>
    /// Takes a Pod's row out: a withdrawn pending grant, a stopped Pod, the Pod's own exit. Its children move up. A second time
    /// changes nothing. The caller has verified that nothing of the Pod can write any more, or is the Pod itself, last thing.
    /// </summary>
    /// <returns>The rules that went back; empty if there was no row.</returns>
    internal Task<IReadOnlyList<ScopeRule>> ReleaseAsync(string podId, CancellationToken ct) => throw new NotImplementedException();
}
