using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The commands of this Pod that run now, each with the scope that its sandbox was made from. Lending looks here: what a running command can
/// write, nobody else is given.
/// </summary>
internal sealed class RunningCommands
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ScopePolicy> _running = new(StringComparer.Ordinal);

    internal void Add(string name, ScopePolicy scope)
    {
        lock (_gate) _running.Add(name, scope);
    }

    internal void Remove(string name)
    {
        lock (_gate) _running.Remove(name);
    }

    /// <summary>The name of a command that can write what these rules would lend for writing, and where; null if there is none.</summary>
    internal (string Name, string Path)? Writer(IReadOnlyList<ScopeRule> rules)
    {
        var lent = new ScopePolicy(new ScopeRules(rules, [], UnguardedGit: true), [], 0);
        lock (_gate)
        {
            foreach (var (name, scope) in _running)
                if (RuleSpace.SharedWrite(scope, lent) is { } point) return (name, RuleSpace.Show(point).Path);
        }
        return null;
    }
}
