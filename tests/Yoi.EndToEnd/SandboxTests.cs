using System.Diagnostics;
using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>Real Pods whose models do what they are told, good and bad: the kernel holds the scope of all that they start.</summary>
public sealed class SandboxTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public SandboxTests() => YoiRoom.SkipWithoutBubblewrap();

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
        Assert.Equal([false, true, false, false], results.Select(result => result.IsError));
        Assert.Contains("Bash: in a sandbox (level kernel) that holds exactly this scope; no network", Results("lead").First(result => result.Name == "SpawnPod").Content, StringComparison.Ordinal);
        Assert.Contains("before", results[1].Content, StringComparison.Ordinal);
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

    [Fact, Trait("case", "T31"), Trait("case", "F01")]
    public async Task A_stopped_Pod_s_command_is_gone_before_its_scope_is_given_on()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("writer", Bash("while :; do echo x >> log; sleep 0.01; done")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "writer", "--task", "write")).Expect(0);
        await GrowsAsync("log");
        (await _room.RunAsync("stop", "writer")).Expect(0);
        var length = new FileInfo(_room.Project + "/log").Length;
        AssertGone("writer");
        Assert.Equal(length, new FileInfo(_room.Project + "/log").Length);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.Equal("cancelled", _room.Journal("writer").OfType<Entry.CommandEnded>().Single().Why);
    }

    [Fact, Trait("case", "T34"), Trait("case", "T31"), Trait("case", "F01")]
    public async Task A_killed_Pod_s_scope_is_given_on_only_when_its_commands_are_gone()
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
            (await _room.RunAsync("start", writer, "--task", "write")).Expect(0);
            await GrowsAsync("log");
            using (var pod = Process.GetProcessById(_room.Journal(writer).OfType<Entry.ProcessStarted>().Last().Pid)) pod.Kill();
            (await _room.RunAsync("run", "take over", "--name", next)).Expect(0);
            AssertGone(writer);
            Assert.Equal("new", Results(next)[0].Content);
            Assert.Equal("new\n", _room.Read("project/log"));
            (await _room.RunAsync("stop", writer)).Expect(0);
            File.Delete(_room.Project + "/log");
        }
    }

    [Fact, Trait("case", "T41"), Trait("case", "S21")]
    public async Task A_command_whose_Pod_dies_at_the_gate_never_runs()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("gated", Bash("echo ran > ran")).Of("free", Bash("echo ran > ran")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "go", "--name", "free")).Expect(0);
        Assert.Equal("ran\n", _room.Read("project/ran"));
        File.Delete(_room.Project + "/ran");
        _room.Variable("YOI_FAILPOINT", "command.gate:kill");
        await _room.RunAsync("run", "go", "--name", "gated");
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
        Assert.Contains("not built yet", (await _room.RunAsync("run", "go", "--sandbox", "partial")).Error, StringComparison.Ordinal);
    }

    private async Task GrowsAsync(string file)
    {
        using var limit = new CancellationTokenSource(YoiProcess.Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        var path = _room.Project + "/" + file;
        while (!File.Exists(path) || new FileInfo(path).Length < 10) await ticks.WaitForNextTickAsync(limit.Token);
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
