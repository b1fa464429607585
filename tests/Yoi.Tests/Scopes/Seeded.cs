using System.Collections.Concurrent;
using FsCheck;
using FsCheck.Fluent;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Scopes;

/// <summary>Random cases from a seed that is printed; <c>YOI_SEED</c> repeats one.</summary>
internal static class Seeded
{
    /// <summary>All paths of up to five names from three. Targets use two names and three levels, so that every class of paths is in it.</summary>
    internal static IReadOnlyList<string> Paths { get; } = [.. Level("/", 5)];

    /// <summary>Enough of them where many are asked often: all that targets can be, and two levels of another name below each.</summary>
    internal static IReadOnlyList<string> FewPaths { get; } = [.. Paths.Where(path => path.Replace("/c/c", "", StringComparison.Ordinal) is var top
        && (top.EndsWith("/c", StringComparison.Ordinal) ? top[..^2] : top) is var plain && !plain.Contains('c') && plain.Count(c => c == '/') <= 3)];

    private static readonly Gen<string> Target =
        from depth in Gen.Choose(0, 3)
        from names in Gen.ListOf(Gen.Elements("a", "b"), depth)
        select "/" + string.Join('/', names);

    private static readonly Gen<ScopeRule> Rule =
        from target in Target
        from permission in Gen.Elements(Permission.Read, Permission.Write)
        from recursive in Gen.Elements(true, true, false)
        select new ScopeRule(target, permission, recursive);

    internal static Gen<ScopeRules> Rules { get; } =
        from allows in Gen.Choose(0, 4)
        from denies in Gen.Choose(0, 3)
        from allow in Gen.ListOf(Rule, allows)
        from deny in Gen.ListOf(Rule, denies)
        select new ScopeRules([.. allow], [.. deny]);

    internal static Gen<ScopeRule> OneRule => Rule;

    internal static void Check<T>(Gen<T> cases, int count, Action<T> holds)
    {
        foreach (var (value, number, seed) in Made(cases, count))
        {
            try
            {
                holds(value);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new InvalidOperationException($"YOI_SEED={seed}, case {number}: {value}", e);
            }
        }
    }

    internal static async Task CheckAsync<T>(Gen<T> cases, int count, Func<T, Task> holds)
    {
        foreach (var (value, number, seed) in Made(cases, count))
        {
            try
            {
                await holds(value);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new InvalidOperationException($"YOI_SEED={seed}, case {number}: {value}", e);
            }
        }
    }

    private static List<(T Value, int Number, ulong Seed)> Made<T>(Gen<T> cases, int count)
    {
        var seed = ulong.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : (ulong)Random.Shared.NextInt64();
        TestContext.Current.TestOutputHelper?.WriteLine($"YOI_SEED={seed}");
        var made = cases.Sample(count, new Rnd(seed), size: 50).Select((value, number) => (value, number, seed)).ToList();
        Assert.Equal(count, made.Count);
        return made;
    }

    internal static string Show(ScopeRules rules) => $"allow [{string.Join(", ", rules.Allow)}] deny [{string.Join(", ", rules.Deny)}]";

    private static IEnumerable<string> Level(string path, int below)
    {
        yield return path;
        if (below == 0) yield break;
        foreach (var name in (string[])["a", "b", "c"])
            foreach (var deeper in Level(path == "/" ? "/" + name : path + "/" + name, below - 1)) yield return deeper;
    }
}

/// <summary>What rules mean, written as plainly as can be: by counting names, not by comparing text.</summary>
internal static class Reference
{
    private static readonly ConcurrentDictionary<string, string[]> Split = new();

    internal static bool Covers(ScopeRule rule, string path)
    {
        var (target, names) = (Names(rule.Target), Names(path));
        if (names.Length < target.Length || !names.Take(target.Length).SequenceEqual(target)) return false;
        return rule.Recursive || names.Length - target.Length <= 1;
    }

    /// <summary>0 nothing, 1 read, 2 write.</summary>
    internal static int Access(ScopeRules rules, string path)
    {
        var allowed = rules.Allow.Where(rule => Covers(rule, path)).Select(rule => (int)rule.Permission).DefaultIfEmpty(0).Max();
        var denied = rules.Deny.Where(rule => Covers(rule, path)).Select(rule => (int)rule.Permission).DefaultIfEmpty(3).Min();
        return Math.Min(allowed, denied - 1);
    }

    private static string[] Names(string path) =>
        Split.GetOrAdd(path, static path => path.Split('/', StringSplitOptions.RemoveEmptyEntries));
}
