using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Sandbox;

/// <summary>Ways around the file system: other machines' calls, namespaces, processes, capabilities, secrets.</summary>
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
        // TIOCSTI, TIOCLINUX: what is no terminal would say so (25); the filter is asked first.
        const string push = "/usr/bin/python3 -c 'import ctypes; l=ctypes.CDLL(None, use_errno=True); print(*((l.ioctl(0, n, b\"x\"), ctypes.get_errno()) for n in (0x5412, 0x541C)))' < /dev/null";
        Assert.Equal("(-1, 25) (-1, 25)\n", await room.OnHost(push));
        Assert.Equal("(-1, 1) (-1, 1)", await room.Run(push));
        Assert.Equal("0\n0", await room.Run("ulimit -Sc; ulimit -Hc")); // The soft one is nought on many machines by itself.
        Assert.Equal("", await room.Run("cat"));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S14")]
    public async Task A_program_that_is_another_user_s_for_whoever_runs_it_is_the_command_s_own_user_s(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        // Root gains nothing by a program of root's; everybody else has no program of another user's but root's.
        var (program, gained) = (room.W + "/su", "65534");
        if (Libc.Geteuid() == 0) await room.OnHost("cp /usr/bin/su su && chown 65534 su && chmod 4755 su");
        else (program, gained) = ("/usr/bin/su", "0");
        // Who it is once it has said all: also of a program that has ended, until that is noticed.
        var who = $"/usr/bin/python3 -c 'import subprocess; p=subprocess.Popen([\"{program}\", \"--version\"], stdout=subprocess.PIPE); p.stdout.read(); print(*(l.split()[2] for l in open(f\"/proc/{{p.pid}}/status\") if l.startswith(\"Uid\"))); raise SystemExit(p.wait())'";
        Assert.Equal(gained + "\n", await room.OnHost(who));
        Assert.Equal(await room.Run("id -u"), await room.Run(who));
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
        await AWordOfAnotherProcessIsNotFound(room);
        if (level == "partial")
        {
            await SignalsAndLimitsEndAtTheCommand(room);
            return;
        }
        foreach (var pid in new[] { Environment.ProcessId, 999_999 }) await room.Fails($"kill -0 {pid} || ls /proc/{pid}");
        Assert.InRange((await room.Run("ls -d /proc/[0-9]*")).Split('\n').Length, 2, 8);
        foreach (var path in new[] { "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg" }) await room.Fails($": >> {path}"); // Opening is enough to know.
        await room.Fails("head -c1 /proc/kcore; test ${PIPESTATUS[0]} = 0 && head -c1 /proc/kcore | grep -q .");
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

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "K01")]
    public async Task How_a_network_is_reached_is_told_where_there_is_one_and_no_password_with_it(string level)
    {
        foreach (var network in new[] { true, false })
        {
            await using var room = await SandboxRoom.MakeAsync(level, network: network);
            room.Environment["https_proxy"] = room.Environment["HTTP_PROXY"] = "http://proxy.example:3128";
            room.Environment["HTTPS_PROXY"] = "http://user:canary@proxy.example:3128";
            room.Environment["SSL_CERT_FILE"] = "/etc/ssl/own.pem";
            var all = (await room.Run("env")).Split('\n');
            string[] told = ["HTTP_PROXY=http://proxy.example:3128", "https_proxy=http://proxy.example:3128", "SSL_CERT_FILE=/etc/ssl/own.pem"];
            Assert.Equal(network ? told : [], told.Intersect(all));
            Assert.DoesNotContain(all, line => line.Contains("canary", StringComparison.Ordinal));
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
        List<string> ways = ["chmod 777 @", "chown $(id -u) @", "chown $(id -u):$(id -g) @", "touch -d 2001-01-01 @", "touch -a @"];
        // Where the file system has it.
        foreach (var way in new[] { "/usr/bin/python3 -c 'import os; os.setxattr(\"@\", \"user.x\", b\"1\")'", "chattr +d @" })
            if (await room.OnHost($"touch probe; {{ {way.Replace("@", "probe", StringComparison.Ordinal)}; }} 2>/dev/null && echo has; rm probe") == "has\n") ways.Add(way);
        Assert.InRange(ways.Count, 6, 7); // One of the two every file system of a scope has.
        await room.Run(string.Join(" && ", ways.Select(way => way.Replace("@", "f", StringComparison.Ordinal))));
        foreach (var way in ways) await room.Fails(way.Replace("@", room.O + "/f", StringComparison.Ordinal));
    }

    [Fact, Trait("case", "S04")]
    public async Task At_level_partial_modes_and_times_outside_can_be_changed_as_the_page_says_and_contents_cannot()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "read:/O"]);
        await room.Run($"chmod 640 {room.O}/f; touch -d 2001-01-01 {room.O}/f");
        Assert.Equal(2001, File.GetLastWriteTimeUtc(room.O + "/f").Year);
        room.Remember();
        await room.Run("chown $(id -u) f && truncate -s 0 f && rm -f f");
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
        // Each is obeyed by whoever looks for it: on PATH, at the home.
        foreach (var way in new[] { "PATH=$PWD:$PATH bwrap", "PATH=$PWD:$PATH bash", "HOME=$PWD /bin/bash --login -c true", "HOME=$PWD /bin/bash -i -c true 2>/dev/null" }) await room.OnHost($"{way} && rm marker");
        await room.Run("for f in .bashrc .bash_profile .profile .bash_logout; do echo touch $TMPDIR/marker > ~/$f; done");
        Assert.Equal("fine", await room.Run("ls $TMPDIR/marker 2>/dev/null; echo fine"));
        Assert.False(File.Exists(room.W + "/marker"));
        await room.Run("/bin/bash --login -c true && ls $TMPDIR/marker");
    }

    /// <summary>A program of the host's was told a word, by its arguments and by its environment. At <c>partial</c> arguments can be seen, as docs/sandbox.md says.</summary>
    private static async Task AWordOfAnotherProcessIsNotFound(SandboxRoom room)
    {
        var word = "canary-" + Guid.NewGuid().ToString("n");
        await File.WriteAllTextAsync(room.W + "/word", word, SandboxRoom.Ct);
        using var told = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", "echo up; read", word])
        { RedirectStandardInput = true, RedirectStandardOutput = true, Environment = { ["TOLD"] = word } })!;
        try
        {
            Assert.Equal("up", await told.StandardOutput.ReadLineAsync(SandboxRoom.Ct));
            foreach (var file in room.Level == "partial" ? ["environ"] : new[] { "environ", "cmdline" })
            {
                Assert.Contains(word, await File.ReadAllTextAsync($"/proc/{told.Id}/{file}", SandboxRoom.Ct), StringComparison.Ordinal);
                var look = $"grep -qaF -f word /proc/[0-9]*/{file} 2>/dev/null"; // The word itself is in no argument of this.
                await room.OnHost(look);
                await room.Run($"TOLD=$(cat word) bash -c '{look}; exit $?' bash $(cat word)");
                await room.Fails(look);
            }
        }
        finally
        {
            told.StandardInput.Close();
            await told.WaitForExitAsync(SandboxRoom.Ct);
        }
    }

    private static async Task SignalsAndLimitsEndAtTheCommand(SandboxRoom room)
    {
        var pid = Environment.ProcessId;
        await room.Run("renice -n 19 -p 0 && /usr/bin/python3 -c 'import resource; resource.setrlimit(resource.RLIMIT_CPU, (600, 600))' && cat /proc/self/environ /proc/self/maps");
        foreach (var way in new[]
        {
            $"kill -0 {pid}", $"kill -STOP {pid}", $"kill -0 -- -{pid}", $"cat /proc/{pid}/environ", $"cat /proc/{pid}/maps", $"head -c1 /proc/{pid}/mem", $"ls /proc/{pid}/root/", $"ls /proc/{pid}/cwd/",
            $"readlink /proc/{pid}/exe", $"renice -n 19 -p {pid}", $"prlimit --pid {pid} --core=0", $"taskset -p 1 {pid}", $"ionice -c 3 -p {pid}", $"chrt -i -p 0 {pid}", "kill -0 $PPID", "kill -KILL $PPID",
        }) await room.Fails(way);
        var outcome = await room.Bash("sleep 60 & kill -KILL -1; echo alive"); // Whom it may signal is itself, and this test goes on.
        Assert.Contains("alive", outcome.Content, StringComparison.Ordinal);
        foreach (var path in new[] { "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg" }) await room.Fails($": >> {path}");
        foreach (var call in new[] { "29, 1, 4096, 0o1600", "64, 1, 1, 0o1600", "68, 1, 0o1600", "240, b\"/x\", 66, 0o600, 0" })
            if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64) await Refused(room, call); // shmget, semget, msgget, mq_open
    }

    private static async Task Refused(SandboxRoom room, string call) =>
        await room.Fails($"/usr/bin/python3 -c 'import ctypes,sys; r=ctypes.CDLL(None, use_errno=True).syscall({call}); e=ctypes.get_errno(); print(r,e); sys.exit(0 if r>=0 or e not in (1,38) else 1)'");
}
