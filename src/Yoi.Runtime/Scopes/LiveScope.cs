using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The Pod's scope while it runs: one swapped reference to a <see cref="ScopePolicy"/>, kept equal to the table, and the
/// lease that makes lending wait for file writes.
/// </summary>
/// <param name="platform">What the Pod may read besides; null for none.</param>
internal sealed class LiveScope(YoiDirectories directories, string podId, ScopeRules? platform = null) : IDisposable
{
    private readonly TableFile _file = new(directories);
    private readonly LeaseGate _leases = new();
    private Seen? _seen;

    private sealed record Seen(TableDocument Table, ScopePolicy Policy);

    /// <summary>
    /// The policy now: looks at the table's identity (inode, size, time) and reads it again if it changed; else the same object.
    /// Without a row of this Pod, no access at all.
    /// </summary>
    /// <exception cref="ScopeException">The table is missing or cannot be trusted.</exception>
    internal ScopePolicy Current()
    {
        var table = _file.Read() ?? throw _file.Untrusted("it is missing");
        if (Volatile.Read(ref _seen) is { } seen && ReferenceEquals(seen.Table, table)) return seen.Policy;
        // A pending grant is nobody's: whoever has not adopted it touches nothing.
        var policy = table.Find(podId) is null or { Pending: true } ? ScopePolicy.Nothing(table.Generation)
            : table.PolicyOf(podId) with { Platform = platform ?? ScopeRules.None };
        Volatile.Write(ref _seen, new(table, policy));
        return policy;
    }

    /// <summary>Held by a file write from resolving to rename. Many at a time.</summary>
    internal ValueTask<IDisposable> HoldWriteAsync(CancellationToken ct) => _leases.EnterAsync(exclusive: false, ct);

    /// <summary>Held while the grant moves in the table; waits for all writes, and holds up those that come after. One at a time.</summary>
    internal ValueTask<IDisposable> HoldLendingAsync(CancellationToken ct) => _leases.EnterAsync(exclusive: true, ct);

    public void Dispose() => _file.Dispose();
}
