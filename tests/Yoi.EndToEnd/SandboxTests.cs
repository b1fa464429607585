using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>Real Pods whose models do what they are told, good and bad: the kernel holds the scope of all that they start.</summary>
[Trait("runs", "commands")]
public sealed class SandboxTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public SandboxTests() => YoiRoom.SkipWithoutSandbox();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static Answer Bash(string command) => Call("Bash", new { command });

    private IReadOnlyList<Entry.ToolResult> Results(string pod) => [.. _room.Journal(pod).OfType<Entry.ToolResult>()];

    [Fact, Trait("case", "T09")]
    public async Task A_command_behind_a_spawn_in_one_message_cannot_write_what_was_lent()
    {
        Directory.CreateDirectory(_room.Project + "/part");
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead",
                Bash("echo before > part/before"),
                Calls(
                    ("SpawnPod", new { name = "worker", task = "write", scope = new[] { new { target = _room.Project + "/part", permission = "write" } } }),
                    ("Bash", new { command = "cat part/before; echo x > part/mine" }), ("Bash", new { command = "echo x > beside" })),
                Call("WaitForPods", new { until = "all" }), Call("StopPod", new { name = "worker" }), Bash("echo back > part/mine; cat part/child"))
            .Of("worker", Bash("echo child > part/child; cat part/before"), Bash("echo x > beside2")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead")).Expect(0);

        var results = Results("lead").Where(result => result.Name == "Bash").ToList();
        Assert.Equal([false, true, YoiRoom.IsPartial, false], results.Select(result => result.IsError));
        var spawned = Results("lead").First(result => result.Name == "SpawnPod").Content;
        Assert.Contains($"Bash: in a sandbox (level {YoiRoom.Level}) that holds exactly this scope; no network", spawned, StringComparison.Ordinal);
        if (YoiRoom.IsPartial)
        {
            // It holds no scope with something lent in it, and says so beforehand.
            Assert.Contains(_room.Project + "/part is lent to worker", spawned, StringComparison.Ordinal);
            Assert.All(results[1..3], result => Assert.Contains("is lent to worker", result.Summary, StringComparison.Ordinal));
        }
        else Assert.Contains("before", results[1].Content, StringComparison.Ordinal);
        Assert.Contains("child", results[3].Content, StringComparison.Ordinal);
        Assert.Equal("back\n", _room.Read("project/part/mine"));
        Assert.Equal([false, true], Results("worker").Select(result => result.IsError));
        Assert.False(File.Exists(_room.Project + "/beside2"));
    }

    [Fact, Trait("case", "T09")]
    public async Task What_a_background_command_can_write_is_not_lent_until_it_is_gone()
    {
        Directory.CreateDirectory(_room.Project + "/part");
        var spawn = Call("SpawnPod", new { name = "worker", task = "write", scope = new[] { new { target = _room.Project + "/part", permission = "write" } } });
        await using var server = await ModelServer.StartAsync(new Minds().Of("lead",
            Call("Bash", new { command = "sleep 600", run_in_background = true, name = "watcher" }), spawn, Call("KillBash", new { name = "watcher" }), spawn,
            Call("StopPod", new { name = "worker" })).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead")).Expect(0);
        var spawns = Results("lead").Where(result => result.Name == "SpawnPod").ToList();
        Assert.True(spawns[0].IsError);
        Assert.Contains("`watcher`", spawns[0].Summary, StringComparison.Ordinal);
        Assert.False(spawns[1].IsError, spawns[1].Summary);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T31"), Trait("case", "F01")]
    public async Task A_stopped_Pod_s_command_is_gone_before_its_scope_is_given_on(string level)
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("writer", Bash("trap '' TERM; (setsid -f sh -c 'while :; do echo x >> log; sleep 0.001; done'); while :; do echo x >> log; sleep 0.01; done")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "writer", "--task", "write", "--sandbox", level)).Expect(0);
        await GrowsAsync("log");
        (await _room.RunAsync("stop", "writer")).Expect(0);
        var length = new FileInfo(_room.Project + "/log").Length;
        AssertGone("writer");
        Assert.Equal(length, new FileInfo(_room.Project + "/log").Length);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.Equal("cancelled", _room.Journal("writer").OfType<Entry.CommandEnded>().Single().Why);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T34"), Trait("case", "T31"), Trait("case", "F01")]
    public async Task A_killed_Pod_s_scope_is_given_on_only_when_its_commands_are_gone(string level)
    {
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("writer0", Writes()).Of("writer1", Writes()).Of("writer2", Writes())
            .Of("next0", Takes()).Of("next1", Takes()).Of("next2", Takes()).Answer);
        static Answer Writes() => Bash("trap '' TERM; for i in 1 2 3 4; do (setsid sh -c 'while :; do echo old >> log; sleep 0.001; done' &); done; sleep 600");
        static Answer Takes() => Bash("echo new > log; sleep 0.3; sort -u log");
        _room.UseModel(server);
        for (var round = 0; round < 3; round++)
        {
            var (writer, next) = ($"writer{round}", $"next{round}");
            (await _room.RunAsync("start", writer, "--task", "write", "--sandbox", level)).Expect(0);
            await GrowsAsync("log");
            using (var pod = Process.GetProcessById(_room.Journal(writer).OfType<Entry.ProcessStarted>().Last().Pid)) pod.Kill();
            (await _room.RunAsync("run", "take over", "--name", next, "--sandbox", level)).Expect(0);
            AssertGone(writer);
            Assert.Equal("new", Results(next)[0].Content);
            Assert.Equal("new\n", _room.Read("project/log"));
            (await _room.RunAsync("stop", writer)).Expect(0);
            File.Delete(_room.Project + "/log");
        }
    }

    [Fact, Trait("case", "T34"), Trait("case", "S17")]
    public async Task A_Pod_that_was_held_while_a_command_ended_and_is_killed_then_leaves_nothing_of_the_others()
    {
        // The keeper has told of an end that the Pod never read; the other command has a process that nothing but the keeper finds.
        await using var server = await ModelServer.StartAsync(new Minds().Of("writer",
            Call("Bash", new { command = "echo $$ > ends; while [ ! -e go ]; do sleep 0.01; done", run_in_background = true, name = "ends" }),
            Call("Bash", new { command = "env -i /usr/bin/setsid -f /usr/bin/sleep 6271; echo x > begun; sleep 600", run_in_background = true, name = "stays" })).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "writer", "--task", "write", "--sandbox", "partial")).Expect(0);
        await HoldsAsync(() => File.Exists(_room.Project + "/begun") && File.Exists(_room.Project + "/ends") && _room.Read("project/ends").EndsWith('\n') && Sleeps());
        using var pod = Process.GetProcessById(_room.Journal("writer").OfType<Entry.ProcessStarted>().Last().Pid);
        _ = Libc.Kill(pod.Id, Libc.SigStop);
        _room.Write("project/go", "");
        await HoldsAsync(() => !Directory.Exists("/proc/" + _room.Read("project/ends").Trim()));
        pod.Kill();
        await HoldsAsync(() => !Sleeps());
        (await _room.RunAsync("stop", "writer")).Expect(0);

        static bool Sleeps() => Directory.EnumerateDirectories("/proc").Any(path => YoiRoom.Text(path + "/cmdline") == "/usr/bin/sleep\06271\0");
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T41"), Trait("case", "S21")]
    public async Task A_command_whose_Pod_dies_at_the_gate_never_runs(string level)
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("gated", Bash("echo ran > ran")).Of("free", Bash("echo ran > ran")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "go", "--name", "free", "--sandbox", level)).Expect(0);
        Assert.Equal("ran\n", _room.Read("project/ran"));
        File.Delete(_room.Project + "/ran");
        _room.Variable("YOI_FAILPOINT", "command.gate:kill");
        await _room.RunAsync("run", "go", "--name", "gated", "--sandbox", level);
        _room.Variable("YOI_FAILPOINT", null);
        Assert.Single(_room.Journal("gated").OfType<Entry.CommandStarted>());
        (await _room.RunAsync("stop", "gated")).Expect(0);
        AssertGone("gated");
        Assert.False(File.Exists(_room.Project + "/ran"));
    }

    [Fact]
    public async Task The_level_is_shown_wherever_a_Pod_is_and_without_a_sandbox_there_is_no_Bash()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("bare", Bash("echo x > ran")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "held", "--sandbox", "kernel", "--task", "wait")).Expect(0);
        Assert.Equal("kernel", (await _room.PodsAsync())["held"].GetProperty("sandbox_level").GetString());
        await using (var client = await _room.ConnectAsync("held")) Assert.Equal("kernel", (await client.StatusAsync(TestContext.Current.CancellationToken)).SandboxLevel);
        (await _room.RunAsync("stop", "held")).Expect(0);
        Assert.Contains("level kernel", (await _room.RunAsync("doctor")).Out, StringComparison.Ordinal);

        await _room.RunAsync("run", "go", "--name", "bare", "--sandbox", "tools-only");
        Assert.Contains("not found", Results("bare").Single().Summary, StringComparison.Ordinal);
        Assert.False(File.Exists(_room.Project + "/ran"));

        (await _room.RunAsync("start", "partly", "--sandbox", "partial", "--task", "wait")).Expect(0);
        Assert.Equal("partial", (await _room.PodsAsync())["partly"].GetProperty("sandbox_level").GetString());
        (await _room.RunAsync("stop", "partly")).Expect(0);
    }

    [Fact, Trait("case", "T09")]
    public async Task At_partial_a_spawn_says_beforehand_whose_Bash_cannot_be_held()
    {
        Directory.CreateDirectory(_room.Project + "/part");
        var spawn = Call("SpawnPod", new { name = "worker", task = "write", scope = new[] { new { target = _room.Project + "/part", permission = "write" } } });
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead", Bash("echo x > before"), spawn, Bash("echo x > after"), Call("StopPod", new { name = "worker" }), Bash("echo x > after")).Of("worker", Answer.Says("nothing")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead", "--sandbox", "partial")).Expect(0);
        var results = Results("lead");
        Assert.Contains(_room.Project + "/part is lent to worker", results[1].Content, StringComparison.Ordinal);
        Assert.Equal([false, false, true, false, false], results.Select(result => result.IsError));
        Assert.Contains("is lent to worker", results[2].Summary + results[2].Content, StringComparison.Ordinal);
        Assert.True(File.Exists(_room.Project + "/after"));
    }

    [Fact, Trait("case", "S20")]
    public async Task Without_Landlock_partial_is_an_error_with_the_reason_and_nothing_is_started()
    {
        // Loads the number of the call; 444, landlock_create_ruleset, is not there; all else is.
        byte[] filter = [0x20, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 1, 0xbc, 1, 0, 0, 6, 0, 0, 0, 38, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f];
        await File.WriteAllBytesAsync(_room.Root + "/filter", filter, TestContext.Current.CancellationToken);
        async Task<(int, string)> Yoi(string arguments)
        {
            using var process = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", $"exec bwrap --dev-bind / / --seccomp 9 {YoiRoom.Program} {arguments} 9<{_room.Root}/filter 2>&1"])
            { RedirectStandardOutput = true, Environment = { ["YOI_HOME"] = _room.Root + "/bare", ["HOME"] = _room.Home } })!;
            var said = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return (process.ExitCode, said);
        }
        var (code, said) = await Yoi($"start bare --task go --model ollama/none --sandbox partial");
        Assert.NotEqual(0, code);
        Assert.Contains("level partial cannot be had (Landlock: this kernel has no Landlock", said, StringComparison.Ordinal);
        Assert.Contains("this kernel has no Landlock", (await Yoi("doctor")).Item2, StringComparison.Ordinal);
    }

    private Task GrowsAsync(string file)
    {
        var path = _room.Project + "/" + file;
        return HoldsAsync(() => File.Exists(path) && new FileInfo(path).Length >= 10);
    }

    private static async Task HoldsAsync(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(YoiProcess.Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!condition()) await ticks.WaitForNextTickAsync(limit.Token);
    }

    /// <summary>No living process in the namespace of any command of that Pod.</summary>
    private void AssertGone(string pod)
    {
        var namespaces = _room.Journal(pod).OfType<Entry.CommandStarted>().Select(started => $"pid:[{started.Namespace.ToString(CultureInfo.InvariantCulture)}]").ToHashSet();
        Assert.NotEmpty(namespaces);
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1])))
        {
            // Numbers of namespaces are used again: only processes that work in this room count.
            if (!namespaces.Contains(new FileInfo(process + "/ns/pid").LinkTarget ?? "")) continue;
            if (new FileInfo(process + "/cwd").LinkTarget?.StartsWith(_room.Root, StringComparison.Ordinal) != true) continue;
            var state = File.ReadAllLines(process + "/status").First(line => line.StartsWith("State:", StringComparison.Ordinal));
            Assert.True(state.Contains('Z') || state.Contains('X'), $"{process} still runs: {state}");
        }
    }
}
