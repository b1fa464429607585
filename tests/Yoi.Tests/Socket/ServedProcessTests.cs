using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Shared;

namespace Yoi.Tests.Socket;

/// <summary>Hostile and unlucky clients against a real Pod process.</summary>
public sealed class ServedProcessTests(ITestOutputHelper output)
{
    private const string Hello = """{"id":0,"method":"hello","params":{"min_version":1,"max_version":1}}""";

    [Theory, Trait("case", "C01")]
    [InlineData(64L << 20)]
    [InlineData(2L << 30)]
    public async Task A_line_without_end_is_refused_and_the_pods_memory_grows_by_less_than_two_lines(long bytes)
    {
        await using var pod = await RealPod.StartAsync();
        await using var steady = await pod.ClientAsync();
        for (var i = 0; i < 50; i++) await steady.StatusAsync(ServedRoom.Ct);
        var before = Memory(pod, "VmRSS");
        using var client = await pod.ConnectAsync();
        var megabyte = new byte[1 << 20];
        Array.Fill(megabyte, (byte)'x');
        var sent = 0L;
        try
        {
            for (; sent < bytes; sent += megabyte.Length) await client.SendBytesAsync(megabyte);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.Shutdown or SocketError.ConnectionReset or SocketError.ConnectionAborted)
        {
            output.WriteLine($"closed after {sent >> 20} MiB");
        }
        Assert.InRange(sent, 3L << 20, 8L << 20);
        Assert.Contains($"a line has at most {WireCodec.MaxLineBytes} bytes", await client.LineAsync(), StringComparison.Ordinal);
        Assert.Null(await client.LineAsync());
        var grown = Memory(pod, "VmHWM") - before;
        output.WriteLine($"{before >> 20} MiB, and at most {grown >> 10} KiB more");
        Assert.InRange(grown, long.MinValue, 2L * WireCodec.MaxLineBytes);
        Assert.Equal("lead", (await steady.StatusAsync(ServedRoom.Ct)).Name);
    }

