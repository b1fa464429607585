using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Every change of the table as a function from document to document; whoever calls holds the lock and writes the result.
/// After each of them at most one living Pod may write a path. Asks the file system only what a rule's target leads to.
/// </summary>
internal static class TableChange
{
    /// <summary>A root's row, or a restored Pod's own row anew.</summary>
    /// <param name="again">True for a restored Pod: what helps if another holds its paths is something else.</param>
    internal static TableDocument Acquire(TableDocument table, TableRow row, bool again = false)
    {
        RefuseBadRow(row);
        RefuseNameInUse(table, row);
        var taken = Next(table, [.. table.Pods.Where(other => other.PodId != row.PodId)],
            row with { SpawnerId = null, Pending = false, Generation = table.Generation + 1 });
        var mine = taken.PolicyOf(row.PodId);
        foreach (var other in taken.Pods)
        {
            if (other.PodId == row.PodId || !RuleSpace.MayShareWrites(mine.Rules, other.Scope)) continue;
            // All that it was given, also where it has lent: that comes back to it.
            if (RuleSpace.SharedWrite(mine, new(other.Scope, [], 0)) is not { } point) continue;
            var holder = taken.Pods.FirstOrDefault(pod => pod.PodId != row.PodId && taken.PolicyOf(pod.PodId).AccessAt(point) == Access.Write) ?? other;
            throw Held(RuleSpace.Show(point).Path, RuleSpace.Show(point).Path, holder, again);
        }
        RefuseOtherNames(taken, row, _ => true);
        return taken;
    }

    /// <summary>The child's row, pending. Depth, tree and limits are the spawner's to say, not the row's.</summary>
    internal static TableDocument Lend(TableDocument table, string spawnerId, TableRow child)
    {
        var spawner = table.Find(spawnerId)
            ?? throw new ScopeException($"the spawner ({spawnerId}) holds no scope any more, so it has nothing to lend");
        RefuseBadRow(child);
        RefuseNameInUse(table, child);
        RefuseOverLimits(table, spawner);
        if (table.Find(child.PodId) is not null) throw new ScopeException($"the Pod {child.PodId} has a row already");
        var lender = table.PolicyOf(spawnerId);
        if (lender.WhyNotLendable(child.Scope.Allow, child.Scope.Deny) is { } why) throw new ScopeException(why, lender.Lent.FirstOrDefault(l => why.Contains($"is lent to {l.Child};", StringComparison.Ordinal))?.Child);
        if (RuleSpace.Excess(new(child.Scope, [], 0), lender) is { } point)
            throw new ScopeException($"{RuleSpace.Show(point).Path} is denied to {spawner.Name}, and the child's rules do not deny it: a child inherits its spawner's denies");
        if (child.Scope.UnguardedGit && !spawner.Scope.UnguardedGit) throw new ScopeException($"{spawner.Name} may not write what git would run, so it cannot lend that");
        // Above all the spawner itself: it must not reach by a second path what it lends.
        RefuseOtherNames(table, child, row => row.RootId == spawner.RootId);
        return Next(table, table.Pods, child with
        {
            SpawnerId = spawnerId,
            RootId = spawner.RootId,
            Depth = spawner.Depth + 1,
            Pending = true,
            Generation = table.Generation + 1,
            Limits = Within(child.Limits, spawner.Limits),
            Pid = null,
        });
    }

    /// <summary>The child's own row, no longer pending.</summary>
    internal static TableDocument Adopt(TableDocument table, string childId, long generation, int pid)
    {
        var row = table.Find(childId);
        if (row is null) throw new ScopeException($"the grant {generation} was withdrawn: the scope table has no row for this Pod");
        if (row.Generation != generation) throw new ScopeException($"the grant {generation} was withdrawn: the scope table has generation {row.Generation} for {row.Name}");
        if (row.Pid == pid && !row.Pending) return table;
        if (row.Pid is { } other) throw new ScopeException($"the grant {generation} of {row.Name} was adopted by another process (pid {other})", row.Name);
        return table with
        {
            Generation = table.Generation + 1,
            Pods = [.. table.Pods.Select(r => r.PodId == childId ? r with { Pending = false, Pid = pid } : r)],
        };
    }

    /// <summary>Without these Pods. Their children move to the nearest ancestor that stays; else they become roots with exactly their grants.</summary>
    internal static TableDocument Without(TableDocument table, IReadOnlySet<string> gone)
    {
        if (!table.Pods.Any(row => gone.Contains(row.PodId))) return table;
        var all = table.Pods.ToDictionary(row => row.PodId, StringComparer.Ordinal);
        var left = new List<TableRow>(table.Pods.Count);
        foreach (var row in table.Pods)
        {
            if (gone.Contains(row.PodId)) continue;
            var spawner = row.SpawnerId;
            while (spawner is not null && gone.Contains(spawner)) spawner = all[spawner].SpawnerId;
            // A grant whose lender is gone is nobody's to withdraw: from here on it lives and ends with the child alone.
            left.Add(spawner == row.SpawnerId ? row : row with { SpawnerId = spawner, Pending = false });
        }
        return table with { Generation = table.Generation + 1, Pods = left };
    }

