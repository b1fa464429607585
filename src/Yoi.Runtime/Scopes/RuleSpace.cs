using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Exact questions about sets of rules. A rule looks only at a path's distance below its target (0, 1, more), so all paths fall
/// into finitely many classes: each target, a direct child of it that is no target, and something deeper. One path of each
/// class, with a name that no target can have, stands for all of its class.
/// </summary>
internal static class RuleSpace
{
    /// <summary>A name that no file and no target has.</summary>
    private const string Any = "\0";

    /// <summary>One path of every class that these targets make. Paths that no target covers are left out.</summary>
    internal static IEnumerable<string> Points(IEnumerable<string> targets)
    {
        foreach (var target in targets.ToHashSet(StringComparer.Ordinal))
        {
            yield return target;
            var child = ScopePath.Join(target, Any);
            yield return child;
            yield return ScopePath.Join(child, Any);
        }
    }

    /// <summary>The deepest real path above a point, and whether the point is below it.</summary>
    internal static (string Path, bool Below) Show(string point)
    {
        var end = point.IndexOf('\0');
        return end < 0 ? (point, false) : (end <= 1 ? "/" : point[..(end - 1)], true);
    }

    internal static bool Overlap(ScopeRule a, ScopeRule b) =>
        (ScopePath.IsAtOrBelow(a.Target, b.Target) || ScopePath.IsAtOrBelow(b.Target, a.Target))
        && Points([a.Target, b.Target]).Any(point => a.Covers(point) && b.Covers(point));

    /// <summary>A point that both may write, null if there is none.</summary>
    internal static string? SharedWrite(ScopePolicy a, ScopePolicy b)
    {
        if (!MayShareWrites(a.Rules, b.Rules)) return null;
        return Points(Targets(a).Concat(Targets(b))).FirstOrDefault(
            point => a.AccessAt(point) == Access.Write && b.AccessAt(point) == Access.Write);
    }

    /// <summary>False if no two write targets lie one above the other: quick, and true for most Pods of a table.</summary>
    internal static bool MayShareWrites(ScopeRules a, ScopeRules b)
    {
        foreach (var mine in a.Allow)
        {
            if (mine.Permission != Permission.Write) continue;
            foreach (var other in b.Allow)
            {
                if (other.Permission != Permission.Write) continue;
                if (ScopePath.IsAtOrBelow(mine.Target, other.Target) || ScopePath.IsAtOrBelow(other.Target, mine.Target)) return true;
            }
        }
        return false;
    }

    /// <summary>A point where <paramref name="part"/> allows more than <paramref name="whole"/>; null if it is a subset.</summary>
    internal static string? Excess(ScopePolicy part, ScopePolicy whole) =>
        Points(Targets(part).Concat(Targets(whole))).FirstOrDefault(point => part.AccessAt(point) > whole.AccessAt(point));

    internal static IEnumerable<string> Targets(ScopePolicy policy) =>
        policy.Allow.Concat(policy.Deny).Concat(policy.Lent.SelectMany(lent => lent.Rules)).Select(rule => rule.Target);
}
