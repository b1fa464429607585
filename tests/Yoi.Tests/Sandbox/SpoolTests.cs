using System.Globalization;
using Xunit;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// What <c>at</c> and <c>crontab</c> do, step by step, on a stand-in for the service that runs their jobs as the user: a spool that everybody may write,
/// a signal, a socket. So it is tried on every machine, whatever is installed there.
/// </summary>
[Collection("sandbox")]
public sealed class SpoolTests
{
    /// <summary>Runs what is in the spool when it is signalled, or asked over its socket.</summary>
    private const string Service = """
        import os, signal, socket, subprocess, sys, threading
        spool, path = sys.argv[1:]
        def say(word): os.write(1, word.encode() + b"\n") # Two threads: as one.
        def jobs(*_):
            for name in os.listdir(spool):
                subprocess.run([os.path.join(spool, name)]); os.remove(os.path.join(spool, name)); say("ran")
        signal.signal(signal.SIGHUP, jobs)
        s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(); os.chmod(path, 0o777)
        def come():
            while True: s.accept()[0].close(); say("came")
        threading.Thread(target=come, daemon=True).start()
        say("up"); sys.stdin.read()
        """;

    private static readonly string[] Spools =
        ["/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/at", "/var/spool/cron/atjobs", "/var/spool/atjobs", "/etc/cron.d", "/etc/cron.hourly", "/etc/systemd/system", "/var/spool/anacron"];

    /// <summary>What was reached, each step for itself: where one fails the next is still tried.</summary>
    private static string Client(string spool, string socket, string marker, string pid) => $"""
        /usr/bin/python3 - <<'END'
        import os, signal, socket
        def way(name, do):
            try: do(); print(name)
            except OSError: pass
        def submit():
            with open("{spool}/new", "w") as f: f.write("#!/bin/sh\necho ran >> {marker}\n")
            os.chmod("{spool}/new", 0o700); os.rename("{spool}/new", "{spool}/a0001")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        way("wrote", submit)
        way("signalled", lambda: os.kill({pid}, signal.SIGHUP))
        way("connected", lambda: socket.socket(socket.AF_UNIX).connect("{socket}"))
        END
        """;

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S15")]
    public async Task Nothing_is_left_to_be_run_by_a_service_of_the_host(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level, ["write:/W", "read:/O/run"], scene: root =>
        {
            foreach (var name in new[] { "spool", "run", "ran" }) Directory.CreateDirectory($"{root}/O/{name}");
            File.SetUnixFileMode(root + "/O/spool", (UnixFileMode)0b001_111_111_111);
        });
        var (spool, socket, marker) = (room.O + "/spool", room.O + "/run/atd.sock", room.O + "/ran/marker");
        await using var service = await HostProgram.StartAsync(Service, spool, socket);
        var client = Client(spool, socket, marker, service.Pid.ToString(CultureInfo.InvariantCulture));
        Assert.Equal("wrote\nsignalled\nconnected\n", await room.OnHost(client));
        Assert.Equal(["came", "ran"], await service.SaysAsync(2));
        Assert.Equal("ran\n", await File.ReadAllTextAsync(marker, SandboxRoom.Ct));
        room.Remember();
        // Inside it does the same to a spool and a process of its own.
        await room.Run("mkdir spool");
        Assert.Equal("wrote\nsignalled", await room.Run(Client(room.W + "/spool", socket, marker, "os.getpid()")));
        Assert.True(File.Exists(room.W + "/spool/a0001"));

        Assert.Equal("", await room.Run(client));
        room.AssertOutsideUntouched();

        await room.OnHost(client); // Whoever came before is told of before.
        Assert.Equal(["came", "ran"], await service.SaysAsync(2));
        Assert.Equal("", await service.EndAsync());
        Assert.Equal("ran\nran\n", await File.ReadAllTextAsync(marker, SandboxRoom.Ct));
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "S15")]
    public async Task The_spools_of_this_machine_are_neither_written_nor_made(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        static string Way(string below, string spool) => $"mkdir -p {below}{spool} && echo '* * * * * root true' > {below}{spool}/yoi-test";
        foreach (var spool in Spools)
        {
            await room.Run(Way(room.W, spool));
            var before = Listed(spool);
            await room.Fails(Way("", spool));
            await room.Fails($"echo '* * * * * root true' > {spool}/yoi-test");
            Assert.Equal(before, Listed(spool));
        }
        foreach (var file in new[] { "/etc/crontab", "/etc/anacrontab", "/var/spool/cron/root", "/var/spool/cron/crontabs/root" }) await room.Fails($"echo '* * * * * root true' >> {file}");
        // And the programs themselves; one that is not there cannot work either.
        foreach (var way in new[] { "echo true | at now", "echo true | batch", "echo '* * * * * true' | crontab -", "systemd-run --user -q true", "systemd-run -q true" }) await room.Fails(way);
    }

    private static string Listed(string directory) => Directory.Exists(directory) ? string.Join('\n', Directory.GetFileSystemEntries(directory).Order(StringComparer.Ordinal)) : "none";
}
