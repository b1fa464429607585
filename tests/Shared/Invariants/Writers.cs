using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Shared.Invariants;

/// <summary>
/// No two possible writers of a path, in any version of the table that was seen; generations only grow, and each is one grant's.
/// Judges by a model of its own, not by the code that it judges.
/// </summary>
internal static class Writers
{
    internal static IEnumerable<Violation> Check(IReadOnlyList<TableDocument> tables)
    {
        TableDocument? before = null;
        var grants = new Dictionary<long, string>();
        foreach (var table in tables)
        {
            if (table.Problem() is { } problem) yield return new("one writer", $"generation {table.Generation}: {problem}");
            if (before is not null && table.Generation <= before.Generation)
                yield return new("generations grow", $"generation {table.Generation} was seen behind {before.Generation}");
            foreach (var row in table.Pods)
                if (!grants.TryAdd(row.Generation, row.PodId) && grants[row.Generation] != row.PodId)
                    yield return new("generations grow", $"generation {row.Generation} is the grant of {row.PodId} and was that of {grants[row.Generation]}");
            foreach (var shared in Shared(table)) yield return shared;
            before = table;
        }
    }

    private static IEnumerable<Violation> Shared(TableDocument table)
    {
        for (var i = 0; i < table.Pods.Count; i++)
        {
            for (var j = i + 1; j < table.Pods.Count; j++)
            {
                var (one, other) = (table.Pods[i], table.Pods[j]);
                if (!Near(one, other)) continue;
                if (Points(one, other).FirstOrDefault(point => MayWrite(table, one, point) && MayWrite(table, other, point)) is { } path)
                    yield return new("one writer", $"generation {table.Generation}: {path.Replace('\0', '*')} can be written by {one.Name} and by {other.Name}");
            }
        }
    }

    /// <summary>What the row gives it, less what it denies and what its children were given; a pending grant counts as given.</summary>
    private static bool MayWrite(TableDocument table, TableRow pod, string path) =>
        pod.Scope.Allow.Any(rule => rule.Permission == Permission.Write && Covers(rule, path))
        && !pod.Scope.Deny.Any(rule => Covers(rule, path))
        && !table.Pods.Any(child => child.SpawnerId == pod.PodId && child.Scope.Allow.Any(rule => rule.Permission == Permission.Write && Covers(rule, path)));

    internal static bool Covers(ScopeRule rule, string path)
    {
        if (path == rule.Target) return true;
        var above = rule.Target == "/" ? "/" : rule.Target + "/";
        return path.StartsWith(above, StringComparison.Ordinal) && (rule.Recursive || path.IndexOf('/', above.Length) < 0);
    }

    private static bool Near(TableRow one, TableRow other) => WriteTargets(one).Any(mine => WriteTargets(other).Any(theirs =>
        Covers(new ScopeRule(mine, Permission.Write), theirs) || Covers(new ScopeRule(theirs, Permission.Write), mine)));

    private static IEnumerable<string> WriteTargets(TableRow row) => row.Scope.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target);

    // A rule tells apart its target, what is directly below it, and what is deeper: one path of each is enough.
    private static IEnumerable<string> Points(TableRow one, TableRow other) => one.Scope.Allow.Concat(one.Scope.Deny).Concat(other.Scope.Allow).Concat(other.Scope.Deny)
        .Select(rule => rule.Target).Distinct(StringComparer.Ordinal)
        .SelectMany(target => new[] { target, $"{target}/\0", $"{target}/\0/\0" });
}
