using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>
/// What the next command runs in, made ready while the model writes the call, at a level that can do that. The call may never come, or find
/// things otherwise: then it is of no use, and does no harm.
/// </summary>
internal sealed class Preparation(CommandScope scope, CommandLauncher launcher, string podDirectory, CommandLimits limits)
{
    private readonly Lock _gate = new();
    private Attempt? _newest;
    private bool _closed;

    private sealed class Attempt
    {
        internal Task Ended { get; set; } = Task.CompletedTask;
        internal volatile bool IsLate;
    }

    /// <summary>Completes when nothing is being made ready.</summary>
    internal Task Ended => _newest?.Ended ?? Task.CompletedTask;

    /// <summary>A call is being written. Returns at once.</summary>
    internal void Begin()
    {
        lock (_gate)
        {
            if (_closed || launcher.Level != SandboxLevel.Partial || !Ended.IsCompleted) return;
            var attempt = _newest = new();
            attempt.Ended = Task.Run(() => MakeAsync(attempt));
        }
    }

    /// <summary>The command is there: it uses what is ready, and waits for nothing else.</summary>
    internal void Leave()
    {
        lock (_gate)
        {
            if (_newest is { } attempt) attempt.IsLate = true;
        }
    }

    /// <summary>Begins nothing any more. Completes when nothing is being made ready, however that ended.</summary>
    internal Task CloseAsync()
    {
        lock (_gate) _closed = true;
        Leave();
        return Task.WhenAny(Ended); // Whatever failed there, no command was in it.
    }

    private async Task MakeAsync(Attempt attempt)
    {
        try
        {
            using var lease = await scope.HoldAsync(CancellationToken.None);
            if (attempt.IsLate) return;
            var held = scope.Look();
            if (!attempt.IsLate) await launcher.PrepareAsync(podDirectory, held.Policy, held.View, held.Places, limits, () => attempt.IsLate);
        }
        catch (Exception e) when (e is SandboxException or ScopeException or IOException or UnauthorizedAccessException or TimeoutException)
        {
            // The command looks for itself, and says what is in the way if something is then.
        }
    }
}
