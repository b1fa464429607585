using System.Globalization;
using System.Text.Json;
using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>Real Pods and what a command of one could do to them and to their terminal; each way is tried outside, too, where it works.</summary>
[Collection("sandbox")]
public sealed class ProcessBoundaryTests : IAsyncLifetime
{
    /// <summary>Says each way that was open to a process of those named, or without names to a child of its own. "Not permitted" and "no such process" are refusals, all else is not.</summary>
    private const string Ways = """
        import ctypes, os, signal, sys
        l = ctypes.CDLL(None, use_errno=True)
        def way(name, call, *a):
            ctypes.set_errno(0)
            r = call(*a)
            if r >= 0 or ctypes.get_errno() not in (1, 3): print(name, r, ctypes.get_errno())
            return r
        pids, child = [int(a) for a in sys.argv[1:]], 0
        if not pids:
            child = os.fork()
            if child == 0:
                while True: signal.pause()
            pids = [child]
        b = ctypes.create_string_buffer(8)
        v = ctypes.byref((ctypes.c_size_t * 2)(ctypes.addressof(b), 8))
        z = ctypes.c_void_p(0)
        for p in pids:
            way("attach", l.ptrace, 16, p, z, z)
            way("read", l.process_vm_readv, p, v, 1, v, 1, 0)
            way("write", l.process_vm_writev, p, v, 1, v, 1, 0)
            fd = l.syscall(434, p, 0)
            if fd >= 0:
                way("descriptor", l.syscall, 438, fd, 0, 0)
                way("signal", l.syscall, 424, fd, signal.SIGSTOP, z, 0)
            for name, number in (("stop", signal.SIGSTOP), ("go on", signal.SIGCONT), ("nothing", 0)): way(name, l.kill, p, number)
            way("group", l.kill, -p, signal.SIGSTOP)
            for ns in ("net", "mnt", "pid", "user", "ipc"):
                try: fd = os.open("/proc/%d/ns/%s" % (p, ns), os.O_RDONLY)
                except OSError: continue
                way("enter", l.setns, fd, 0)
            for name in ("environ", "mem", "maps"):
                try: open("/proc/%d/%s" % (p, name), "rb").read(0 if name == "mem" else -1); print(name)
                except OSError: pass
        if child: os.kill(child, signal.SIGKILL)
        print("tried", len(pids))
        """;

    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static string Bash(string command) => "CALL Bash " + JsonSerializer.Serialize(new { command });

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S11"), Trait("case", "S10"), Trait("case", "K02")]
    public async Task A_Pod_its_spawner_and_its_sibling_are_neither_traced_nor_written_to_nor_entered_nor_held(string level)
    {
        SandboxRoom.SkipWithout(level);
        var root = await _room.Root(with: d => d with { SandboxLevel = level });
        foreach (var name in new[] { "worker", "sibling" }) Assert.False((await root.Spawn(name)).IsError);
        List<int> pids = [root.Launched.Pid];
        foreach (var name in new[] { "worker", "sibling" })
        {
            using var process = root.Child(name).FindProcess()!;
            pids.Add(process.Pid);
        }

        // The control: one that nothing holds does all this to a child; namespaces root alone may enter.
        var outside = await OnHost(Ways);
        foreach (var way in (string[])["attach", "read", "write", "descriptor", "signal", "stop", "go on", "nothing", "environ", "mem", "maps", .. Libc.Geteuid() == 0 ? ["enter"] : Array.Empty<string>()])
            Assert.Contains(way, outside, StringComparison.Ordinal);

        var worker = await _room.Attach("worker");
        await using var client = worker.Client;
        var result = (await worker.Calls(Bash($"/usr/bin/python3 - {string.Join(' ', pids)} <<'END'\n{Ways}\nEND")))[0];

        Assert.Equal($"tried {pids.Count}", result.Content);
        foreach (var pid in pids)
        {
            using var process = PodProcess.Open(pid)!;
            Assert.False(process.IsHeld);
        }
        await root.Client.StatusAsync(_room.Ct);
        foreach (var name in new[] { "worker", "sibling" })
            await using (var asked = await root.ConnectTo(name)) await asked.StatusAsync(_room.Ct);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S13")]
    public async Task A_command_of_a_Pod_that_has_a_terminal_has_none_and_is_in_a_session_of_its_own(string level)
    {
        SandboxRoom.SkipWithout(level);
        // Takes a terminal, proves that it has it, and becomes the Pod.
        _room.Through = ["/usr/bin/python3", "-c", "import fcntl,os,sys,termios\nm,s=os.openpty(); [os.set_inheritable(f, True) for f in (m,s)]; fcntl.ioctl(s, termios.TIOCSCTTY, 0); os.close(os.open('/dev/tty', os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"];
        var pod = await _room.Root(with: d => d with { SandboxLevel = level });
        var (session, terminal) = SessionOf(await File.ReadAllTextAsync($"/proc/{pod.Launched.Pid}/stat", _room.Ct));
        Assert.Equal(pod.Launched.Pid, session);
        Assert.NotEqual(0, terminal);

        var command = Bash("cat /proc/self/stat; echo $$; /usr/bin/python3 -c 'import os; os.open(\"/dev/null\", os.O_RDWR); print(\"opened\"); os.open(\"/dev/tty\", os.O_RDWR); print(\"opened\")'");
        var result = (await pod.Calls(command))[0];

        Assert.True(result.IsError);
        (session, terminal) = SessionOf(result.Content!);
        Assert.Equal(0, terminal);
        Assert.NotEqual(0, session); // As it is where the session is one of outside.
        Assert.NotEqual(pod.Launched.Pid, session);
        if (level == "partial") Assert.Equal($"{session}", result.Content!.Split('\n')[1]); // Nor is it the keeper's, or another command's.
        Assert.Single(result.Content!.Split('\n'), "opened");
    }

    private static (int Session, int Terminal) SessionOf(string stat) =>
        stat.Split(") ")[1].Split(' ') is var words ? (int.Parse(words[3], CultureInfo.InvariantCulture), int.Parse(words[4], CultureInfo.InvariantCulture)) : default;

    private async Task<string> OnHost(string script)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/usr/bin/python3", ["-c", script]) { RedirectStandardOutput = true })!;
        var said = await process.StandardOutput.ReadToEndAsync(_room.Ct);
        await process.WaitForExitAsync(_room.Ct);
        return said;
    }
}
