using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Socket;
using Yoi.Shared;

namespace Yoi.Tests.Socket;

public sealed class LimitTests
{
    private const string Hello = """{"id":0,"method":"hello","params":{"min_version":1,"max_version":1}}""";

    [Fact]
    [Trait("case", "C01")]
    public async Task A_line_without_end_is_refused_at_the_limit()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        var megabyte = new byte[1 << 20];
        Array.Fill(megabyte, (byte)'x');
        var sent = 0L;
        try
        {
            for (; sent < 2L << 30; sent += megabyte.Length) await client.SendBytesAsync(megabyte);
        }
        catch (SocketException e)
        {
            Assert.True(e.SocketErrorCode is SocketError.Shutdown or SocketError.ConnectionReset or SocketError.ConnectionAborted, $"{e.SocketErrorCode}");
        }
        Assert.InRange(sent, 3L << 20, 8L << 20);
        Assert.Contains("a line has at most 4194304 bytes", await client.LineAsync(), StringComparison.Ordinal);
        Assert.Null(await client.LineAsync());
        await using var next = await room.ClientAsync();
        Assert.Equal("worker", (await next.StatusAsync(ServedRoom.Ct)).Name);
    }

    [Fact]
    public async Task The_longest_line_is_taken_and_one_byte_more_is_not()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        var frame = """{"id":1,"method":"run","params":{"input":""}}""".Length + 1;
        await client.SendAsync($$$"""{"id":1,"method":"run","params":{"input":"{{{new string('x', WireCodec.MaxLineBytes - frame)}}}"}}""");
        Assert.Equal("reply", await client.KindAsync());
        await client.SendAsync($$$"""{"id":1,"method":"run","params":{"input":"{{{new string('x', WireCodec.MaxLineBytes - frame + 1)}}}"}}""");
        Assert.Equal("error internal", await client.KindAsync());
        Assert.Single(room.Asked);
    }

    [Fact]
    public async Task A_connection_too_many_is_told_so_and_there_is_room_again_later()
    {
        await using var room = await new ServedRoom().StartAsync(new SocketLimits { Connections = 3 });
        var open = new List<PodClient>();
        for (var i = 0; i < 3; i++) open.Add(await room.ClientAsync());
        using (var excess = await room.ConnectAsync())
        {
            Assert.Contains("too_many_connections", await excess.LineAsync(), StringComparison.Ordinal);
            Assert.Null(await excess.LineAsync());
        }
        Assert.Equal(ErrorCode.TooManyConnections, (await Assert.ThrowsAsync<PodRefusedException>(() => room.ClientAsync())).Error.Code);
        var unasked = await Assert.ThrowsAsync<PodRefusedException>(() => PodClient.StatusOfAsync(room.SocketPath, ct: ServedRoom.Ct));
        Assert.Equal(ErrorCode.TooManyConnections, unasked.Error.Code);
        await open[0].DisposeAsync();
        while (room.Server.Connections == 3) await Task.Yield();
        await using var next = await room.ClientAsync();
        Assert.NotNull(await next.StatusAsync(ServedRoom.Ct));
        foreach (var client in open) await client.DisposeAsync();
    }

    [Fact]
    [Trait("case", "C02")]
    public async Task A_line_that_drips_is_given_up_and_an_idle_connection_is_not()
    {
        await using var room = await new ServedRoom().StartAsync(new SocketLimits { Line = TimeSpan.FromMilliseconds(300) });
        using var idle = await room.ConnectAsync();
        using var drip = await room.ConnectAsync();
        await drip.SendBytesAsync("{\"meth"u8.ToArray());
        Assert.Contains("was not finished within", await drip.LineAsync(), StringComparison.Ordinal);
        Assert.Null(await drip.LineAsync());
        Assert.Empty(await idle.BeforeStatusAsync());
    }

    [Fact]
    [Trait("case", "C06")]
    [Trait("case", "T13")]
    public async Task Peers_that_break_off_in_every_way_leave_nothing_behind_and_disturb_nobody()
    {
        await using var room = await new ServedRoom { Handle = (_, _) => Task.FromResult<ReplyResult>(new ReplyResult.Accepted(1)) }.StartAsync();
        using var steady = await room.ConnectAsync();
        await steady.SendAsync("""{"method":"cancel"}""");
        var descriptors = 0;
        for (var round = 0; round < 1000; round++)
        {
            if (round == 100)
            {
                await Alone(room);
                descriptors = Descriptors();
            }
            using var client = await room.ConnectAsync();
            switch (round % 5)
            {
                case 0: // half a line, then gone
                    await client.SendBytesAsync("""{"method":"run","params":{"inp"""u8.ToArray());
                    break;
                case 1: // half a line, then half closed: told so
                    await client.SendBytesAsync("""{"method":"run"}"""u8.ToArray());
                    client.Socket.Shutdown(SocketShutdown.Send);
                    Assert.Contains("no newline", await client.LineAsync(), StringComparison.Ordinal);
                    Assert.Null(await client.LineAsync());
                    break;
                case 2: // a whole line, then half closed: answered, then ended
                    await client.SendAsync("""{"id":1,"method":"run","params":{"input":"x"}}""");
                    client.Socket.Shutdown(SocketShutdown.Send);
                    Assert.Equal("reply", await client.KindAsync());
                    Assert.Null(await client.LineAsync());
                    break;
                case 3: // gone with answers unread: a reset
                    await client.SendAsync(Hello);
                    await client.SendAsync("""{"id":1,"method":"status"}""");
                    client.Socket.LingerState = new LingerOption(true, 0);
                    break;
                case 4: // does not read, but is done
                    client.Socket.Shutdown(SocketShutdown.Receive);
                    await client.SendAsync("""{"id":1,"method":"run","params":{"input":"x"}}""");
                    break;
            }
        }
        var until = Stopwatch.StartNew();
        while (room.Asked.Count(a => a.Method is Method.Run) < 400 && until.Elapsed < ServedRoom.Patience) await Task.Yield();
        await Alone(room);
        await Eventually.Holds(() => Descriptors() <= descriptors + 100); // Other tests open some, or hundreds for a moment; a leak would be 900 for ever.
        Assert.Equal(400, room.Asked.Count(a => a.Method is Method.Run));
        Assert.Empty(await steady.BeforeStatusAsync());
        Assert.False(room.Server.Completion.IsFaulted);
    }

    /// <summary>Waits until one connection is left.</summary>
    private static Task Alone(ServedRoom room) => Eventually.Holds(() => room.Server.Connections == 1);

    private static int Descriptors() => Directory.GetFiles("/proc/self/fd").Length;

    [Fact]
    [Trait("case", "T15")]
    public async Task A_long_method_sent_byte_by_byte_under_a_flood_of_events_is_parsed_once_and_whole()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"cancel"}""");
        await Eventually.Holds(() => room.Asked.Count == 1); // From here on it listens.
        var text = string.Concat(Enumerable.Range(0, Slice.Of(1 << 17, 1 << 20) / 8).Select(i => i.ToString("d8", null)));
        var line = Encoding.UTF8.GetBytes($$$"""{"id":"long","method":"run","params":{"input":"{{{text}}}"}}""" + "\n");
        var sending = Task.Run(() =>
        {
            for (var i = 0; i < line.Length; i++) client.Socket.Send(line, i, 1, SocketFlags.None);
        }, ServedRoom.Ct);
        var told = Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++) await room.Append([.. Enumerable.Range(0, 100).Select(n => new Entry.TurnStart((i * 100) + n))]);
        }, ServedRoom.Ct);
        var (events, replies) = (0, 0);
        while (events < 10_000 || replies < 1)
        {
            var kind = await client.KindAsync();
            if (kind == "turn_start") events++;
            else if (kind == "reply") replies++;
            else Assert.Fail(kind);
        }
        await sending;
        await told;
        Assert.Equal(text, Assert.Single(room.Asked.Select(a => a.Method).OfType<Method.Run>()).Input);
    }

    [Fact]
    [Trait("case", "C10")]
    public async Task A_subscriber_that_does_not_read_is_cut_off_with_a_gap_and_nobody_else_notices()
    {
        const int count = 100_000;
        // What is held for one that does not read is what it is told before it is cut off: a backlog of records, one of lines, and what is in the socket.
        const int backlog = 256 << 10, most = (2 * backlog) + (512 << 10);
        var limits = new SocketLimits { BacklogBytes = backlog };
        await using var room = await new ServedRoom().StartAsync(limits);
        await using var quick = await room.ClientAsync();
        var all = Task.Run(async () =>
        {
            var seqs = new List<long>();
            await foreach (var message in quick.AttachAsync(ct: ServedRoom.Ct))
            {
                if (message is PodMessage.Entered entry) seqs.Add(entry.Seq);
                if (seqs.Count == count + 1) break;
            }
            return seqs;
        }, ServedRoom.Ct);
        using var slow = await room.ConnectAsync();
        slow.Socket.ReceiveBufferSize = 4096;
        await slow.SendAsync(Hello);
        await slow.SendAsync("""{"id":1,"method":"attach"}""");
        for (var i = 0; i < 2; i++) Assert.Equal("reply", await slow.KindAsync()); // Until hello is read, it may hear what everybody hears.
        using var slowBase = await room.ConnectAsync();
        await slowBase.SendAsync("""{"method":"cancel"}""");
        while (room.Asked.IsEmpty) await Task.Yield();
        for (var i = 0; i < count / 100; i++)
            await room.Append([.. Enumerable.Range(0, 100).Select(n => new Entry.TurnStart((i * 100) + n))]);
        Assert.Equal(Enumerable.Range(1, count + 1).Select(i => (long)i), await all.WaitAsync(TimeSpan.FromMinutes(2), ServedRoom.Ct));

        var (last, told) = (0L, 0L);
        long? gap = null;
        while (gap is null)
        {
            var text = await slow.LineAsync();
            told += text!.Length;
            var line = JsonDocument.Parse(text).RootElement;
            if (!line.TryGetProperty("event", out var name)) continue;
            if (name.GetString() == "gap") gap = line.GetProperty("data").GetProperty("next_seq").GetInt64();
            else Assert.Equal(++last, line.GetProperty("data").GetProperty("seq").GetInt64());
        }
        Assert.Equal(last + 1, gap);
        Assert.InRange(told, 1, most);
        await slow.SendAsync($$$"""{"id":2,"method":"attach","params":{"from_seq":{{{gap}}}}}"""); // and resumes from there
        Assert.Equal("reply", await slow.KindAsync());
        Assert.Equal(gap, (await slow.JsonAsync()).GetProperty("data").GetProperty("seq").GetInt64());

        told = 0;
        var end = await slowBase.LineAsync();
        for (; end!.Contains("turn_start", StringComparison.Ordinal); end = await slowBase.LineAsync()) told += end.Length;
        Assert.Contains("internal", end, StringComparison.Ordinal);
        Assert.InRange(told, 1, most);
        Assert.Null(await slowBase.LineAsync());
    }

    [Fact]
    public async Task Methods_of_a_sender_that_never_reads_are_all_done()
    {
        await using var room = await new ServedRoom().StartAsync(new SocketLimits { BacklogBytes = 64 << 10 });
        using var deaf = await room.ConnectAsync();
        deaf.Socket.ReceiveBufferSize = 4096;
        await deaf.SendAsync(Hello);
        for (var i = 0; i < 50_000; i++) await deaf.SendAsync($$$"""{"id":{{{i}}},"method":"notify","params":{"source":"s","message":"m"}}""");
        await room.ClientAsync(); // Others are served meanwhile.
        var until = Stopwatch.StartNew();
        while (room.Asked.Count < 50_000 && until.Elapsed < ServedRoom.Patience) await Task.Yield();
        Assert.Equal(50_000, room.Asked.Count);
    }

    [Fact]
    public async Task Requests_that_wait_for_the_disk_are_taken_up_to_a_number_of_bytes_and_the_rest_waits_in_the_socket()
    {
        await using var room = await new ServedRoom().StartAsync(new SocketLimits { InFlightBytes = 1 << 20 });
        var disk = new TaskCompletionSource();
        room.Handle = async (_, _) =>
        {
            await disk.Task;
            return new ReplyResult.Done();
        };
        using var client = await room.ConnectAsync();
        await client.SendAsync(Hello);
        Assert.Equal("reply", await client.KindAsync());
        var text = new string('x', 600_000);
        var sending = Task.Run(async () =>
        {
            for (var i = 1; i <= 10; i++) await client.SendAsync($$$"""{"id":{{{i}}},"method":"notify","params":{"source":"s","message":"{{{text}}}"}}""");
        }, ServedRoom.Ct);
        await Eventually.Holds(() => room.Asked.Count >= 2);
        await using (var other = await room.ClientAsync())
            for (var i = 0; i < 100; i++) await other.StatusAsync(ServedRoom.Ct); // Time enough to take more, if it did.
        Assert.Equal(2, room.Asked.Count);

        disk.SetResult();
        await sending;
        for (var i = 1; i <= 10; i++) Assert.Equal("reply", await client.KindAsync());
        Assert.Equal(10, room.Asked.Count);
    }

    [Fact]
    [Trait("case", "C16")]
    public async Task Whatever_a_text_contains_one_event_is_one_line()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"cancel"}""");
        await Eventually.Holds(() => room.Asked.Count == 1); // From here on it listens.
        string[] texts = ["a\nb\r\nc", "\u2028\u2029\u0085", "\u001b]0;title\u0007\u001b[31m", "\0\u0001\u007f", new string('\u00fc', 2_500_000), "\ud83d\ude00 </script> \"\\"];
        foreach (var text in texts)
        {
            await room.Append(new Entry.Assistant(0, [new AssistantBlock.Text(text)], null, "end"));
            Assert.Equal(text, (await client.JsonAsync()).GetProperty("data").GetProperty("text").GetString()); // delta
            Assert.Equal(text, (await client.JsonAsync()).GetProperty("data").GetProperty("text").GetString()); // done
            Assert.Equal("turn_end", await client.KindAsync());
        }
    }
}
