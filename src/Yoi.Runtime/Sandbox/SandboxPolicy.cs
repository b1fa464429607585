using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What a command may reach at one moment: the scope as it is now with what is lent out, the platform set, the network. Knows neither
/// bubblewrap nor Landlock; each back end says how far it can hold it.
/// </summary>
/// <param name="Access">The scope with the platform set: the same object that the file tools ask.</param>
/// <param name="Network">True: the host's network. False: none but a loopback of its own.</param>
internal sealed record SandboxPolicy(ScopePolicy Access, PlatformSet Platform, bool Network)
{
    private const int MostGuardingMounts = 96;

    /// <summary>Of a scope that has no platform set yet.</summary>
    /// <param name="home">The user's home.</param>
    internal static SandboxPolicy Of(ScopePolicy scope, PlatformSet platform, YoiDirectories directories, string home, bool network) =>
        new(scope with { Platform = platform.Reach(directories, home, scope.Rules.Allow) }, platform, network);

    /// <summary>
    /// The same with mounts on what git would run in repositories that are there. As many as may cost so much: the others are compared before
    /// and after.
    /// </summary>
    /// <param name="repositories">Their own directories, or the files that lead there.</param>
    /// <param name="home">The user's home.</param>
    internal (SandboxPolicy Policy, IReadOnlySet<string> Masked) Guarding(IEnumerable<string> repositories, WritablePart part, string home)
    {
        HashSet<string> masked = new(StringComparer.Ordinal), mounts = new(StringComparer.Ordinal);
        List<ScopeRule> deny = [.. Access.Rules.Deny];
        foreach (var git in repositories.OrderBy(path => path.Length).ThenBy(path => path, StringComparer.Ordinal))
        {
            if (part.RootOf(git) is not { } root || ScopePath.Problem(git) is not null) continue;
            var names = GitNames.Of(git, home).Prepend(new FileInfo(git).LinkTarget is null ? ScopePath.Join(git, "hooks") : git)
                .Where(path => path != root && ScopePath.IsAtOrBelow(path, root) && ScopePath.Problem(path) is null).Distinct().ToList();
            HashSet<string> more = [.. names.Where(path => Libc.Identify(path, out _) == 0).SelectMany(path => UpTo(root, path)).Except(mounts)];
            if (mounts.Count + more.Count > MostGuardingMounts) break;
            mounts.UnionWith(more);
            masked.Add(git);
            deny.AddRange(names.Select(path => new ScopeRule(path, Permission.Write)));
        }
        return (this with { Access = Access with { Rules = Access.Rules with { Deny = [.. deny.Distinct()] } } }, masked);
    }

    private static IEnumerable<string> UpTo(string root, string path)
    {
        for (; path != root; path = path[..path.LastIndexOf('/')]) yield return path;
    }

    /// <summary>All targets of its rules, outermost first.</summary>
    internal IReadOnlyList<string> Targets => TargetsOf(Access);

    /// <summary>The same of a scope.</summary>
    internal static IReadOnlyList<string> TargetsOf(ScopePolicy access) => [.. RuleSpace.Targets(access).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>What is lent out for writing.</summary>
    internal IEnumerable<(string Path, string Child)> LentForWriting =>
        Access.Lent.SelectMany(lent => lent.Rules.Where(rule => rule.Permission == Permission.Write).Select(rule => (rule.Target, lent.Child)));
}