    /// <summary>Without the dead: a Pod lives while its life-lock is held, a pending grant also while its spawner lives.</summary>
    /// <param name="concerns">The rows to look at; all others count as living. Whoever lends asks its own tree, not the whole machine.</param>
    internal static TableDocument WithoutDead(TableDocument table, Func<string, bool> isAlive, Func<TableRow, bool> concerns)
    {
        var living = table.Pods.Where(row => !concerns(row) || isAlive(row.Directory)).Select(row => row.PodId).ToHashSet(StringComparer.Ordinal);
        return Without(table, table.Pods
            .Where(row => !living.Contains(row.PodId) && !(row.Pending && row.SpawnerId is { } spawner && living.Contains(spawner)))
            .Select(row => row.PodId).ToHashSet(StringComparer.Ordinal));
    }

    /// <summary>The rows of Pods that have one before and none after.</summary>
    internal static IReadOnlyList<TableRow> Gone(TableDocument before, TableDocument after)
    {
        var left = after.Pods.Select(row => row.PodId).ToHashSet(StringComparer.Ordinal);
        return [.. before.Pods.Where(row => !left.Contains(row.PodId))];
    }

    private static TableDocument Next(TableDocument table, IReadOnlyList<TableRow> others, TableRow row) =>
        table with { Generation = table.Generation + 1, Pods = [.. others, row] };

    private static PodLimits Within(PodLimits asked, PodLimits above) => asked with
    {
        Children = Math.Min(asked.Children, above.Children),
        Depth = Math.Min(asked.Depth, above.Depth),
        PodsInTree = Math.Min(asked.PodsInTree, above.PodsInTree),
    };

    private static void RefuseBadRow(TableRow row)
    {
        if ((PodName.Problem(row.Name) ?? TableDocument.Problem(row.Scope) ?? ScopePath.Problem(row.Directory) ?? ScopeRoots.Problem(row.Scope)) is { } problem)
            throw new ScopeException(problem);
    }

    private static void RefuseNameInUse(TableDocument table, TableRow row)
    {
        if (table.Pods.FirstOrDefault(other => other.Name == row.Name && other.PodId != row.PodId) is { } other)
            throw new ScopeException($"the name {row.Name} is in use by a living Pod{Pid(other)}; take another, or end it with `yoi stop {row.Name}`", other.Name);
    }

    // The rules alone, without denies and what is lent: two paths to one place are rare, and refusing them is always right.
    private static void RefuseOtherNames(TableDocument table, TableRow row, Func<TableRow, bool> concerns)
    {
        var mine = row.Scope.Allow.Where(rule => rule.Permission == Permission.Write).ToList();
        if (mine.Count == 0) return;
        var map = MountMap.Read();
        foreach (var other in table.Pods)
        {
            if (other.PodId == row.PodId || !concerns(other)) continue;
            foreach (var theirs in other.Scope.Allow.Where(rule => rule.Permission == Permission.Write))
                foreach (var rule in mine)
                    if (map.SamePlace(rule, theirs) is { } paths) throw Held($"{paths.Mine} is {paths.Other} under another name, which", paths.Mine, other);
        }
    }

    private static void RefuseOverLimits(TableDocument table, TableRow spawner)
    {
        const string Raise = "the human raises it with `limits` in yoi.jsonc or";
        var limits = spawner.Limits;
        var children = table.Pods.Count(row => row.SpawnerId == spawner.PodId);
        if (children >= limits.Children)
            throw new ScopeException($"{spawner.Name} has {children} living children and may have {limits.Children}: stop one (StopPod), or {Raise} --max-children");
        if (spawner.Depth + 1 > limits.Depth)
            throw new ScopeException($"{spawner.Name} is {spawner.Depth} levels below its root, and a tree may be {limits.Depth} deep: do it yourself, or {Raise} --max-depth");
        var tree = table.Pods.Count(row => row.RootId == spawner.RootId);
        if (tree >= limits.PodsInTree)
            throw new ScopeException($"{tree} Pods of this tree are living and {limits.PodsInTree} may: stop one (StopPod), or {Raise} --max-pods");
    }

    private static ScopeException Held(string what, string path, TableRow holder, bool again = false) => new(
        $"{what} is held for writing by {holder.Name}{Pid(holder)}. {(again ? "Come back without it with `--without-held`" : $"Ask for less with `--read {path}`")}, "
        + $"talk to it with `yoi send {holder.Name}`, or end it with `yoi stop {holder.Name}`", holder.Name);

    private static string Pid(TableRow row) => row.Pending ? " (starting)" : row.Pid is { } pid ? $" (pid {pid})" : "";
}
