using System.Runtime.InteropServices;

namespace Yoi;

/// <summary>
/// Ctrl-C, a closed terminal and TERM while a verb runs: counted, never acted on here. Whoever owns the Pod decides.
/// </summary>
internal sealed class Interrupts : IDisposable
{
    private readonly PosixSignalRegistration[] _registrations;
    private readonly Lock _lock = new();
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _interrupts, _raised;

    internal Interrupts()
    {
        _registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGHUP, PosixSignal.SIGTERM }.Select(signal =>
            PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                Raise(context.Signal);
            }))];
    }

    /// <summary>How often Ctrl-C was pressed.</summary>
    internal int Count => Volatile.Read(ref _interrupts);

    /// <summary>Exit code of the signal that says: end now. Null while none came.</summary>
    internal int? EndCode { get; private set; }

    /// <summary>Signals of every kind so far.</summary>
    internal int Raised => Volatile.Read(ref _raised);

    /// <summary>Completes when more than <paramref name="seen"/> signals have come; at once if they have: none falls between two waits.</summary>
    internal Task After(int seen)
    {
        lock (_lock) return _raised > seen ? Task.CompletedTask : _next.Task;
    }

    internal void Raise(PosixSignal signal)
    {
        TaskCompletionSource raised;
        lock (_lock)
        {
            _raised++;
            if (signal == PosixSignal.SIGINT) _interrupts++;
            if (signal == PosixSignal.SIGHUP) EndCode ??= ExitCode.HungUp;
            if (signal == PosixSignal.SIGTERM) EndCode ??= ExitCode.Terminated;
            if (_interrupts >= 2) EndCode ??= ExitCode.Interrupted;
            (raised, _next) = (_next, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        raised.SetResult();
    }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
    }
}
