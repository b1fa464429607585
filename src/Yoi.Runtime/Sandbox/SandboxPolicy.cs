using Yoi.Protocol;
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
    /// <summary>Of a scope that has no platform set yet.</summary>
    /// <param name="home">The user's home.</param>
    internal static SandboxPolicy Of(ScopePolicy scope, PlatformSet platform, YoiDirectories directories, string home, bool network) =>
        new(scope with { Platform = platform.Reach(directories, home, scope.Rules.Allow) }, platform, network);

    /// <summary>All targets of its rules, outermost first.</summary>
    internal IReadOnlyList<string> Targets => [.. RuleSpace.Targets(Access).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>What is lent out for writing.</summary>
    internal IEnumerable<(string Path, string Child)> LentForWriting =>
        Access.Lent.SelectMany(lent => lent.Rules.Where(rule => rule.Permission == Permission.Write).Select(rule => (rule.Target, lent.Child)));
}
