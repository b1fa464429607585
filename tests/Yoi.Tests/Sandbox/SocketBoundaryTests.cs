using System.Net;
using System.Net.Sockets;
using Xunit;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Sandbox;

/// <summary>Sockets of the host and of the network: servers that count tell whether anything came, from the sandbox and from outside it.</summary>
[Collection("sandbox")]
public sealed class SocketBoundaryTests
{
    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S05"), Trait("case", "S06"), Trait("case", "S07"), Trait("case", "C09")]
    public async Task Sockets_of_the_host_are_out_of_reach_and_own_ones_work(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        using var counting = new CountingServers(room);
        await room.OnHost(counting.AllWays);
        await counting.HeardAsync(counting.OfSockets + counting.OfNetwork);
        await room.Run("""
            /usr/bin/python3 -c '
            import socket, os
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
              a, b = socket.socketpair(socket.AF_UNIX, kind); a.send(b"x"); assert b.recv(1) == b"x"'
            """);
        const string own = """
            /usr/bin/python3 -c '
            import socket, os
            s = socket.socket(socket.AF_UNIX); s.bind("own.sock"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("own.sock")
            t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen(); u = socket.create_connection(t.getsockname())'
            """;
        if (level == "partial") await room.Fails(own);
        else await room.Run(own);

        await room.Run(counting.AllWays);
        await room.OnHost(counting.AllWays); // Whoever came before is counted before these.
        await counting.HeardAsync(2 * (counting.OfSockets + counting.OfNetwork));

        foreach (var end in new[] { "", "b.close(); " }) // A pair that is connected is never turned elsewhere.
            await room.Fails($"/usr/bin/python3 -c 'import socket; a,b=socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); {end}a.connect(\"{counting.Packets}\")'");
        foreach (var family in new[] { "AF_VSOCK", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_BLUETOOTH" })
            await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.{family}, socket.SOCK_RAW if \"{family}\" in (\"AF_NETLINK\",\"AF_PACKET\") else socket.SOCK_SEQPACKET)'");
        if (level == "kernel") Assert.Equal("lo", await room.Run("ls /proc/self/net/dev >/dev/null; sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S06"), Trait("case", "S07")]
    public async Task With_the_network_granted_the_host_s_unix_sockets_stay_out_of_reach(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, network: true);
        using var counting = new CountingServers(room);
        await room.Run("/usr/bin/python3 -c 'import socket; a,b=socket.socketpair(); a.send(b\"x\"); b.recv(1)'");
        await room.Run(counting.AllWays);
        await room.OnHost(counting.AllWays);
        await counting.HeardAsync(counting.OfNetwork + counting.OfSockets + counting.OfNetwork);
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)'");
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)'");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S15"), Trait("case", "S05")]
    public async Task Services_of_the_user_s_session_are_not_asked_to_run_anything(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        using var counting = new CountingServers(room);
        var bus = $"DBUS_SESSION_BUS_ADDRESS=unix:path={counting.Paths[0]} XDG_RUNTIME_DIR={room.O}";
        List<string> ways = [$"{bus} /usr/bin/python3 -c 'import os,socket; socket.socket(socket.AF_UNIX).connect(os.environ[\"DBUS_SESSION_BUS_ADDRESS\"][10:])'"];
        if (File.Exists("/usr/bin/dbus-send")) ways.Add($"{bus} dbus-send --session --dest=a.b / a.b.c");
        if (File.Exists("/usr/bin/systemd-run")) ways.Add($"{bus} systemd-run --user -q true");
        foreach (var way in ways) await room.OnHost($"{way} >/dev/null 2>&1 || true");
        await counting.HeardAsync(ways.Count);

        foreach (var way in ways) await room.Fails(way);

        foreach (var way in ways) await room.OnHost($"{way} >/dev/null 2>&1 || true");
        await counting.HeardAsync(2 * ways.Count);
    }

    /// <summary>Servers of the host that count whoever comes, and how to come to them.</summary>
    private sealed class CountingServers : IDisposable
    {
        private readonly List<NetSocket> _servers = [];
        private readonly NetSocket[] _datagrams;
        private readonly byte[] _buffer = new byte[16];
        private int _accepted, _received;

