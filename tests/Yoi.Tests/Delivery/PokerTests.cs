using System.Net.Sockets;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Tests.Models;
using Yoi.Tests.Socket;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Delivery;

/// <summary>What a spawner that cannot listen for a moment is told when it can.</summary>
public sealed class PokerTests
{
    [Fact]
    public async Task A_poke_that_a_held_spawner_did_not_take_is_made_again()
    {
        await using var spawner = await new ServedRoom().StartAsync();
        var held = Path.Combine(spawner.Runtime, "held.sock");
        using var mute = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified); // What a stopped Pod looks like.
        mute.Bind(new UnixDomainSocketEndPoint(held));
        mute.Listen(1);
        var time = new ManualTime();
        var tries = 0;
        await using var poker = new Poker(() => ++tries <= 2 ? held : spawner.SocketPath, "child-token", "kid", "0002", time);
        poker.Start();

        poker.Apply(new JournalRecord(7, DateTimeOffset.UnixEpoch, new Entry.RunEnded(1, RunEnd.Cancelled, "human", null, 1), 0, 1, ""));
        foreach (var pause in Poker.Pauses.Take(2))
        {
            await WaitsAsync(Poker.Limit);
            await WaitsAsync(pause);
        }
        await Eventually.Holds(() => !spawner.Asked.IsEmpty);
        Assert.Equal(new Method.Poke("0002", 7), Assert.Single(spawner.Asked).Method);
        Assert.Equal(3, tries);

        async Task WaitsAsync(TimeSpan pause)
        {
            Assert.True(await time.SomethingWaitsAsync(ServedRoom.Ct));
            Assert.Equal(pause, time.Delays[^1]);
            time.Advance(pause);
        }
    }
}
