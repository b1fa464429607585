using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Spawning;

/// <summary>What holds a command's whole tree.</summary>
internal interface ICommandHold : IDisposable
{
    /// <summary>Completes when all of the tree is gone, with how its first process ended. A tree that does not die is an error.</summary>
    Task<ProcessExit> Gone { get; }

    /// <summary>Opens the gate; of no effect on a command that was killed there.</summary>
    void Go();

    /// <summary>Ends all of it at once.</summary>
    void Kill();
}

/// <summary>How a command ended: its tree is gone.</summary>
/// <param name="Exit">The shell's exit; null if it was killed.</param>
/// <param name="Processes">True if the kernel refused it more processes.</param>
/// <param name="Memory">Of what memory there was too little, if the kernel ended processes of it for that.</param>
internal sealed record CommandEnd(ProcessExit? Exit, bool Processes, MemoryLack Memory);

/// <summary>Why the kernel ended processes of a command for lack of memory.</summary>
internal enum MemoryLack
{
    /// <summary>It ended none.</summary>
    None,

    /// <summary>There was none left on the machine, or in a group above the command's own.</summary>
    Elsewhere,

    /// <summary>The command's own limit.</summary>
    Limit,
}

/// <summary>
/// One command in a sandbox, from the gate to the end of its tree. Started, it waits at the gate inside: nothing of it has run. Whoever
/// started it records it and lets it go; if the Pod dies before, the gate sees the end of its input and the command never runs.
/// </summary>
internal sealed class SandboxedCommand : IAsyncDisposable
{
    private readonly ICommandHold _hold;
    private readonly CommandGroup? _group;
    private readonly bool _isSettled;

    /// <summary>Takes over a command that waits at the gate and is marked.</summary>
    /// <param name="isSettled">True if nothing is left to do when it is gone: its mark goes with it.</param>
    /// <param name="group">What holds it to its limits as a whole; null where that cannot be had.</param>
    internal SandboxedCommand(CommandMark mark, bool isSettled, CommandProcess process, ICommandHold hold, CommandOutput output, CommandGroup? group)
    {
        (Mark, _isSettled, Process, _hold, Output, _group) = (mark, isSettled, process, hold, output, group);
        Ended = EndAsync();
    }

    /// <summary>The first process of its namespace, as it is recorded.</summary>
    internal CommandProcess Process { get; }

    /// <summary>Goes with the command if there is nothing to settle; else it is for whoever settles to remove.</summary>
    internal CommandMark Mark { get; }

    internal CommandOutput Output { get; }

    /// <summary>Completes when the whole tree is gone and all output is in the file. A tree that does not die is an error.</summary>
    internal Task<CommandEnd> Ended { get; }

    /// <summary>True when nothing of the tree is left. It can be so though <see cref="Ended"/> failed.</summary>
    internal bool IsGone { get; private set; }

    /// <summary>Opens the gate.</summary>
    internal void Go() => _hold.Go();

    /// <summary>Ends the whole tree; <see cref="Ended"/> completes when it is gone.</summary>
    internal void Kill() => _hold.Kill();

    public async ValueTask DisposeAsync()
    {
        Kill();
        try
        {
            await Ended;
        }
        finally
        {
            if (IsGone) Close(); // Else it can still be killed.
        }
    }

    /// <summary>Gives back what it holds open, when it has ended. What it wrote can still be read.</summary>
    internal void Close()
    {
        _hold.Dispose();
        Output.Dispose();
    }

    private async Task<CommandEnd> EndAsync()
    {
        var exit = await _hold.Gone;
        IsGone = true;
        await Output.EndAsync();
        var (processes, memory) = _group?.Reached() ?? default;
        _group?.Remove();
        if (_isSettled) Mark.Remove();
        return new(exit.Signal is null ? exit : null, processes, memory);
    }
}
