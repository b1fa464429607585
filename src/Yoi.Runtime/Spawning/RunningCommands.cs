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
    private readonly List<Running> _running = [];

    /// <summary>One of them. A name alone tells nothing: the next command may have the same.</summary>
    internal sealed class Running(string name, ScopePolicy scope)
    {
        internal string Name => name;
        internal ScopePolicy Scope => scope;
        internal TaskCompletionSource Gone { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>To be called before the command is started.</summary>
    internal Running Add(string name, ScopePolicy scope)
    {
        var command = new Running(name, scope);
        lock (_gate) _running.Add(command);
        return command;
    }

    /// <summary>To be called when nothing of it can write any more, and never before.</summary>
    internal void Remove(Running command)
    {
        lock (_gate) _running.Remove(command);
        command.Gone.TrySetResult();
    }

    /// <summary>True while there is one.</summary>
    internal bool Any
    {
        get { lock (_gate) return _running.Count > 0; }
    }

    /// <summary>A command that can write what these rules would lend for writing, where, and when it is gone; null if there is none.</summary>
    internal (string Name, string Path, Task Gone)? Writer(IReadOnlyList<ScopeRule> rules)
    {
        var lent = new ScopePolicy(new ScopeRules(rules, [], UnguardedGit: true), [], 0);
        lock (_gate)
        {
            foreach (var command in _running)
                if (RuleSpace.SharedWrite(command.Scope, lent) is { } point) return (command.Name, RuleSpace.Show(point).Path, command.Gone.Task);
        }
        return null;
    }
}
