namespace Yoi.Runtime.Scopes;

/// <summary>
/// Many shared leases or one exclusive one, in the order in which they were asked for: whoever waits for the exclusive lease
/// holds up those who come after. Nobody polls; a wait can be cancelled.
/// </summary>
internal sealed class LeaseGate
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _waiting = new();
    private int _shared;
    private bool _exclusive;

    internal ValueTask<IDisposable> EnterAsync(bool exclusive, CancellationToken ct)
    {
        if (ct.IsCancellationRequested) return ValueTask.FromCanceled<IDisposable>(ct);
        var waiter = new Waiter(exclusive);
        LinkedListNode<Waiter> place;
        lock (_lock)
        {
            if (_waiting.Count == 0 && TryAdmit_NeedsLock(exclusive)) return new(new Lease(this, exclusive));
            place = _waiting.AddLast(waiter);
        }
        return new(WaitAsync(place, ct));
    }

    private async Task<IDisposable> WaitAsync(LinkedListNode<Waiter> place, CancellationToken ct)
    {
        await using var registration = ct.UnsafeRegister((_, token) => GiveUp(place, token), null);
        return await place.Value.Admitted.Task;
    }

    private bool TryAdmit_NeedsLock(bool exclusive)
    {
        if (_exclusive || (exclusive && _shared > 0)) return false;
        if (exclusive) _exclusive = true;
        else _shared++;
        return true;
    }

    private void AdmitNext_NeedsLock()
    {
        while (_waiting.First is { } first && TryAdmit_NeedsLock(first.Value.Exclusive))
        {
            _waiting.RemoveFirst();
            first.Value.Admitted.SetResult(new Lease(this, first.Value.Exclusive));
        }
    }

    private void GiveUp(LinkedListNode<Waiter> place, CancellationToken ct)
    {
        lock (_lock)
        {
            if (place.List is null) return; // Admitted already: the lease is the caller's to give back.
            _waiting.Remove(place);
            AdmitNext_NeedsLock();
        }
        place.Value.Admitted.SetCanceled(ct);
    }

    private void Leave(bool exclusive)
    {
        lock (_lock)
        {
            if (exclusive) _exclusive = false;
            else _shared--;
            AdmitNext_NeedsLock();
        }
    }

    private sealed class Waiter(bool exclusive)
    {
        internal bool Exclusive { get; } = exclusive;

        /// <summary>Continues elsewhere, so that completing it under the lock is safe.</summary>
        internal TaskCompletionSource<IDisposable> Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Lease(LeaseGate gate, bool exclusive) : IDisposable
    {
        private LeaseGate? _gate = gate;

        public void Dispose() => Interlocked.Exchange(ref _gate, null)?.Leave(exclusive);
    }
}
