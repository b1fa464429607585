using System.Diagnostics;
using System.Net.Sockets;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Socket;
using Yoi.Tests.Models;
using Yoi.Tests.Socket;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Protocol;

public sealed class PodClientTests
{
    [Fact]
    public async Task Many_requests_are_under_way_at_once_and_each_gets_its_own_answer()
    {
        await using var room = await new ServedRoom
        {
            Handle = async (method, _) =>
            {
                await Task.Yield();
                return new ReplyResult.Accepted(long.Parse(((Method.Run)method).Input, null));
            },
        }.StartAsync();
        await using var client = await room.ClientAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 2000).Select(i => client.RunAsync($"{i}", ct: ServedRoom.Ct)));
        Assert.Equal(Enumerable.Range(0, 2000).Select(i => (long)i), answers.Select(a => a.Seq));
    }

    [Fact]
    public async Task A_refusal_carries_code_words_and_what_would_have_worked()
    {
        await using var room = await new ServedRoom { Handle = (_, _) => throw new RefusedException(ErrorCode.AlreadyRunning, "busy", ["queue"]) }.StartAsync();
        await using var client = await room.ClientAsync();
        var refused = await Assert.ThrowsAsync<PodRefusedException>(() => client.RunAsync("x", ct: ServedRoom.Ct));
        Assert.Equal((ErrorCode.AlreadyRunning, "busy", "queue"), (refused.Error.Code, refused.Message, refused.Error.Candidates![0]));
        await Assert.ThrowsAsync<ArgumentException>(() => client.AskAsync(new Method.Attach(), ServedRoom.Ct));
    }

    [Fact]
    public async Task The_status_alone_is_that_which_a_client_is_told_and_leaves_no_connection()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var client = await room.ClientAsync();
        var alone = await PodClient.StatusOfAsync(room.SocketPath, ct: ServedRoom.Ct);
        Assert.Equivalent(await client.StatusAsync(ServedRoom.Ct), alone, strict: true);
        while (room.Server.Connections > 1) await Task.Yield();
        await Assert.ThrowsAsync<IOException>(() => PodClient.StatusOfAsync(room.SocketPath + ".gone", ct: ServedRoom.Ct));
    }

    [Fact]
    public async Task Attach_goes_on_by_itself_after_a_gap_without_loss_or_double()
    {
        const int count = 20_000;
        await using var room = await new ServedRoom().StartAsync(new SocketLimits { BacklogBytes = 100_000 });
        await using var client = await room.ClientAsync();
        var goOn = new TaskCompletionSource();
        var seqs = new List<long>();
        var reading = Task.Run(async () =>
        {
            await foreach (var message in client.AttachAsync(ct: ServedRoom.Ct))
            {
                if (message is not PodMessage.Entered entry) continue;
                seqs.Add(entry.Seq);
                if (seqs.Count == 1) await goOn.Task; // Reads nothing while all is written.
                if (seqs.Count == count + 1) return;
            }
        }, ServedRoom.Ct);
        for (var i = 0; i < count / 100; i++) await room.Append([.. Enumerable.Range(0, 100).Select(_ => new Entry.Input("0123456789"))]);
        goOn.SetResult();
        await reading.WaitAsync(TimeSpan.FromSeconds(60), ServedRoom.Ct);
        Assert.Equal(Enumerable.Range(1, count + 1).Select(i => (long)i), seqs);
    }

    [Fact]
    public async Task A_cancelled_wait_leaves_the_connection_usable()
    {
        var never = new TaskCompletionSource<ReplyResult>();
        await using var room = await new ServedRoom { Handle = (method, _) => method is Method.Run ? never.Task : Task.FromResult<ReplyResult>(new ReplyResult.Done()) }.StartAsync();
        await using var client = await room.ClientAsync();
        using var cts = new CancellationTokenSource();
        var run = client.RunAsync("x", ct: cts.Token);
        await cts.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        await client.CancelAsync(ServedRoom.Ct);
        await using var entries = client.AttachAsync(ct: cts.Token).GetAsyncEnumerator(ServedRoom.Ct);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await entries.MoveNextAsync());
        never.SetResult(new ReplyResult.Done());
    }

    [Fact]
    public async Task A_pod_that_ends_fails_what_waits_and_what_comes_later()
    {
        var asked = new TaskCompletionSource();
        var never = new TaskCompletionSource<ReplyResult>();
        await using var room = await new ServedRoom
        {
            Handle = (_, _) =>
            {
                asked.TrySetResult();
                return never.Task;
            },
        }.StartAsync(new SocketLimits { Linger = TimeSpan.FromMilliseconds(100) });
        await using var client = await room.ClientAsync();
        var run = client.RunAsync("x", ct: ServedRoom.Ct);
        await asked.Task;
        await using var entries = client.AttachAsync(ct: ServedRoom.Ct).GetAsyncEnumerator(ServedRoom.Ct);
        Assert.True(await entries.MoveNextAsync());
        await room.StopServerAsync();
        await Assert.ThrowsAsync<IOException>(() => run);
        await Assert.ThrowsAsync<IOException>(() => client.StatusAsync(ServedRoom.Ct));
        var gone = await Assert.ThrowsAsync<IOException>(async () => await entries.MoveNextAsync());
        Assert.Contains("gone without a word; the last entry seen is 1", gone.Message, StringComparison.Ordinal);
        var none = await Assert.ThrowsAsync<IOException>(() => room.ClientAsync());
        Assert.Contains("the Pod has ended", none.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pod_that_does_not_answer_is_named_so_within_the_limit()
    {
        var path = Path.Combine(Path.GetTempPath(), $"yoi-mute-{Guid.NewGuid():n}.sock");
        using var mute = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified); // What a stopped Pod looks like.
        mute.Bind(new UnixDomainSocketEndPoint(path));
        mute.Listen(1);
        var e = await Assert.ThrowsAsync<TimeoutException>(() => PodClient.ConnectAsync(path, limit: TimeSpan.FromMilliseconds(100), ct: ServedRoom.Ct));
        Assert.Contains("alive", e.Message, StringComparison.Ordinal);
        using var ct = new CancellationTokenSource(100);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PodClient.ConnectAsync(path, ct: ct.Token));
    }

    [Fact, Trait("case", "C10")]
    public async Task A_queue_that_is_full_is_waited_for_and_named_if_it_stays_so()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("yoi-queue-").FullName, "pod.sock");
        using var listener = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        List<NetSocket> queued = [];
        while (TryQueue(path) is { } one) queued.Add(one);
        Assert.NotEmpty(queued);

        var late = await Assert.ThrowsAsync<TimeoutException>(() => PodClient.ConnectAsync(path, limit: TimeSpan.FromMilliseconds(50), ct: ServedRoom.Ct));
        var time = new ManualTime();
        var connecting = UnixAddress.ConnectAsync(path, time, ServedRoom.Ct);
        await time.SomethingWaitsAsync(ServedRoom.Ct);
        Assert.False(connecting.IsCompleted);
        using var accepted = await listener.AcceptAsync(ServedRoom.Ct);
        time.Advance(TimeSpan.FromMilliseconds(2));

        using (await connecting) Assert.Contains("full queue", late.Message, StringComparison.Ordinal);
        foreach (var one in queued) one.Dispose();
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    private static NetSocket? TryQueue(string path)
    {
        var socket = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return socket;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
        {
            socket.Dispose();
            return null;
        }
    }

    [Fact]
    public async Task Start_runs_the_program_with_plain_arguments_and_connects_to_what_it_names()
    {
        await using var room = await new ServedRoom().StartAsync();
        var script = Path.Combine(room.Runtime, "yoi");
        await File.WriteAllTextAsync(script, $$"""
            #!/bin/sh
            printf '%s\n' "$@" > "$0.args"
            [ "$2" = bad ] || cat > "$0.task"
            [ "$2" = bad ] && { echo "the scope is held by other" >&2; exit 3; }
            echo '{"id":"0001","name":"'"$2"'","socket":"{{room.SocketPath}}"}'
            """, ServedRoom.Ct);
        File.SetUnixFileMode(script, (UnixFileMode)0x1C0);
        var start = new PodStart("w", "--do it; $(rm -rf /)" + new string('é', 200_000)) { Executable = script, Write = ["/a b"], Read = ["/c"], Model = "m", Arguments = ["--cwd", "/x"] };
        await using (var client = await PodClient.StartAsync(start, ServedRoom.Ct)) Assert.Equal("worker", client.Welcome.Pod);
        Assert.Equal(
            ["start", "w", "--task", "-", "--write", "/a b", "--read", "/c", "--model", "m", "--cwd", "/x", "--json"],
            await File.ReadAllLinesAsync(script + ".args", ServedRoom.Ct));
        Assert.Equal(start.Task, await File.ReadAllTextAsync(script + ".task", ServedRoom.Ct));
        var refused = await Assert.ThrowsAsync<IOException>(() => PodClient.StartAsync(start with { Name = "bad" }, ServedRoom.Ct));
        Assert.Contains("exit code 3: the scope is held by other", refused.Message, StringComparison.Ordinal);
        var missing = await Assert.ThrowsAsync<IOException>(() => PodClient.StartAsync(start with { Executable = "/nowhere/yoi" }, ServedRoom.Ct));
        Assert.Contains("cannot run /nowhere/yoi", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_longer_than_a_line_is_refused_before_it_is_sent()
    {
        await using var room = await new ServedRoom().StartAsync();
        await using var client = await room.ClientAsync();
        var refused = await Assert.ThrowsAsync<PodRefusedException>(() => client.RunAsync(new string('x', WireCodec.MaxLineBytes), ct: ServedRoom.Ct));
        Assert.Equal(ErrorCode.LineTooLong, refused.Error.Code);
        Assert.Empty(room.Asked);
        Assert.NotNull(await client.StatusAsync(ServedRoom.Ct));
    }

    [Fact]
    public async Task A_hundred_clients_that_come_and_go_under_events_all_get_their_welcome()
    {
        await using var room = await new ServedRoom().StartAsync();
        using var stop = new CancellationTokenSource();
        var told = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) await room.Append(new Entry.TurnStart(0));
        }, ServedRoom.Ct);
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, 100).Select(async _ =>
        {
            await using var client = await room.ClientAsync();
            Assert.NotNull(await client.StatusAsync(ServedRoom.Ct));
        }));
        await stop.CancelAsync();
        await told;
        Assert.True(watch.Elapsed < ServedRoom.Patience);
    }
}
