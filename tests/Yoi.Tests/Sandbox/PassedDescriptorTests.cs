using Xunit;

namespace Yoi.Tests.Sandbox;

/// <summary>Open files that are handed over (SCM_RIGHTS): what could not be opened would come in so, and what may be read would go out.</summary>
[Collection("sandbox")]
public sealed class PassedDescriptorTests
{
    /// <summary>Hands an open file of outside to whoever comes, and says which it was handed; the last of its addresses is one for datagrams.</summary>
    private const string Service = """
        import os, selectors, socket, sys
        secret, *addresses = sys.argv[1:]
        fd = os.open(secret, os.O_RDWR)
        def taken(s):
            data, fds, _, _ = socket.recv_fds(s, 16, 4)
            print(os.pread(fds[0], 100, 0).decode().strip() if fds else "nothing", flush=True)
        waiting = selectors.DefaultSelector()
        waiting.register(sys.stdin, selectors.EVENT_READ)
        for a in addresses:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if a == addresses[-1] else socket.SOCK_STREAM)
            s.bind("\0" + a[1:] if a[0] == "@" else a)
            if a != addresses[-1]: s.listen()
            waiting.register(s, selectors.EVENT_READ)
        print("up", flush=True)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin: sys.exit(0)
                if key.fileobj.type == socket.SOCK_DGRAM: taken(key.fileobj); continue
                c = key.fileobj.accept()[0]
                socket.send_fds(c, [b"x"], [fd]); taken(c); c.close()
        """;

    /// <summary>Comes to each of them, takes what it is handed and hands over a file of its own.</summary>
    private static string Client(string[] addresses) => $"""
        /usr/bin/python3 - {string.Join(' ', addresses)} <<'END'
        import os, socket, sys
        own = os.open("own", os.O_RDONLY)
        for a in sys.argv[1:]:
            a = "\0" + a[1:] if a[0] == "@" else a
            try:
                if a.endswith("datagram"):
                    socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, own.to_bytes(4, "little"))], 0, a)
                    print("sent")
                else:
                    s = socket.socket(socket.AF_UNIX); s.connect(a)
                    print("got", os.pread(socket.recv_fds(s, 16, 4)[1][0], 6, 0).decode())
                    socket.send_fds(s, [b"x"], [own])
            except OSError: pass
        END
        """;

    [Theory, Trait("case", "S06"), Trait("case", "S05")]
    [InlineData("kernel", false), InlineData("kernel", true), InlineData("partial", false), InlineData("partial", true)]
    public async Task No_open_file_is_handed_in_by_a_program_of_the_host_and_none_is_handed_to_it(string level, bool network)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "read:/O/run"], network, root =>
        {
            Directory.CreateDirectory(root + "/O/run");
            File.WriteAllText(root + "/W/own", "own\n");
            File.WriteAllText(root + "/O/secret", "secret\n");
        });
        // Out of the scope, in what may be read, in what may be written, without a name in the file system, and as a datagram.
        string[] addresses = [room.O + "/a.sock", room.O + "/run/b.sock", room.W + "/c.sock", "@yoi-test-" + Guid.NewGuid().ToString("n"), room.W + "/datagram"];
        await using var service = await HostProgram.StartAsync(Service, [room.O + "/secret", .. addresses]);
        room.Remember();
        var all = string.Concat(Enumerable.Repeat("got secret\n", 4)) + "sent\n";
        Assert.Equal(all, await room.OnHost(Client(addresses)));
        Assert.Equal(Enumerable.Repeat("own", 5), await service.SaysAsync(5));

        Assert.Equal("", await room.Run(Client(addresses)));
        await room.Fails($"cat {room.O}/secret");

        Assert.Equal(all, await room.OnHost(Client(addresses))); // Whoever came before is told of before.
        Assert.Equal(Enumerable.Repeat("own", 5), await service.SaysAsync(5));
        Assert.Equal("", await service.EndAsync());
    }

    private const string Meets = """
        /usr/bin/python3 -c '
        import os, socket
        s = socket.socket(socket.AF_UNIX); s.bind(NAME); s.listen(); open("ready", "w").close()
        fd = os.memfd_create("m"); os.write(fd, b"token"); c = s.accept()[0]; socket.send_fds(c, [b"x"], [fd]); c.recv(1)'
        """;

    private const string Takes = """/usr/bin/python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(NAME); print(os.pread(socket.recv_fds(s, 1, 1)[1][0], 9, 0).decode())'""";

    /// <summary>docs/sandbox.md, "What does not hold": at level kernel without a network, at a socket file, and nowhere else.</summary>
    [Theory, Trait("case", "S06")]
    [InlineData("kernel", false), InlineData("kernel", true), InlineData("partial", false), InlineData("partial", true)]
    public async Task Commands_hand_each_other_open_files_only_where_the_page_says_so(string level, bool network)
    {
        await using var room = await SandboxRoom.MakeAsync(level, network: network);
        const string own = "import os, socket; a, b = socket.socketpair(); fd = os.open(\"f\", os.O_RDONLY); socket.send_fds(a, [b\"x\"], [fd]); print(os.pread(socket.recv_fds(b, 1, 1)[1][0], 6, 0).decode())";
        Assert.Equal("inside", await room.Run($"/usr/bin/python3 -c '{own}'")); // Within one command, over a pair.
        foreach (var (name, meets) in new[] { ("\"meet\"", level == "kernel" && !network), ("b\"\\0yoi-test-meet\"", false) })
        {
            string Of(string script) => script.Replace("NAME", name, StringComparison.Ordinal);
            File.Delete(room.W + "/ready");
            if (level == "partial" || network)
            {
                foreach (var way in new[] { Of(Meets), Of(Takes), "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)'" }) await room.Fails(way);
                continue;
            }
            await room.Bash(Of(Meets), ("run_in_background", true), ("name", "meets"));
            await Eventually.Holds(() => File.Exists(room.W + "/ready"));
            if (meets) Assert.Equal("token", await room.Run(Of(Takes)));
            else await room.Fails(Of(Takes));
            await room.Ask("KillBash", ("name", "meets"));
            Assert.Equal("token", await room.Run($"rm -f meet ready; ({Of(Meets)}) & while [ ! -e ready ]; do sleep 0.01; done; {Of(Takes)}; kill %1 2>/dev/null; true")); // Within one command, by name.
        }
    }
}