        internal CountingServers(SandboxRoom room)
        {
            var name = "yoi-test-" + Guid.NewGuid().ToString("n");
            Paths = [room.O + "/agent.sock", room.W + "/docker.sock"];
            Packets = room.O + "/packets.sock";
            var (datagram, abstractDatagram) = (room.O + "/datagram.sock", name + "-datagram");
            foreach (var path in Paths.Append("\0" + name)) Listen(Unix(SocketType.Stream), new UnixDomainSocketEndPoint(path));
            Listen(Unix(SocketType.Seqpacket), new UnixDomainSocketEndPoint(Packets));
            var tcp = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Listen(tcp, new IPEndPoint(IPAddress.Loopback, 0));
            _datagrams = [Unix(SocketType.Dgram), Unix(SocketType.Dgram), new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp)];
            _datagrams[0].Bind(new UnixDomainSocketEndPoint(datagram));
            _datagrams[1].Bind(new UnixDomainSocketEndPoint("\0" + abstractDatagram));
            _datagrams[2].Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _servers.AddRange(_datagrams);
            var hasMultipath = File.Exists("/proc/sys/net/mptcp/enabled") && File.ReadAllText("/proc/sys/net/mptcp/enabled").Trim() == "1";
            var (tcpPort, udpPort) = (((IPEndPoint)tcp.LocalEndPoint!).Port, ((IPEndPoint)_datagrams[2].LocalEndPoint!).Port);
            // A name is asked for by UDP; 262 is MPTCP.
            AllWays = $"""
                /usr/bin/python3 - <<'END'
                import socket as s
                U, D, P = s.AF_UNIX, s.SOCK_DGRAM, s.SOCK_SEQPACKET
                def way(do):
                    try: do()
                    except OSError: pass
                def turned(to):
                    a, b = s.socketpair(U, D)
                    a.connect(to)
                    a.send(b"x")
                for to in ("{Paths[0]}", "{Paths[1]}", "\0{name}"): way(lambda: s.socket(U).connect(to))
                way(lambda: s.socket(U, P).connect("{Packets}"))
                for to in ("{datagram}", "\0{abstractDatagram}"):
                    way(lambda: s.socket(U, D).sendto(b"x", to))
                    way(lambda: s.socketpair(U, D)[0].sendto(b"x", to))
                    way(lambda: turned(to))
                way(lambda: s.create_connection(("127.0.0.1", {tcpPort}), 3))
                way(lambda: s.socket(s.AF_INET, D).sendto(b"x", ("127.0.0.1", {udpPort})))
                if {(hasMultipath ? "True" : "False")}: way(lambda: s.socket(s.AF_INET, s.SOCK_STREAM, 262).connect(("127.0.0.1", {tcpPort})))
                END
                """;
            OfSockets = 10;
            OfNetwork = hasMultipath ? 3 : 2;
            room.Remember();
        }

        internal IReadOnlyList<string> Paths { get; }
        internal string Packets { get; }

        /// <summary>A command that comes to each of them in each way, whatever becomes of it.</summary>
        internal string AllWays { get; }

        /// <summary>How often it comes to Unix sockets, where nothing keeps it from that.</summary>
        internal int OfSockets { get; }

        /// <summary>And over the network.</summary>
        internal int OfNetwork { get; }

        /// <summary>Exactly so many have come, in whatever way.</summary>
        internal async Task HeardAsync(int count)
        {
            await Eventually.Holds(() => Heard() >= count);
            Assert.Equal(count, Heard());
        }

        private int Heard()
        {
            foreach (var server in _datagrams)
                for (; server.Poll(0, SelectMode.SelectRead); _received++) server.Receive(_buffer);
            return Volatile.Read(ref _accepted) + _received;
        }

        private static NetSocket Unix(SocketType type) => new(AddressFamily.Unix, type, ProtocolType.Unspecified);

        private void Listen(NetSocket server, EndPoint at)
        {
            server.Bind(at);
            server.Listen();
            _servers.Add(server);
            _ = AcceptAsync(server);
        }

        private async Task AcceptAsync(NetSocket server)
        {
            try
            {
                while (true)
                {
                    using var one = await server.AcceptAsync();
                    Interlocked.Increment(ref _accepted);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        public void Dispose()
        {
            foreach (var server in _servers) server.Dispose();
        }
    }
}
