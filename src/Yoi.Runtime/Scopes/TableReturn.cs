using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// How a restored Pod takes back what it had: its living descendants come below it again, and what others were given meanwhile is
/// theirs. Functions from document to document like <see cref="TableChange"/>; whoever calls holds the lock.
/// </summary>
internal static class TableReturn
{
    /// <summary>Nobody above it lives: it takes its scope itself.</summary>
    /// <param name="spawnerOf">Who spawned a Pod, as its journal says; null for a root and for a Pod that is not known.</param>
    /// <param name="withoutHeld">True: it is denied to write what others were given; else that is a refusal that names the holder.</param>
    internal static TableDocument TakeBack(TableDocument table, TableRow row, Func<string, string?> spawnerOf, bool withoutHeld)
    {
        var home = WithDescendants(table, row, spawnerOf, onlyWithin: false);
        return TableChange.Acquire(home, withoutHeld ? row with { Scope = WithoutHeld(home, row) } : row, again: true);
    }

    /// <summary>The nearest above it that lives lends it what it had.</summary>
    internal static TableDocument LendAgain(TableDocument table, string spawnerId, TableRow child, Func<string, string?> spawnerOf, bool withoutHeld)
    {
        var home = WithDescendants(table, child, spawnerOf, onlyWithin: true);
        return TableChange.Lend(home, spawnerId, withoutHeld ? child with { Scope = Lendable(home.PolicyOf(spawnerId), child.Scope) } : child);
    }

    /// <summary>
    /// The scope without what cannot be lent by now. What others were lent meanwhile is denied to it for writing, and the rest stays its own; a rule
    /// that the lender has lost is only read, or left out.
    /// </summary>
    private static ScopeRules Lendable(ScopePolicy lender, ScopeRules scope)
    {
        var held = lender.Lent.SelectMany(lent => lent.Rules).Where(rule => scope.Allow.Any(own => own.Permission == Permission.Write && RuleSpace.Overlap(own, rule)));
        List<ScopeRule> denied = [.. scope.Deny.Concat(held).Distinct()];
        return scope with
        {
            Allow =
            [
                .. scope.Allow
                    .Select(rule => lender.WhyNotLendable([rule], denied) is null ? rule : rule with { Permission = Permission.Read })
                    .Where(rule => lender.WhyNotLendable([rule], denied) is null)
                    .Distinct(),
            ],
            Deny = denied,
        };
    }

    /// <summary>
    /// The rows of living Pods whose nearest listed ancestor is this one, put below it. The row itself may not be in the table yet.
    /// </summary>
    /// <param name="onlyWithin">True: only those that may write nothing but what this one may: the rest stays with whom they have now.</param>
    internal static TableDocument WithDescendants(TableDocument table, TableRow row, Func<string, string?> spawnerOf, bool onlyWithin)
    {
        var mine = new ScopePolicy(row.Scope, [], 0);
        bool IsBelow(TableRow other)
        {
            if (other.PodId == row.PodId || other.SpawnerId == row.PodId) return false;
            var id = spawnerOf(other.PodId);
            for (var steps = 0; id is not null && steps < table.Pods.Count + 64; id = spawnerOf(id), steps++)
            {
                if (id == row.PodId) return !onlyWithin || WritesOnlyWithin(other, mine);
                if (table.Find(id) is not null) return false;
            }
            return false;
        }
        return table with { Pods = [.. table.Pods.Select(other => IsBelow(other) ? other with { SpawnerId = row.PodId } : other)] };
    }

    private static bool WritesOnlyWithin(TableRow other, ScopePolicy mine)
    {
        var theirs = new ScopePolicy(other.Scope, [], 0);
        return RuleSpace.Points(RuleSpace.Targets(theirs).Concat(RuleSpace.Targets(mine)))
            .All(point => theirs.AccessAt(point) < Access.Write || mine.AccessAt(point) == Access.Write);
    }

    /// <summary>The scope with a deny(write) for each rule by which another that is not below it may write there.</summary>
    private static ScopeRules WithoutHeld(TableDocument table, TableRow row)
    {
        var mine = new ScopePolicy(row.Scope, [], 0);
        var below = table.Pods.Where(other => other.SpawnerId == row.PodId).Select(other => other.PodId).ToHashSet(StringComparer.Ordinal);
        for (var before = -1; before != below.Count;)
        {
            before = below.Count;
            below.UnionWith(table.Pods.Where(other => other.SpawnerId is { } spawner && below.Contains(spawner)).Select(other => other.PodId));
        }
        var held = table.Pods
            .Where(other => other.PodId != row.PodId && !below.Contains(other.PodId) && RuleSpace.SharedWrite(mine, new(other.Scope, [], 0)) is not null)
            .SelectMany(other => other.Scope.Allow)
            .Where(rule => rule.Permission == Permission.Write && row.Scope.Allow.Any(own => own.Permission == Permission.Write && RuleSpace.Overlap(own, rule)));
        return row.Scope with { Deny = [.. row.Scope.Deny.Concat(held).Distinct()] };
    }
}
