using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Spawning;

/// <summary>What comes back by halves, and what those who look see of it.</summary>
public sealed class ComesBackTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task Without_what_others_hold_by_now_a_child_gets_all_the_rest_back()
    {
        var (kid, part) = (_room.Folder("kid"), _room.Folder("kid/part"));
        var root = await _room.Root();
        Assert.False((await root.Spawn("kid", scope: RoomPod.Write(kid))).IsError);
        await _room.Kill(root.Child("kid"));
        await root.Until(entry => entry is Entry.ChildEnded { Child: "kid" });
        Assert.False((await root.Spawn("other", scope: RoomPod.Write(part))).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");

        var refused = await Assert.ThrowsAsync<PodRefusedException>(() => root.Client.AskAsync(new Method.Restore(root.Child("kid").PodId), _room.Ct));
        Assert.Contains("is lent to other", refused.Message, StringComparison.Ordinal);
        await root.Client.AskAsync(new Method.Restore(root.Child("kid").PodId, WithoutHeld: true), _room.Ct);

        var back = await _room.Attach("kid");
        Assert.False((await back.Calls(RoomPod.WriteFile(kid + "/file")))[0].IsError);
        Assert.True((await back.Calls(RoomPod.WriteFile(part + "/file")))[0].IsError);
        Assert.Contains(back.All<Entry.Correction>(), note => note.Text.Contains(part, StringComparison.Ordinal));
        await using (var other = await root.ConnectTo("other")) await other.RunAsync(RoomPod.WriteFile(part + "/file"), ct: _room.Ct);
        await Eventually.Holds(() => File.Exists(part + "/file"));
        await back.Client.DisposeAsync();
    }

    [Fact]
    public async Task Who_attaches_to_a_Pod_that_came_back_sees_all_its_lives_and_not_the_end_of_an_earlier_one()
    {
        var root = await _room.Root();
        await root.Calls();
        await root.Killed();
        await root.Client.DisposeAsync();
        var back = await _room.Restore(root);
        await back.Calls();

        var seen = await back.Until(entry => entry is Entry.RunEnded { Run: 1 });
        Assert.Equal([typeof(Entry.PodCreated), typeof(Entry.ProcessStarted), typeof(Entry.PodEnded), typeof(Entry.ProcessStarted)],
            seen.Where(entry => entry is Entry.PodCreated or Entry.ProcessStarted or Entry.PodEnded).Select(entry => entry.GetType()));
        Assert.Equal((1, RunEnd.Completed), (seen.OfType<Entry.PodEnded>().Single().Totals.Runs, seen.OfType<Entry.PodEnded>().Single().Totals.LastRun));
    }
}
