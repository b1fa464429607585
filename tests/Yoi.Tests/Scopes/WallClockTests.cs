using Xunit;
using Yoi.Runtime.Scopes;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Scopes;

/// <summary>Nothing that is held ends by the clock on the wall: it may be set while somebody holds it.</summary>
public sealed class WallClockTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact, Trait("case", "L08")]
    public async Task A_clock_that_is_set_forward_and_back_by_a_day_neither_ends_what_is_held_nor_holds_anybody_up()
    {
        var clock = new SetClock();
        using var table = new ScopeTable(_room.Directories, clock, _room.IsAlive) { Wait = TimeSpan.FromMilliseconds(300) };
        var lead = _room.Row("lead", "write:/w");
        var lent = _room.Row("kid", "write:/w/a") with { SpawnerId = lead.PodId, Pending = true };
        await table.AcquireAsync(lead, Ct);
        var generation = await table.LendAsync(lead.PodId, lent, Ct);
        foreach (var days in new[] { 1, -1, 0, 3650, -3650 })
        {
            clock.Off = TimeSpan.FromDays(days);
            var held = await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("other", "write:/w/b"), Ct));
            Assert.Equal("lead", held.Holder);
            Assert.Equal("kid", (await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("other", "write:/w/a"), Ct))).Holder);
        }
        await table.AdoptAsync(lent.PodId, generation, 1, Ct); // Pending for years by that clock.

        // The wait for the lock is as long as it is by no clock at all.
        using (await TableLock.TakeAsync(_room.Directories, _room.IsAlive, clock, "holder", TimeSpan.FromSeconds(20), Ct))
        {
            clock.SetOnEveryLook = true;
            var began = TimeProvider.System.GetTimestamp();
            var busy = await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("waiter", "write:/x"), Ct));
            Assert.Contains("holder", busy.Message, StringComparison.Ordinal);
            Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(20));
        }
        await table.AcquireAsync(_room.Row("waiter", "write:/x"), Ct);
        _room.Kill(lead);
        _room.Kill(lent);
        await table.AcquireAsync(_room.Row("next", "write:/w"), Ct); // The control: what does end it.
    }

    /// <summary>Rooms that hold, lend, wait and stop know no wall clock; times of files are told from each other by one.</summary>
    [Fact, Trait("case", "L08")]
    public void Nothing_that_holds_waits_or_stops_asks_the_clock_on_the_wall()
    {
        string[] rooms = ["Scopes", "Sandbox", "Spawning", "Control", "Socket", "Delivery", "Turns"];
        var asked = rooms.SelectMany(room => SourceTree.Below("src/Yoi.Runtime/" + room)).Where(file => file.Code.Contains("GetUtcNow", StringComparison.Ordinal) || file.Code.Contains("GetLocalNow", StringComparison.Ordinal));
        Assert.Equal(["RepositoryIndex.cs"], asked.Select(file => file.FileName));
        Assert.Contains(SourceTree.Below("src/Yoi.Runtime/Journal"), file => file.Code.Contains("GetUtcNow", StringComparison.Ordinal)); // The check sees it where it is: entries have times.
    }

    /// <summary>The system's clock, set to another day; intervals are not touched by that.</summary>
    private sealed class SetClock : TimeProvider
    {
        private int _looks;

        internal TimeSpan Off { get; set; }

        internal bool SetOnEveryLook { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + (SetOnEveryLook ? TimeSpan.FromDays(Interlocked.Increment(ref _looks) % 2 == 0 ? 1 : -1) : Off);
    }
}
