using System.Net;
using System.Net.Sockets;
using Xunit;
using Yoi.Runtime.Linux;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Sandbox;

/// <summary>Ways around the file system: sockets, other machines' calls, namespaces, processes, terminals, secrets.</summary>
[Collection("sandbox")]
public sealed class KernelBoundaryTests
{
    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S12"), Trait("case", "L16"), Trait("case", "S13"), Trait("case", "S14")]
    public async Task A_command_has_three_descriptors_no_terminal_no_capabilities_and_a_filter(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        Assert.Equal("0 1 2 3", await room.Run("/usr/bin/python3 -c 'import os; print(*sorted(os.listdir(\"/proc/self/fd\")))'")); // 3 is the listing itself.
        var status = await room.Run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
        Assert.Equal(["CapInh:0", "CapPrm:0", "CapEff:0", "CapBnd:0", "CapAmb:0", "NoNewPrivs:1", "Seccomp:2"],
            status.Split('\n').Select(line => line.Split('\t') is var words ? words[0] + (IsHarmless(words[0]) ? "0" : words[1].TrimStart('0').PadLeft(1, '0')) : ""));
        // What nobody may gain any more only root can give up.
        bool IsHarmless(string set) => set == "CapBnd:" && level == "partial" && Libc.Geteuid() != 0;
        await room.Fails("echo x > /dev/tty");
        await room.Fails("/usr/bin/python3 -c 'import fcntl; fcntl.ioctl(0, 0x5412, b\"x\")'");
        Assert.Equal("0", await room.Run("ulimit -c"));
        Assert.Equal("", await room.Run("cat"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S10")]
    public async Task No_namespace_is_made_or_entered_and_nothing_is_mounted(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run("/usr/bin/python3 -c 'import os; pid=os.fork(); os._exit(0) if pid==0 else os.wait()'");
        foreach (var way in new[] { "unshare -Urm true", "unshare -n true", "unshare -U true", "mount -t tmpfs t $TMPDIR", "umount /proc", "nsenter -t 1 -m true", "chroot / true" }) await room.Fails(way);
        // pivot_root, fsopen, move_mount, open_tree, mount_setattr, clone(CLONE_NEWUSER), clone3.
        foreach (var call in new[] { "155", "430, b\"tmpfs\", 0", "429", "428, -100, b\"/\", 1", "442", "56, 0x10000011, 0, 0, 0, 0", "435, 0, 0" }) await Refused(room, call);
        Assert.Equal("1", await room.Run("/usr/bin/python3 -c 'import ctypes; print(int(ctypes.CDLL(None).syscall(39) > 0))'")); // getpid: the way of calling works.
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S08")]
    public async Task Calls_of_other_machines_and_io_uring_are_not_there(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        foreach (var call in new[] { "425, 8, ctypes.create_string_buffer(256)", "426", "427", "0x40000000 + 39", "321", "101", "250" }) await Refused(room, call);
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64) return;
        // mov eax, 20 (getpid of i386); int 0x80; ret
        const string foreign = "import ctypes,mmap; m=mmap.mmap(-1,4096,prot=7); m.write(b\"\\xb8\\x14\\0\\0\\0@\\xc3\"); f=ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m))); print(f())";
        await room.Run($"/usr/bin/python3 -c '{foreign.Replace("@", "", StringComparison.Ordinal)}'");
        await room.Fails($"/usr/bin/python3 -c '{foreign.Replace("@", "\\xcd\\x80", StringComparison.Ordinal)}'");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S11"), Trait("case", "K02")]
    public async Task Processes_of_the_host_are_neither_looked_into_nor_signalled(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        await room.Run("sleep 60 & kill -0 $! && kill $!");
        if (level == "partial")
        {
            await SignalsAndLimitsEndAtTheCommand(room);
            return;
        }
        Assert.DoesNotContain(room.Document.PodId, await room.Run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"), StringComparison.Ordinal);
        foreach (var pid in new[] { Environment.ProcessId, 999_999 }) await room.Fails($"kill -0 {pid} || ls /proc/{pid}");
        Assert.InRange((await room.Run("ls -d /proc/[0-9]*")).Split('\n').Length, 2, 8);
        foreach (var path in new[] { "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg" }) await room.Fails($": >> {path}"); // Opening is enough to know.
        await room.Fails("head -c1 /proc/kcore; test ${PIPESTATUS[0]} = 0 && head -c1 /proc/kcore | grep -q .");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S05"), Trait("case", "S06"), Trait("case", "S07"), Trait("case", "C09")]
    public async Task Sockets_of_the_host_are_out_of_reach_and_own_ones_work(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        using var counting = new CountingServers(room);
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
        foreach (var path in counting.Paths) await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{path}\")'");
        await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0{counting.Abstract}\")'");
        foreach (var end in new[] { "", "b.close(); " }) // A pair that is connected is never turned elsewhere.
            await room.Fails($"/usr/bin/python3 -c 'import socket; a,b=socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); {end}a.connect(\"{counting.Packets}\")'");
        await room.Fails($"/usr/bin/python3 -c 'import socket; a,b=socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendto(b\"x\", \"{counting.Datagram}\")'");
        await room.Fails($"/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {counting.Port}), 3)'");
        foreach (var family in new[] { "AF_VSOCK", "AF_NETLINK", "AF_PACKET", "AF_ALG", "AF_BLUETOOTH" })
            await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.{family}, socket.SOCK_RAW if \"{family}\" in (\"AF_NETLINK\",\"AF_PACKET\") else socket.SOCK_SEQPACKET)'");
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 2)'");
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.getaddrinfo(\"example.com\", 80)'");
        Assert.Equal(0, counting.Accepted);
        if (level == "kernel") Assert.Equal("lo", await room.Run("ls /proc/self/net/dev >/dev/null; sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S07")]
    public async Task With_the_network_granted_the_host_s_unix_sockets_stay_out_of_reach(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, network: true);
        using var counting = new CountingServers(room);
        await room.Run($"/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {counting.Port}), 3); a,b=socket.socketpair(); a.send(b\"x\"); b.recv(1)'");
        await Eventually.Holds(() => counting.Accepted == 1);
        foreach (var path in counting.Paths) await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{path}\")'");
        await room.Fails($"/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0{counting.Abstract}\")'");
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)'");
        await room.Fails("/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)'");
        Assert.Equal(1, counting.Accepted);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "K01")]
    public async Task Only_variables_on_the_list_reach_a_command(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        string[] secrets = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DATABASE_URL", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "GITHUB_TOKEN",
            "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "LD_PRELOAD", "BASH_ENV", "ENV", "GIT_SSH_COMMAND", "DOTNET_STARTUP_HOOKS", "PYTHONSTARTUP", "NODE_OPTIONS", "YOI_HOME", "PROMPT_COMMAND", "http_proxy"];
        foreach (var name in secrets) room.Environment[name] = "canary-" + name;
        var all = await room.Run("env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'");
        Assert.Contains("LANG=C.UTF-8", all, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", all, StringComparison.Ordinal);
        Assert.Equal($"{room.Places.SeenHome} {room.Places.SeenTemp}", await room.Run("echo $HOME $TMPDIR; echo x > $HOME/f; echo x > $TMPDIR/f; { echo x > /tmp/f; } 2>/dev/null || true"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "K07"), Trait("case", "L14")]
    public async Task Secrets_of_the_user_and_of_Yoi_are_not_there_even_if_the_home_is_lent(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "read:/home", "read:/yoi"], scene: root =>
        {
            Directory.CreateDirectory(root + "/home/.aws");
            File.WriteAllText(root + "/home/.aws/credentials", "canary");
            File.WriteAllText(root + "/home/.netrc", "canary");
            File.WriteAllText(root + "/home/plain", "plain");
        });
        if (await room.IsRefused(room.Home)) return;
        Assert.Equal("plain", await room.Run($"cat {room.Home}/plain"));
        foreach (var path in new[] { ".ssh/id", ".aws/credentials", ".netrc" }) await room.Fails($"cat {room.Home}/{path}");
        var directories = room.Document.Directories;
        foreach (var path in new[] { directories.ScopeLock, directories.ScopeTable, directories.Pods, room.PodDirectory + "/journal.jsonl" })
        {
            Assert.True(Path.Exists(path));
            await room.Fails($"cat {path} || ls {path}");
            await room.Fails($"/usr/bin/python3 -c 'import fcntl; fcntl.flock(open(\"{path}\"), fcntl.LOCK_EX)'");
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial")]
    public async Task Caches_and_harmless_settings_of_the_home_are_there_and_its_credentials_are_not(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, scene: root =>
        {
            Directory.CreateDirectory(root + "/home/.nuget/packages/x");
            File.WriteAllText(root + "/home/.nuget/packages/x/f", "cached\n");
            File.WriteAllText(root + "/home/.npmrc", "canary");
            File.WriteAllText(root + "/home/.gitconfig", "[user]\n\tname = Somebody\n[credential]\n\thelper = canary\n[url \"https://canary@host/\"]\n\tinsteadOf = https://host/\n[core]\n\tfsmonitor = canary\n");
        });
        Assert.Equal("cached", await room.Run("cat ~/.nuget/packages/x/f; mkdir ~/.nuget/packages/y && echo own > ~/.nuget/packages/y/f"));
        await room.Fails("echo x > ~/.nuget/packages/x/f");
        await room.Fails($"echo x > {room.Home}/.nuget/packages/x/f");
        await room.Fails($"cat ~/.npmrc {room.Home}/.npmrc ~/.ssh/id");
        Assert.Equal("Somebody", await room.Run("git config user.name"));
        Assert.DoesNotContain("canary", await room.Run("git config --list"), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "S04")]
    public async Task Modes_owners_times_and_attributes_outside_do_not_change()
    {
        await using var room = await SandboxRoom.MakeAsync("kernel", ["write:/W", "read:/O"]);
        await room.Run("chmod 600 f; touch -d 2001-01-01 f");
        foreach (var way in new[] { "chmod 777", "chown 1", "touch -d 2001-01-01", "touch -a" }) await room.Fails($"{way} {room.O}/f");
        await room.Fails($"/usr/bin/python3 -c 'import os; os.setxattr(\"{room.O}/f\", \"user.x\", b\"1\")'");
        await room.Fails($"chattr +d {room.O}/f");
    }

    [Fact, Trait("case", "S04")]
    public async Task At_level_partial_modes_and_times_outside_can_be_changed_as_the_page_says_and_contents_cannot()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "read:/O"]);
        await room.Run($"chmod 640 {room.O}/f; touch -d 2001-01-01 {room.O}/f");
        Assert.Equal(2001, File.GetLastWriteTimeUtc(room.O + "/f").Year);
        room.Remember();
        foreach (var way in new[] { "chown 1", "truncate -s 0", "chattr +d", "rm -f" }) await room.Fails($"{way} {room.O}/f");
        Assert.Contains("**Modes and times**", File.ReadAllText(Path.Combine(Structure.SourceTree.Root, "docs/sandbox.md")), StringComparison.Ordinal);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S19")]
    public async Task What_lies_in_the_repository_changes_neither_the_launcher_nor_the_next_command(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        room.Environment["PATH"] = room.W + ":" + room.Environment["PATH"];
        foreach (var name in new[] { "bwrap", "bash", "sh" })
        {
            File.WriteAllText($"{room.W}/{name}", $"#!/bin/sh\necho fake > {room.W}/marker\n");
            File.SetUnixFileMode($"{room.W}/{name}", (UnixFileMode)0b111_101_101);
        }
        foreach (var name in new[] { ".bashrc", ".bash_profile", ".profile", ".env" }) File.WriteAllText($"{room.W}/{name}", $"touch {room.W}/marker\n");
        await room.Run("for f in .bashrc .bash_profile .profile .bash_logout; do echo touch $TMPDIR/marker > ~/$f; done");
        Assert.Equal("fine", await room.Run("ls $TMPDIR/marker 2>/dev/null; echo fine"));
        Assert.False(File.Exists(room.W + "/marker"));
    }

    private static async Task SignalsAndLimitsEndAtTheCommand(SandboxRoom room)
    {
        var pid = Environment.ProcessId;
        await room.Run("renice -n 1 -p 0 && /usr/bin/python3 -c 'import resource; resource.setrlimit(resource.RLIMIT_CPU, (600, 600))' && cat /proc/self/environ /proc/self/maps");
        foreach (var way in new[]
        {
            $"kill -0 {pid}", $"kill -STOP {pid}", $"kill -0 -- -{pid}", $"cat /proc/{pid}/environ", $"cat /proc/{pid}/maps", $"head -c1 /proc/{pid}/mem", $"ls /proc/{pid}/root/", $"ls /proc/{pid}/cwd/",
            $"readlink /proc/{pid}/exe", $"renice -n 1 -p {pid}", $"prlimit --pid {pid} --cpu=1", $"taskset -p 1 {pid}", $"ionice -c 3 -p {pid}", $"chrt -i -p 0 {pid}", "kill -0 $PPID", "kill -KILL $PPID",
        }) await room.Fails(way);
        var outcome = await room.Bash("sleep 60 & kill -KILL -1; echo alive"); // Whom it may signal is itself, and this test goes on.
        Assert.Contains("alive", outcome.Content, StringComparison.Ordinal);
        foreach (var path in new[] { "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg" }) await room.Fails($": >> {path}");
        foreach (var call in new[] { "29, 1, 4096, 0o1600", "64, 1, 1, 0o1600", "68, 1, 0o1600", "240, b\"/x\", 66, 0o600, 0" })
            if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64) await Refused(room, call); // shmget, semget, msgget, mq_open
    }

    private static async Task Refused(SandboxRoom room, string call) =>
        await room.Fails($"/usr/bin/python3 -c 'import ctypes,sys; r=ctypes.CDLL(None, use_errno=True).syscall({call}); e=ctypes.get_errno(); print(r,e); sys.exit(0 if r>=0 or e not in (1,38) else 1)'");

    /// <summary>Servers of the host that count whoever comes.</summary>
    private sealed class CountingServers : IDisposable
    {
        private readonly List<NetSocket> _servers = [];
        private int _accepted;

        internal CountingServers(SandboxRoom room)
        {
            Abstract = "yoi-test-" + Guid.NewGuid().ToString("n");
            Paths = [room.O + "/agent.sock", room.W + "/docker.sock"];
            foreach (var path in Paths) Listen(new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified), new UnixDomainSocketEndPoint(path));
            Listen(new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified), new UnixDomainSocketEndPoint("\0" + Abstract));
            Packets = room.O + "/packets.sock";
            Listen(new NetSocket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified), new UnixDomainSocketEndPoint(Packets));
            var tcp = new NetSocket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Listen(tcp, new IPEndPoint(IPAddress.Loopback, 0));
            Port = ((IPEndPoint)tcp.LocalEndPoint!).Port;
            Datagram = room.O + "/datagram.sock";
            var datagram = new NetSocket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            datagram.Bind(new UnixDomainSocketEndPoint(Datagram));
            _servers.Add(datagram);
            room.Remember();
        }

        internal IReadOnlyList<string> Paths { get; }
        internal string Abstract { get; }
        internal string Datagram { get; }
        internal string Packets { get; }
        internal int Port { get; }
        internal int Accepted => Volatile.Read(ref _accepted);

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
