using System.Net.Sockets;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Socket;
using Yoi.Shared;
using Yoi.Tests.Models;

namespace Yoi.Tests.Socket;

/// <summary>More clients than a Pod has room for, and clients that come and go without end.</summary>
public sealed class CrowdTests
{
    [Fact, Trait("case", "C02")]
    public async Task Three_hundred_lines_that_drip_are_given_up_at_the_limit_and_a_client_among_them_waits_for_no_clock()
    {
        const int count = 300;
        var (time, limits) = (new ManualTime(), new SocketLimits { Connections = count + 10 });
        await using var room = await new ServedRoom { Time = time }.StartAsync(limits);
        await using var client = await room.ClientAsync();
        var running = time.Running;
        var drips = new List<RawClient>();
        try
        {
            for (var i = 0; i < count; i++) drips.Add(await room.ConnectAsync());
            foreach (var drip in drips) await drip.SendBytesAsync("x"u8.ToArray());
            await Eventually.Holds(() => time.Running == running + count); // Each line's limit has begun.
            for (var second = 1; second < limits.Line.TotalSeconds; second++)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                foreach (var drip in drips) await drip.SendBytesAsync("x"u8.ToArray());
                Assert.Equal("worker", (await client.StatusAsync(ServedRoom.Ct)).Name); // While the clock stands still, whatever the drips do.
                Assert.Equal(count + 1, room.Server.Connections);
            }
            time.Advance(TimeSpan.FromSeconds(1));
            foreach (var drip in drips)
            {
                Assert.Contains("was not finished within", await drip.LineAsync(), StringComparison.Ordinal);
                Assert.Null(await EndAsync(drip));
            }
            await Eventually.Holds(() => room.Server.Connections == 1);
            Assert.Equal(running, time.Running);
        }
        finally
        {
            foreach (var drip in drips) drip.Dispose();
        }

        // A connection that is closed with a byte of the line unread ends by a reset.
        static async Task<string?> EndAsync(RawClient drip)
        {
            try
            {
                return await drip.LineAsync();
            }
            catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
            {
                return null;
            }
        }
        Assert.Equal("worker", (await client.StatusAsync(ServedRoom.Ct)).Name);
    }

    [Fact, Trait("case", "T12")]
    public async Task Ten_thousand_probes_of_a_Pod_and_of_one_that_is_silent_leave_no_descriptor_on_either_side()
    {
        await using var pod = await RealPod.StartAsync();
        var (mine, its) = (0, 0);
        for (var round = 0; round < Slice.Of(1_000, 10_000); round++)
        {
            if (round == 100) (mine, its) = (Mine(), Its());
            await using var client = await pod.ClientAsync();
            if (round % 2 == 0) await client.StatusAsync(ServedRoom.Ct);
        }
        await Eventually.Holds(() => Its() <= its + 10);
        await Eventually.Holds(() => Mine() <= mine + 50); // Other tests open some, or hundreds for a moment; a leak would be hundreds for ever.

        pod.Process.Signal(Libc.SigStop);
        await Eventually.Holds(() => Directory.GetDirectories($"/proc/{pod.Launched.Pid}/task").All(thread => File.ReadAllText(thread + "/stat").Contains(") T ", StringComparison.Ordinal)));
        for (var round = 0; round < Slice.Of(100, 1_000); round++)
            await Assert.ThrowsAnyAsync<Exception>(() => PodClient.ConnectAsync(pod.Socket, limit: TimeSpan.FromMilliseconds(1), ct: ServedRoom.Ct));
        pod.Process.Signal(Libc.SigCont);
        await using (var client = await ServedAsync()) Assert.Equal("lead", (await client.StatusAsync(ServedRoom.Ct)).Name);
        await Eventually.Holds(() => Its() <= its + 60); // A debug build opens further assemblies; a leak would be a hundred.
        await Eventually.Holds(() => Mine() <= mine + 50);

        // What a thousand probes left is more than it serves at once: until it has worked that off it says so.
        async Task<PodClient> ServedAsync()
        {
            using var patience = new CancellationTokenSource(RealPod.Patience);
            while (true)
            {
                try
                {
                    return await pod.ClientAsync();
                }
                catch (PodRefusedException e) when (e.Error.Code == ErrorCode.TooManyConnections)
                {
                    patience.Token.ThrowIfCancellationRequested();
                }
            }
        }

        int Mine() => Directory.GetFiles("/proc/self/fd").Length;
        int Its() => Directory.GetFiles($"/proc/{pod.Launched.Pid}/fd").Length;
    }
}
