using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Spawning;

/// <summary>All of one command that its launcher needs.</summary>
/// <param name="PodDirectory">Where it is marked.</param>
/// <param name="Cwd">Where it begins, as it sees it.</param>
/// <param name="Home">Where it begins if that is not there any more.</param>
/// <param name="About">What is to be settled when it is gone, also by others if the Pod dies; null: nothing. Known before anything of the command can run.</param>
/// <param name="Background">It goes on beside others, and leaves no working directory to the next.</param>
internal sealed record CommandOrder(
    string PodDirectory, SandboxPolicy Policy, SandboxView View, PrivatePlaces Places, CommandLimits Limits, string Cwd, string Home, string Line,
    string OutputPath, Task<string?>? About = null, bool Background = false);

/// <summary>Starts the commands of one Pod at the Pod's level, each as far as its gate. Owns the keeper, where the level has one.</summary>
/// <param name="find">The program of the keeper, asked for when one is started: it may be replaced or removed while we run.</param>
/// <param name="life">The Pod's life-lock; null for a trial, which is no Pod.</param>
internal sealed class CommandLauncher(string level, Func<PodProgram> find, PodLock? life, Func<string, string?> environment, TimeProvider time) : IAsyncDisposable
{
    private readonly SemaphoreSlim _one = new(1);
    private CommandKeeper? _keeper;
    private bool _closed;

    internal string Level => level;

    /// <summary>Of the last command, at level <c>partial</c>.</summary>
    internal LastRuleset Ruleset { get; } = new();

    /// <summary>The policy as places.</summary>
    /// <param name="sockets">Of the host, besides those that the kernel lists and those that a rule names.</param>
    /// <exception cref="SandboxException">It cannot be held so.</exception>
    internal SandboxView Look(SandboxPolicy policy, params IEnumerable<string> sockets) =>
        SandboxView.Of(policy, level == SandboxLevel.Kernel ? HostSockets.Now().Concat(policy.Targets).Concat(sockets) : []);

    /// <summary>True if commands under this policy can connect to socket files: only where nothing else forbids it are those of the host looked for.</summary>
    internal bool ReachesSockets(SandboxPolicy policy) => level == SandboxLevel.Kernel && !policy.Network;

    /// <summary>When this returns the command waits at its gate, held and marked; nothing of it has run.</summary>
    /// <exception cref="SandboxException">It cannot be held; nothing was run.</exception>
    /// <exception cref="TimeoutException">The same, but something is left that does not die.</exception>
    internal Task<SandboxedCommand> StartAsync(CommandOrder order, CancellationToken ct) => level switch
    {
        SandboxLevel.Kernel => StartWithBubblewrapAsync(order, ct),
        SandboxLevel.Partial => StartWithKeeperAsync(order, ct),
        _ => throw new SandboxException($"at level {level} no commands are run"),
    };

    /// <summary>
    /// Has what the next command runs in made ready, as far as that can be before it is known: at level <c>partial</c> its shell. If things are
    /// otherwise when the command comes, it is of no use and does no harm.
    /// </summary>
    /// <param name="isLate">True from when the command is there: it begins one of its own if none is there by then.</param>
    /// <exception cref="SandboxException">What the command itself will say.</exception>
    internal async Task PrepareAsync(string podDirectory, SandboxPolicy policy, SandboxView view, PrivatePlaces places, CommandLimits limits, Func<bool> isLate)
    {
        if (level != SandboxLevel.Partial) return;
        ThrowIfKeeperIsWritable(policy);
        var shell = Landlock.Compose(Ruleset, policy, view, places, limits, environment);
        using (shell.Ruleset) (await KeeperAsync(CancellationToken.None)).Prepare(shell, podDirectory, limits, isLate);
    }

    /// <summary>Ends what the keeper holds, and the keeper.</summary>
    public async ValueTask DisposeAsync()
    {
        await _one.WaitAsync();
        try
        {
            _closed = true;
            if (_keeper is { } living) await living.DisposeAsync();
            _keeper = null;
            Ruleset.Dispose();
        }
        finally
        {
            _one.Release();
        }
    }

    private async Task<SandboxedCommand> StartWithBubblewrapAsync(CommandOrder order, CancellationToken ct)
    {
        var command = Bubblewrap.Compose(Bubblewrap.Find(), order.Policy, order.View, order.Places, order.Limits, order.Cwd, order.Line, environment, order.Home, order.Background);
        var about = order.About is null ? null : await order.About; // Before the view is made: what is replaced later is seen as replaced.
        var started = await BubblewrapHold.StartAsync(order.PodDirectory, command, order.OutputPath, order.Limits, time, ct, about);
        try
        {
            if (order.View.Mismatch(started.Process.Pid) is { } changed) throw new SandboxException($"{changed} was exchanged while the sandbox was made; run the command again");
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            started.Mark.Remove();
            throw;
        }
    }

    private async Task<SandboxedCommand> StartWithKeeperAsync(CommandOrder order, CancellationToken ct)
    {
        ThrowIfKeeperIsWritable(order.Policy);
        using var command = Landlock.Compose(Ruleset, order.Policy, order.View, order.Places, order.Limits, order.Cwd, order.Line, environment, order.Home, order.Background);
        var keeper = await KeeperAsync(ct);
        try
        {
            return await StartAsync(keeper);
        }
        catch (SandboxException) when (keeper.IsGone)
        {
            // Somebody ended it, before or meanwhile; nothing of the command has run.
            return await StartAsync(await KeeperAsync(ct));
        }

        Task<SandboxedCommand> StartAsync(CommandKeeper with) => with.StartAsync(order.PodDirectory, command, order.OutputPath, order.Limits, order.About, ct);
    }

    private void ThrowIfKeeperIsWritable(SandboxPolicy policy)
    {
        if (Keeper().WritableBy(policy.Access) is { } program)
            throw new SandboxException($"{program} lies in the writable scope; a command could replace it");
    }

    private PodProgram Keeper()
    {
        try
        {
            return find();
        }
        catch (LaunchException e)
        {
            throw new SandboxException(e.Message);
        }
    }

    private async Task<CommandKeeper> KeeperAsync(CancellationToken ct)
    {
        await _one.WaitAsync(ct);
        try
        {
            if (_closed) throw new SandboxException("the Pod is ending; nothing is started any more");
            if (_keeper is { IsGone: false } living) return living;
            if (_keeper is { } dead) await dead.DisposeAsync();
            _keeper = null; // Also if there is no new one.
            return _keeper = CommandKeeper.Start(Keeper(), life, time);
        }
        finally
        {
            _one.Release();
        }
    }
}
