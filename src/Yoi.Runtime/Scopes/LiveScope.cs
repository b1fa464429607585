using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The Pod's scope while it runs: one swapped reference to a <see cref="ScopePolicy"/>, kept equal to the table, and the
/// lease that makes lending wait for file writes. What a child gave back is written again when the own journal has its end, not before:
/// what a Pod does is explained by its journal.
/// </summary>
/// <param name="platform">What the Pod may read besides; null for none.</param>
/// <param name="lent">What the own journal says is lent: the same object until that changes. Null for nothing.</param>
internal sealed class LiveScope(YoiDirectories directories, string podId, ScopeRules? platform = null, Func<IReadOnlyList<LentRules>>? lent = null) : IDisposable
{
    private readonly TableFile _file = new(directories);
    private readonly LeaseGate _leases = new();
    private Seen? _seen;

    private sealed record Seen(TableDocument Table, IReadOnlyList<LentRules> Recorded, ScopePolicy Policy, IReadOnlyList<LentRules> Back);

    /// <summary>
    /// The policy now: looks at the table's identity (inode, size, time) and reads it again if that or what the journal says has changed; else the same object.
    /// Without a row of this Pod, no access at all.
    /// </summary>
    /// <exception cref="ScopeException">The table is missing or cannot be trusted.</exception>
    internal ScopePolicy Current() => See().Policy;

    /// <summary>What the table has back and the own journal does not: its child's end is about to be recorded.</summary>
    /// <exception cref="ScopeException">The table is missing or cannot be trusted.</exception>
    internal IReadOnlyList<LentRules> Back() => See().Back;

    private Seen See()
    {
        var table = _file.Read() ?? throw _file.Untrusted("it is missing");
        var recorded = lent?.Invoke() ?? [];
        if (Volatile.Read(ref _seen) is { } seen && ReferenceEquals(seen.Table, table) && ReferenceEquals(seen.Recorded, recorded)) return seen;
        // A pending grant is nobody's: whoever has not adopted it touches nothing.
        var policy = table.Find(podId) is null or { Pending: true } ? ScopePolicy.Nothing(table.Generation) : table.PolicyOf(podId);
        var known = policy.Lent.Select(one => one.ChildId).ToHashSet(StringComparer.Ordinal);
        IReadOnlyList<LentRules> back = [.. recorded.Where(one => !known.Contains(one.ChildId))];
        var now = new Seen(table, recorded, policy with { Lent = [.. policy.Lent, .. back], Platform = platform ?? ScopeRules.None }, back);
        Volatile.Write(ref _seen, now);
        return now;
    }

    /// <summary>Held by a file write from resolving to rename. Many at a time.</summary>
    internal ValueTask<IDisposable> HoldWriteAsync(CancellationToken ct) => _leases.EnterAsync(exclusive: false, ct);

    /// <summary>Held while the grant moves in the table; waits for all writes, and holds up those that come after. One at a time.</summary>
    internal ValueTask<IDisposable> HoldLendingAsync(CancellationToken ct) => _leases.EnterAsync(exclusive: true, ct);

    public void Dispose() => _file.Dispose();
}
