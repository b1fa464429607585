namespace Yoi.Runtime.Models.Wire;

/// <summary>
/// The one running limit of time of a try. It runs only while something is waited for, never while the reader of the
/// events is busy elsewhere. Its token ends by the limit or by the caller; <see cref="Failure"/> tells them apart.
/// </summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly ITimer _timer;
    private string _waitingFor = "";
    private int _ms;
    private volatile bool _passed;

    internal Deadline(TimeProvider time, CancellationToken ct)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(ct);
        _timer = time.CreateTimer(_ => Pass(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    internal CancellationToken Token => _source.Token;

    /// <summary>What passed, or null.</summary>
    internal ModelException? Failure => _passed
        ? new ModelException(ModelFailure.Timeout, $"{_waitingFor} within {_ms / 1000.0:0.###} s", produced: false, retryable: true, broke: true)
        : null;

    internal void Start(int ms, string waitingFor)
    {
        (_ms, _waitingFor) = (ms, waitingFor);
        _timer.Change(TimeSpan.FromMilliseconds(ms), Timeout.InfiniteTimeSpan);
    }

    internal void Pause() => _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public void Dispose()
    {
        _timer.Dispose();
        _source.Dispose();
    }

    private void Pass()
    {
        _passed = true;
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The try ended while its limit passed: there is nothing left to end.
            _passed = false;
        }
    }
}
