using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Yoi.Tests.Models;

/// <summary>
/// A clock that stands still until it is told to go on. With <paramref name="runDelays"/>, whatever is created with a wait (so
/// Task.Delay, not a limit of time that is armed later) has waited at once, and <paramref name="eachDelay"/> has been called;
/// <see cref="Delays"/> says how long.
/// </summary>
internal sealed class ManualTime(bool runDelays = false, Action? eachDelay = null) : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private readonly ConcurrentQueue<TimeSpan> _delays = new();
    private readonly Channel<bool> _waiting = Channel.CreateUnbounded<bool>();
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private DateTimeOffset _now = Began;

    internal IReadOnlyList<TimeSpan> Delays => [.. _delays];

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
            return _now;
    }

    /// <summary>Since the clock was made.</summary>
    internal TimeSpan Elapsed => GetUtcNow() - Began;

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>How many limits and delays run now.</summary>
    internal int Running
    {
        get
        {
            lock (_lock)
                return _timers.Count(timer => timer.Due != DateTimeOffset.MaxValue);
        }
    }

    /// <summary>Waits until something waits (a limit is armed, a delay begun) that was not waited for before.</summary>
    internal ValueTask<bool> SomethingWaitsAsync(CancellationToken ct) => _waiting.Reader.ReadAsync(ct);

    internal void Advance(TimeSpan by)
    {
        List<ManualTimer> due;
        lock (_lock)
        {
            _now += by;
            due = [.. _timers.Where(timer => timer.Due <= _now)];
            foreach (var timer in due)
                timer.Due = DateTimeOffset.MaxValue;
        }
        foreach (var timer in due)
            timer.Fire();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        lock (_lock)
            _timers.Add(timer);
        if (dueTime != Timeout.InfiniteTimeSpan)
            _delays.Enqueue(dueTime);
        if (runDelays && dueTime != Timeout.InfiniteTimeSpan)
        {
            lock (_lock)
                _now += dueTime;
            eachDelay?.Invoke();
            ThreadPool.QueueUserWorkItem(_ => timer.Fire());
        }
        else
        {
            timer.Change(dueTime, period);
        }
        return timer;
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        internal DateTimeOffset Due { get; set; } = DateTimeOffset.MaxValue;

        internal void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
                Due = dueTime == Timeout.InfiniteTimeSpan ? DateTimeOffset.MaxValue : time._now + dueTime;
            if (dueTime != Timeout.InfiniteTimeSpan)
                time._waiting.Writer.TryWrite(true);
            return true;
        }

        public void Dispose()
        {
            lock (time._lock)
                time._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
