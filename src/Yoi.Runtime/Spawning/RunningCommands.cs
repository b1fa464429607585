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
    private readonly Dictionary<string, (ScopePolicy Scope, TaskCompletionSource Gone)> _running = new(StringComparer.Ordinal);

    internal void Add(string name, ScopePolicy scope)
    {
        lock (_gate) _running.Add(name, (scope, new(TaskCreationOptions.RunContinuationsAsynchronously)));
    }

    internal void Remove(string name)
    {
        lock (_gate)
        {
            if (_running.Remove(name, out var command)) command.Gone.SetResult();
        }
    }

    /// <summary>A command that can write what these rules would lend for writing, where, and when it is gone; null if there is none.</summary>
    internal (string Name, string Path, Task Gone)? Writer(IReadOnlyList<ScopeRule> rules)
    {
        var lent = new ScopePolicy(new ScopeRules(rules, [], UnguardedGit: true), [], 0);
        lock (_gate)
        {
            foreach (var (name, (scope, gone)) in _running)
                if (RuleSpace.SharedWrite(scope, lent) is { } point) return (name, RuleSpace.Show(point).Path, gone.Task);
        }
        return null;
    }
}
