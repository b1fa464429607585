using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

public sealed class LeaseGateTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Writes_share_and_lending_waits_for_all_of_them()
    {
        var gate = new LeaseGate();
        var first = await gate.EnterAsync(false, Ct);
        var second = await gate.EnterAsync(false, Ct);
        var lending = gate.EnterAsync(true, Ct).AsTask();
        Assert.False(lending.IsCompleted);
        first.Dispose();
        first.Dispose(); // Twice is once.
        Assert.False(lending.IsCompleted);
        second.Dispose();
        (await lending).Dispose();
        (await gate.EnterAsync(false, Ct)).Dispose();
    }

    [Fact]
    public async Task A_waiting_lender_holds_up_the_writes_that_come_after_it()
    {
        var gate = new LeaseGate();
        var first = await gate.EnterAsync(false, Ct);
        var lending = gate.EnterAsync(true, Ct).AsTask();
        var late = gate.EnterAsync(false, Ct).AsTask();
        var later = gate.EnterAsync(false, Ct).AsTask();
        Assert.False(late.IsCompleted);
        first.Dispose();
        using (await lending) Assert.False(late.IsCompleted || later.IsCompleted);
        (await late).Dispose();
        (await later).Dispose();
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_lets_the_next_ones_in()
    {
        var gate = new LeaseGate();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        using var first = await gate.EnterAsync(false, Ct);
        var lending = gate.EnterAsync(true, cancel.Token).AsTask();
        var late = gate.EnterAsync(false, Ct).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => lending);
        (await late).Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gate.EnterAsync(false, cancel.Token).AsTask());
    }

    [Fact]
    public async Task Two_lenders_never_overlap_nor_a_lender_and_a_write()
    {
        var gate = new LeaseGate();
        var (writers, lenders, turns) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(number => Task.Run(
            async () =>
            {
                for (var i = 0; i < 300; i++)
                {
                    var exclusive = (number + i) % 4 == 0;
                    using var lease = await gate.EnterAsync(exclusive, Ct);
                    if (exclusive) Assert.Equal((1, 0), (Interlocked.Increment(ref lenders), Volatile.Read(ref writers)));
                    else
                    {
                        Interlocked.Increment(ref writers);
                        Assert.Equal(0, Volatile.Read(ref lenders));
                    }
                    await Task.Yield();
                    Interlocked.Increment(ref turns);
                    if (exclusive) Interlocked.Decrement(ref lenders);
                    else Interlocked.Decrement(ref writers);
                }
            },
            Ct)));
        Assert.Equal(16 * 300, turns);
    }
}
