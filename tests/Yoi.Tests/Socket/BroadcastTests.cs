using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Socket;

namespace Yoi.Tests.Socket;

public sealed class BroadcastTests
{
    [Fact]
    public async Task A_journal_that_cannot_be_read_ends_the_base_clients_that_missed_something_and_nobody_who_comes_later()
    {
        await using var room = new ServedRoom();
        await room.StartAsync(new SocketLimits { BroadcastBytes = 4096 });
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"get_history"}""");
        Assert.Contains("history", await client.LineAsync(), StringComparison.Ordinal);
        await room.Append(new Entry.Notification("warn", "test", "heard"));
        Assert.Contains("heard", await client.LineAsync(), StringComparison.Ordinal);

        File.Move(room.JournalPath, room.JournalPath + ".away"); // The Pod writes on into its open file.
        await room.Append(new Entry.Notification("warn", "test", new string('x', 100_000))); // More than waits in memory: read from the file.
        var last = await client.LineAsync();
        Assert.Contains("\"event\":\"error\"", last, StringComparison.Ordinal);
        Assert.Contains("\"internal\"", last, StringComparison.Ordinal);
        Assert.Contains("cannot be read", last, StringComparison.Ordinal);
        Assert.Null(await client.LineAsync());

        using var later = await room.ConnectAsync();
        await later.SendAsync("""{"method":"get_history"}""");
        while (!(await later.LineAsync())!.Contains("\"error\"", StringComparison.Ordinal)) { } // Its history cannot be read either.
        await room.Append(new Entry.Notification("warn", "test", "heard again"));
        Assert.Contains("heard again", await later.LineAsync(), StringComparison.Ordinal);
        File.Move(room.JournalPath + ".away", room.JournalPath);
    }

    [Fact]
    public async Task A_base_client_that_is_there_before_the_journal_is_read_back_hears_each_notification()
    {
        const int Before = 2000; // As many as take the server longer to read than a client to connect.
        await using var room = new ServedRoom();
        await room.StartAsync(new SocketLimits { Notifications = Before + 1 }, before: [.. Enumerable.Range(1, Before).Select(i => new Entry.Notification("warn", "test", $"<{i}>" + new string('x', 2000)))]);
        using var client = await room.ConnectAsync();
        await client.SendAsync("""{"method":"cancel"}""");
        await room.Append(new Entry.Notification("warn", "test", $"<{Before + 1}>"));

        List<int> heard = [];
        while (heard.LastOrDefault() <= Before) heard.Add(int.Parse((await client.LineAsync())!.Split('<', '>')[1], System.Globalization.CultureInfo.InvariantCulture));

        Assert.Equal(Enumerable.Range(1, Before + 1), heard);
    }
}
