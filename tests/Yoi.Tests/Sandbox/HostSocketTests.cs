using System.Diagnostics;
using System.Net.Sockets;
using Xunit;
using Yoi.Runtime.Sandbox;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Sandbox;

/// <summary>Sockets of the host in the scope, at whatever name: a command without a network could otherwise ask their programs for anything. Level partial has no sockets.</summary>
[Collection("sandbox")]
public sealed class HostSocketTests
{
    private const string Connect = "/usr/bin/python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' ";

    [Theory, Trait("case", "S05")]
    [InlineData("write:/W", "/link/s", "/W/d/s")] // As /var/run leads to /run.
    [InlineData("read:/W", "/link/s", "/W/d/s")]
    [InlineData("write:/W", "/W/d/s.tmp", "/W/d/s")]
    [InlineData("write:/W", "/O/s.tmp", "/W/d/s")]
    [InlineData("read:/W [non-recursive];read:/W/d/s", "/W/d/s", "/W/d/s")]
    public async Task A_socket_of_the_host_is_hidden_by_the_name_that_it_has_now(string rules, string bound, string now)
    {
        await using var room = await SandboxRoom.MakeAsync(["write:/W/own", .. rules.Split(';')], scene: Scene);
        using var server = Listen(room.Root + bound);
        if (Path.GetExtension(bound) == ".tmp") File.Move(room.Root + bound, room.Root + now);
        var path = room.Root + now;
        await room.OnHost(Connect + path);
        using (var host = await server.AcceptAsync(SandboxRoom.Ct)) Assert.True(host.Connected);

        room.Remember();
        await room.Fails($"cd {room.W}/own; {Connect}{path}");
        Assert.False(server.Poll(0, SelectMode.SelectRead));
    }

    [Theory, Trait("case", "S05")]
    [InlineData("write:/W", false)]
    [InlineData("write:/W", true)]
    [InlineData("read:/W [non-recursive];read:/W/d/s", false)]
    public async Task A_socket_of_another_network_namespace_is_hidden_also_where_repositories_are_not_guarded(string rules, bool unguarded)
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", rules.Split(';'), scene: Scene, unguarded: unguarded);
        var path = room.W + "/d/s";
        const string serve = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(0,flush=True)\nwhile True: s.accept(); print(1,flush=True)";
        using var container = Process.Start(new ProcessStartInfo("/usr/bin/bwrap", ["--unshare-net", "--die-with-parent", "--dev-bind", "/", "/", "/usr/bin/python3", "-c", serve, path]) { RedirectStandardOutput = true })!;
        try
        {
            Assert.Equal("0", await container.StandardOutput.ReadLineAsync(SandboxRoom.Ct));
            Assert.DoesNotContain(path, HostSockets.Now()); // The kernel tells it to nobody here.
            await room.OnHost(Connect + path);
            Assert.Equal("1", await container.StandardOutput.ReadLineAsync(SandboxRoom.Ct));

            await room.Fails(Connect + path);
            await room.Bash("sleep 600", ("run_in_background", true));
            await room.Fails(Connect + path); // Known from before it ran.
            await room.Run($"test ! -S {path}");
        }
        finally
        {
            container.Kill();
            await container.WaitForExitAsync(SandboxRoom.Ct);
        }
        Assert.Equal("", await container.StandardOutput.ReadToEndAsync(SandboxRoom.Ct)); // Nobody else came.
    }

    [Fact, Trait("case", "S05")]
    public async Task Commands_of_a_Pod_reach_each_other_and_use_the_names_of_their_sockets_again()
    {
        await using var room = await SandboxRoom.MakeAsync(scene: Scene);
        const string serve = "import os,socket,sys\nif os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])\ns=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(1,flush=True); s.accept()";
        var line = $"/usr/bin/python3 -c '{serve}' {room.W}/d/own";
        for (var i = 0; i < 2; i++)
        {
            await room.Bash(line, ("run_in_background", true));
            var server = room.Shell.Known[^1];
            await Eventually.Holds(() => File.ReadAllText(server.Process.Output.Path) == "1\n");
            await room.Run(Connect + room.W + "/d/own");
            Assert.Equal("exited", (await server.Ended).Why);
        }
        await room.Run("rm -r d");
    }

    [Fact, Trait("case", "S05")]
    public async Task Whether_somebody_is_bound_to_a_file_is_asked_without_being_noticed()
    {
        await using var room = await SandboxRoom.MakeAsync();
        var far = room.W + "/" + new string('a', 60) + "/" + new string('b', 60);
        Directory.CreateDirectory(far);
        using (var server = Listen(room.W + "/s"))
        {
            Assert.True(ForeignSockets.IsBound(room.W + "/s"));
            Assert.False(server.Poll(0, SelectMode.SelectRead));
            File.Move(room.W + "/s", far + "/s");
            Assert.True(ForeignSockets.IsBound(far + "/s"));
            Assert.False(server.Poll(0, SelectMode.SelectRead));
            File.CreateSymbolicLink(room.W + "/s", far + "/s");
            using var client = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await client.ConnectAsync(new UnixDomainSocketEndPoint(room.W + "/s"), SandboxRoom.Ct);
            Assert.True(server.Poll(0, SelectMode.SelectRead)); // Who connects is seen.
        }
        Assert.False(ForeignSockets.IsBound(far + "/s"));
        using var letters = new NetSocket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        letters.Bind(new UnixDomainSocketEndPoint(room.W + "/letters"));
        Assert.True(ForeignSockets.IsBound(room.W + "/letters"));
        Assert.False(letters.Poll(0, SelectMode.SelectRead));
        Assert.False(ForeignSockets.IsBound(room.W + "/nothing"));
    }

    [Fact, Trait("case", "S05")]
    public async Task More_sockets_than_can_be_hidden_are_said_and_nothing_is_run()
    {
        await using var room = await SandboxRoom.MakeAsync();
        List<NetSocket> servers = [];
        try
        {
            for (var i = 0; i <= SandboxView.MostPlaces; i++) servers.Add(Listen($"{room.W}/{i}"));
            var outcome = await Assert.ThrowsAsync<Yoi.Runtime.Tools.ToolFailure>(() => room.Bash($"touch {room.W}/ran"));
            Assert.Contains($"{servers.Count} of them hide sockets that programs of the host listen at", outcome.Message, StringComparison.Ordinal);
            Assert.False(File.Exists(room.W + "/ran"));
        }
        finally
        {
            foreach (var server in servers) server.Dispose();
        }
    }

    private static void Scene(string root)
    {
        foreach (var name in (string[])["/W/d", "/W/own"]) Directory.CreateDirectory(root + name);
        Directory.CreateSymbolicLink(root + "/link", root + "/W/d");
    }

    private static NetSocket Listen(string path)
    {
        var server = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint(path));
        server.Listen();
        return server;
    }
}