    [Fact, Trait("case", "C03"), Trait("case", "C04")]
    public async Task Each_bad_line_of_the_corpus_is_answered_by_one_line_and_the_pod_lives_on()
    {
        await using var pod = await RealPod.StartAsync();
        var corpus = ConnectionTests.BadLines.Select(row => row.Data).ToList();
        Assert.True(corpus.Count > 20);
        foreach (var ours in new[] { true, false })
        {
            using var client = await pod.ConnectAsync();
            if (ours)
            {
                await client.SendAsync(Hello);
                Assert.Equal("reply", await client.KindAsync());
            }
            foreach (var (code, line) in corpus)
            {
                await client.SendBytesAsync(ConnectionTests.Bytes(line + "\n"));
                var kind = await client.KindAsync();
                Assert.True(kind is "error internal" || kind == $"reply {code}" || (ours && kind == $"error {code}"), $"{kind} answers {line[..Math.Min(80, line.Length)]}");
                Assert.Empty(await client.BeforeStatusAsync());
            }
        }
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.Input);
    }

    [Fact, Trait("case", "C04")]
    public async Task Random_lines_leave_the_pod_alive_and_answering()
    {
        var seed = Environment.TickCount;
        var count = Slice.Of(30_000, 1_000_000);
        output.WriteLine($"seed {seed}, {count} lines");
        var random = new Random(seed);
        string[] good = ["""{"id":1,"method":"run","params":{"input":5}}""", """{"method":"notify","params":{"source":"a"}}""", Hello, """{"method":"get_history","params":null}""",
            """{"id":"s","method":"read","params":{"since_seq":0,"max_bytes":100}}""", """{"id":3,"method":"attach","params":{"from_seq":1}}""", """{"id":4,"method":"cancel"}"""];
        await using var pod = await RealPod.StartAsync();
        using var client = await pod.ConnectAsync();
        var reading = Task.Run(async () =>
        {
            while (await client.LineAsync() is { } line)
                if (line.Contains("\"last\"", StringComparison.Ordinal)) return line;
            return null;
        }, ServedRoom.Ct);
        for (var i = 0; i < count; i++)
        {
            var line = Encoding.UTF8.GetBytes(good[random.Next(good.Length)]);
            for (var n = random.Next(5); n > 0; n--) line[random.Next(line.Length)] = (byte)random.Next(256);
            await client.SendBytesAsync((byte[])[.. line.Where(b => b != '\n'), (byte)'\n']);
        }
        await client.SendAsync("""{"id":"last","method":"status"}""");
        Assert.StartsWith("""{"id":"last","result":""", await reading.WaitAsync(RealPod.Patience, ServedRoom.Ct), StringComparison.Ordinal);
        await using var next = await pod.ClientAsync();
        Assert.Equal(PodState.Idle, (await next.StatusAsync(ServedRoom.Ct)).State);
        Assert.Equal("", await File.ReadAllTextAsync(Path.Combine(pod.Directory, PodFiles.Stderr), ServedRoom.Ct));
    }

    [Fact, Trait("case", "C06"), Trait("case", "T13")]
    public async Task A_thousand_clients_that_break_off_during_a_run_leave_no_descriptor_and_the_run_goes_on()
    {
        await using var pod = await RealPod.StartAsync();
        await using var steady = await pod.ClientAsync();
        using (var listener = await pod.ConnectAsync())
        {
            await listener.SendAsync("""{"method":"run","params":{"input":"SLOW 600000"}}""");
            foreach (var kind in new[] { "turn_start", "text_delta" }) Assert.Equal(kind, await listener.KindAsync()); // From here on it says nothing.
        }
        var before = 0;
        for (var round = 0; round < 1000; round++)
        {
            if (round == 100) before = Descriptors(pod);
            using var client = await pod.ConnectAsync();
            switch (round % 5)
            {
                case 0: await client.SendBytesAsync("""{"method":"run","params":{"inp"""u8.ToArray()); break;
                case 1:
                    await client.SendBytesAsync("""{"method":"cancel"}"""u8.ToArray()); // Half a line is not done, though it could be read.
                    client.Socket.Shutdown(SocketShutdown.Send);
                    Assert.Equal("error internal", await client.KindAsync());
                    Assert.Null(await client.LineAsync());
                    break;
                case 2:
                    await client.SendAsync("""{"id":1,"method":"run","params":{"input":"x"}}""");
                    client.Socket.Shutdown(SocketShutdown.Send);
                    Assert.Equal("reply already_running", await client.KindAsync());
                    break;
                case 3:
                    await client.SendAsync("""{"method":"get_history"}""");
                    client.Socket.LingerState = new LingerOption(true, 0); // A reset.
                    break;
                case 4: await client.SendAsync(Hello + "\n" + """{"id":1,"method":"attach"}"""); break;
            }
        }
        await Eventually.Holds(() => Descriptors(pod) <= before + 3, RealPod.Patience);
        Assert.Equal(PodState.Running, (await steady.StatusAsync(ServedRoom.Ct)).State);
        Assert.Single(pod.Records(), record => record.Entry is Entry.Input);
        await steady.CancelAsync(ServedRoom.Ct);
        await Eventually.Holds(() => pod.Records().Any(record => record.Entry is Entry.RunEnded { Reason: RunEnd.Cancelled }), RealPod.Patience);
    }

    [Fact, Trait("case", "C08")]
    public async Task Another_users_program_is_closed_before_a_byte_of_it_is_read()
    {
        if (Libc.Geteuid() != 0) Assert.Skip("only root can become another user");
        Needs.Programs("setpriv", "/usr/bin/python3");
        await using var pod = await RealPod.StartAsync();
        const string client = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            try:
                s.sendall(b'{"id":1,"method":"run","params":{"input":"x"}}\n')
                print(len(s.recv(100)))
            except (BrokenPipeError, ConnectionResetError):
                print(0)
            """;
        // What directories and modes prevent is let through by the test.
        foreach (var directory in new[] { pod.Root.Path, pod.Root.Directories.Runtime }) File.SetUnixFileMode(directory, (UnixFileMode)0x1ED);
        File.SetUnixFileMode(pod.Socket, (UnixFileMode)0x1B6);
        string[] asOther = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", client, pod.Socket];
        Assert.Equal("0", await OutputAsync(asOther));
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.Input);
        Assert.NotEqual("0", await OutputAsync(["/usr/bin/python3", "-c", client, pod.Socket])); // The same as ourselves is answered.
        Assert.Single(pod.Records(), record => record.Entry is Entry.Input);
    }

    [Fact, Trait("case", "C09")]
    public async Task A_childs_token_opens_its_spawners_door_upward_only_and_the_users_programs_need_none()
    {
        await using var pod = await RealPod.StartAsync();
        Directory.CreateDirectory(pod.Root.Work + "/sub");
        await using var human = await pod.ClientAsync(); // An unconfined program of the user.
        await human.RunAsync($$"""CALL SpawnPod {"name": "kid", "task": "hi", "scope": [{"target": "{{pod.Root.Work}}/sub", "permission": "write"}]}""", ct: ServedRoom.Ct);
        await Eventually.Holds(() => NewsIsTold(pod), RealPod.Patience);
        var kid = Assert.Single((await human.StatusAsync(ServedRoom.Ct)).Children).PodId;
        var token = await File.ReadAllTextAsync(pod.Root.Directories.Token(kid), ServedRoom.Ct);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(pod.Root.Directories.Token(kid)));

        await using (var child = await pod.ClientAsync(token))
        {
            await child.AskAsync(new Method.Poke(kid, 1), ServedRoom.Ct);
            foreach (Method downward in new Method[] { new Method.Run("x"), new Method.Notify("a", "b"), new Method.Shutdown(), new Method.Cancel(), new Method.Status(), new Method.Read(), new Method.GetHistory() })
                Assert.Equal(ErrorCode.NotAllowed, (await Assert.ThrowsAsync<PodRefusedException>(() => child.AskAsync(downward, ServedRoom.Ct))).Error.Code);
            Assert.Equal(ErrorCode.NotAllowed, (await Assert.ThrowsAsync<PodRefusedException>(() => child.AskAsync(new Method.Poke(pod.Document.PodId, 1), ServedRoom.Ct))).Error.Code);
            await Assert.ThrowsAsync<PodRefusedException>(async () => await child.AttachAsync(ct: ServedRoom.Ct).FirstAsync(ServedRoom.Ct));
        }
        Assert.Equal(ErrorCode.NotAllowed, (await Assert.ThrowsAsync<PodRefusedException>(() => pod.ClientAsync("guess"))).Error.Code);
        var before = pod.Records().Count(record => record.Entry is Entry.Input);
        Assert.Equal(1, before);
        await human.RunAsync("""CALL StopPod {"name": "kid"}""", SendMode.Queue, ServedRoom.Ct);
        await Eventually.Holds(() => pod.Records().Any(record => record.Entry is Entry.ChildEnded), RealPod.Patience);
        Assert.Equal(ErrorCode.NotAllowed, (await Assert.ThrowsAsync<PodRefusedException>(() => pod.ClientAsync(token))).Error.Code); // Worth nothing any more.
    }

    [Fact, Trait("case", "T36")]
    public async Task When_the_runtime_directory_is_removed_a_childs_token_comes_back_with_its_socket_and_opens_the_same_door()
    {
        await using var pod = await RealPod.StartAsync();
        Directory.CreateDirectory(pod.Root.Work + "/sub");
        await using var human = await pod.ClientAsync();
        await human.RunAsync($$"""CALL SpawnPod {"name": "kid", "task": "hi", "scope": [{"target": "{{pod.Root.Work}}/sub", "permission": "write"}]}""", ct: ServedRoom.Ct);
        await Eventually.Holds(() => NewsIsTold(pod), RealPod.Patience);
        var kid = Assert.Single((await human.StatusAsync(ServedRoom.Ct)).Children).PodId;
        var token = await File.ReadAllTextAsync(pod.Root.Directories.Token(kid), ServedRoom.Ct);

        await Eventually.Removed(pod.Root.Directories.Runtime);
        string[] back = [pod.Socket, pod.Root.Directories.Socket(kid), pod.Root.Directories.Token(kid)];
        await Eventually.Holds(() => back.All(Path.Exists), RealPod.Patience);

        Assert.Equal(token, await File.ReadAllTextAsync(pod.Root.Directories.Token(kid), ServedRoom.Ct));
        await using var child = await pod.ClientAsync(token);
        await child.AskAsync(new Method.Poke(kid, 1), ServedRoom.Ct);
        await using var again = await pod.ClientAsync();
        await again.RunAsync("""CALL StopPod {"name": "kid"}""", SendMode.Queue, ServedRoom.Ct);
        await Eventually.Holds(() => pod.Records().Any(record => record.Entry is Entry.ChildEnded), RealPod.Patience);
        Assert.False(Path.Exists(pod.Root.Directories.Token(kid)));
    }

    private static bool NewsIsTold(RealPod pod) => pod.Records().Any(record => record.Entry is Entry.ChildSpawned) && Wire.NewsRuns.AllIsTold(pod);

    private static long Memory(RealPod pod, string field) =>
        long.Parse(File.ReadLines($"/proc/{pod.Launched.Pid}/status").Single(line => line.StartsWith(field + ":", StringComparison.Ordinal)).Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) << 10;

    private static int Descriptors(RealPod pod) => Directory.GetFiles($"/proc/{pod.Launched.Pid}/fd").Length;

    internal static async Task<string> OutputAsync(string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync(ServedRoom.Ct);
        var text = await process.StandardOutput.ReadToEndAsync(ServedRoom.Ct);
        await process.WaitForExitAsync(ServedRoom.Ct);
        Assert.True(process.ExitCode == 0, await error);
        return text.Trim();
    }
}
