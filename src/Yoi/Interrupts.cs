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
    private int _interrupts;

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

    /// <summary>Completes at the next signal.</summary>
    internal Task Next
    {
        get
        {
            lock (_lock) return _next.Task;
        }
    }

    internal void Raise(PosixSignal signal)
    {
        TaskCompletionSource raised;
        lock (_lock)
        {
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
