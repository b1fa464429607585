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
}
