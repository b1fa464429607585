using System.Globalization;
using System.Net.Sockets;
using Xunit;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>More clients than a Pod has descriptors for.</summary>
public sealed class CrowdTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "C07")]
    public async Task A_thousand_connections_to_a_Pod_with_64_descriptors_neither_end_nor_busy_it_and_it_recovers()
    {
        Assert.SkipWhen(File.Exists(Path.ChangeExtension(YoiRoom.Program, "dll")), "a debug build opens an assembly when it first needs it, which takes a descriptor");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server, sandbox: "tools-only");
        await using var start = _room.Start("/bin/sh", ["-c", $"ulimit -n 64; exec {YoiRoom.Program} start few --json"]);
        start.EndInput();
        var started = (await start.EndAsync()).Expect(0).Json;
        var (pid, socket) = (started.GetProperty("pid").GetInt32(), started.GetProperty("socket").GetString()!);
        if (OpensItself(pid))
        {
            (await _room.RunAsync("stop", "few")).Expect(0);
            Assert.Skip("a ReadyToRun binary opens each assembly in itself when it first needs it, which takes a descriptor");
        }
        List<Socket> crowd = [];
        try
        {
            for (var i = 0; i < 1000; i++)
                if (await TryConnectAsync(socket) is { } one) crowd.Add(one);
            Assert.True(crowd.Count > 64, "it was not crowded");
            await SignalTests.UntilAsync(() => Descriptors(pid) is >= 60 and <= 64);
            var before = Ticks(pid);
            using (var seconds = new PeriodicTimer(TimeSpan.FromSeconds(3))) await seconds.WaitForNextTickAsync(TestContext.Current.CancellationToken);
            Assert.InRange((Ticks(pid) - before) / 3.0, 0, 20); // Of 100 in a second.
        }
        finally
        {
            foreach (var one in crowd) one.Dispose();
        }
        await _room.PodsAsync(pods => pods["few"].GetProperty("state").GetString() == "idle");
        await SignalTests.UntilAsync(() => Descriptors(pid) <= 40);
        (await _room.RunAsync("stop", "few")).Expect(0);
    }

    private static async Task<Socket?> TryConnectAsync(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), soon.Token);
            return socket;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            socket.Dispose(); // The queue of connections is full.
            return null;
        }
    }

    private static bool OpensItself(int pid) =>
        Directory.GetFiles($"/proc/{pid}/fd").Any(descriptor => new FileInfo(descriptor).LinkTarget == YoiRoom.Program);

    private static int Descriptors(int pid) => Directory.GetFiles($"/proc/{pid}/fd").Length;

    private static long Ticks(int pid)
    {
        var stat = File.ReadAllText($"/proc/{pid}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }
}
