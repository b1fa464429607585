using System.Net;
using System.Net.Sockets;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>What a Pod lends, its commands lose, and get back: over three levels and between siblings, in one message and over the time that commands run.</summary>
[Trait("runs", "commands")]
public sealed class LendingTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public LendingTests() => YoiRoom.SkipWithoutSandbox();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static Answer Bash(string command) => Call("Bash", new { command });

    private (string, object) Spawn(string name, string below, string busy = "refuse", string permission = "write") =>
        ("SpawnPod", new { name, task = "work", scope = new[] { new { target = _room.Project + below, permission } }, when_busy = busy });

    private static (string, object) Runs(string command) => ("Bash", new { command });

    private IReadOnlyList<bool> Failed(string pod, string tool = "Bash") => [.. _room.Journal(pod).OfType<Entry.ToolResult>().Where(result => result.Name == tool).Select(result => result.IsError)];

    [Fact, Trait("case", "T09"), Trait("case", "L18")]
    public async Task Commands_lose_what_is_lent_at_every_level_and_have_it_again_when_it_is_back()
    {
        foreach (var path in new[] { "/a/deep", "/b" }) Directory.CreateDirectory(_room.Project + path);
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead",
                Calls(Spawn("left", "/a"), Spawn("right", "/b"), Runs("echo x > a/lead"), Runs("echo x > a/deep/lead"), Runs("echo x > b/lead"), Runs("echo x > mine")),
                Call("WaitForPods", new { until = "all" }), Bash("echo x > a/deep/lead"),
                Calls(("StopPod", new { name = "left" }), Runs("echo x > a/lead && echo x > a/deep/lead && cat a/deep/below"), Runs("echo x > b/lead")),
                Calls(("StopPod", new { name = "right" }), Runs("echo x > b/lead")))
            .Of("left",
                Calls(Runs("echo x > a/deep/before"), Spawn("below", "/a/deep"), Runs("echo x > a/deep/left"), Runs("echo x > a/left"), Runs("echo x > b/left"), Runs("echo x > left")),
                Call("WaitForPods", new { until = "all" }), Calls(("StopPod", new { name = "below" }), Runs("echo x > a/deep/left")))
            .Of("below", Calls(Runs($"echo x > {_room.Project}/a/deep/below"), Runs($"echo x > {_room.Project}/a/below")))
            .Of("right", Calls(Runs($"echo x > {_room.Project}/b/right"), Runs($"echo x > {_room.Project}/a/right"), Runs($"echo x > {_room.Project}/a/deep/right"))).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead")).Expect(0);

        // Level partial holds no scope with something lent in it: each command is refused until all is back.
        var refused = YoiRoom.IsPartial;
        Assert.Equal([true, true, true, refused, true, refused, true, false], Failed("lead"));
        Assert.Equal([false, true, refused, true, true, false], Failed("left"));
        Assert.Equal([false, true], Failed("below"));
        Assert.Equal([false, true, true], Failed("right"));
    }

    [Fact, Trait("case", "T09")]
    public async Task A_spawn_in_a_message_with_commands_before_and_behind_it_holds_each_time()
    {
        // A run has 200 turns at most: the thousand rounds are ten runs, each of a lead of its own.
        var (leads, rounds) = (Slice.Of(1, 10), Slice.Of(8, 100));
        Directory.CreateDirectory(_room.Project + "/part");
        var lead = Enumerable.Range(0, rounds).Select(round => Calls(
            Runs($"echo {round} > part/before"), Spawn("no", "/../outside"), Runs("echo x > part/after-refusal"), Spawn($"worker{round}", "/part"), Runs("echo x > part/lent"),
            ("StopPod", new { name = $"worker{round}" }), Runs("echo x > part/back"))).ToArray();
        var minds = new Minds();
        for (var each = 0; each < leads; each++) minds.Of($"lead{each}", lead);
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        for (var each = 0; each < leads; each++)
        {
            var name = $"lead{each}";
            await using (var run = _room.Start("run", "lend", "--name", name))
            {
                run.EndInput();
                (await run.EndAsync(YoiProcess.Limit * Slice.Of(1, 10))).Expect(0);
            }
            Assert.Equal(Enumerable.Repeat<bool[]>([false, false, true, false], rounds).SelectMany(round => round), Failed(name));
            Assert.Equal(Enumerable.Repeat<bool[]>([true, false], rounds).SelectMany(round => round), Failed(name, "SpawnPod"));
            Assert.False(File.Exists(_room.Project + "/part/lent"));
        }
    }

    [Fact, Trait("case", "T09")]
    public async Task A_spawn_can_wait_for_the_command_that_still_writes_there()
    {
        Directory.CreateDirectory(_room.Project + "/part");
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead",
                Call("Bash", new { command = "while [ ! -e go ]; do sleep 0.05; done; echo last > part/f", run_in_background = true, name = "writer" }),
                Calls(Spawn("early", "/part"), Spawn("reader", "/part", permission: "read"), Runs("(sleep 1; touch go) & wait"), Spawn("worker", "/part", busy: "wait")), Call("WaitForPods", new { until = "all" }))
            .Of("worker", Bash($"cat {_room.Project}/part/f && echo x > {_room.Project}/part/worker")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead")).Expect(0);
        Assert.Equal([true, false, false], Failed("lead", "SpawnPod"));
        Assert.Equal([false], Failed("worker"));
        var entries = _room.Journal("lead");
        Assert.Contains("`writer`", entries.OfType<Entry.ToolResult>().First(result => result.Name == "SpawnPod").Summary, StringComparison.Ordinal);
        Assert.Equal("last", _room.Journal("worker").OfType<Entry.ToolResult>().Single().Content);
    }

    [Fact, Trait("case", "V12"), Trait("case", "S07")]
    public async Task A_child_has_the_network_where_its_spawner_has_it_and_gives_it_and_nowhere_else()
    {
        Needs.Programs("/usr/bin/python3");
        using var collector = new TcpListener(IPAddress.Loopback, 0);
        collector.Start();
        var reach = Runs($"/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {((IPEndPoint)collector.LocalEndpoint).Port}), 5)'");
        static (string, object) Spawn(string name, bool network) => ("SpawnPod", new { name, task = "work", network, scope = Array.Empty<object>() });
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead", Calls(reach, Spawn("online", true), Spawn("offline", false)), Call("WaitForPods", new { until = "all" }))
            .Of("online", Calls(reach))
            .Of("offline", Calls(reach, Spawn("below", true), Spawn("quiet", false))).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "lend", "--name", "lead", "--network")).Expect(0);

        Assert.Equal([false, false, true], Failed("lead").Concat(Failed("online")).Concat(Failed("offline")));
        Assert.Equal([false, false], Failed("lead", "SpawnPod"));
        Assert.Equal([true, false], Failed("offline", "SpawnPod"));
        var refused = _room.Journal("offline").OfType<Entry.ToolResult>().First(result => result.Name == "SpawnPod");
        Assert.Contains("`offline` has no network", refused.Summary + refused.Content, StringComparison.Ordinal);
        foreach (var _ in (string[])["lead", "online"])
        {
            Assert.True(collector.Pending());
            collector.AcceptSocket().Dispose();
        }
        Assert.False(collector.Pending());
    }

    [Fact]
    public async Task The_end_of_a_background_command_sets_an_idle_Pod_to_work_and_its_spawner_is_told_of_that()
    {
        Directory.CreateDirectory(_room.Project + "/part");
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead", Calls(Spawn("builder", "/part")))
            .Of("builder",
                Call("Bash", new { command = $"while [ ! -e {_room.Project}/go ]; do sleep 0.05; done; echo built", run_in_background = true, name = "build" }),
                Answer.Says("it is building"), Call("BashOutput", new { name = "build" }), Answer.Says("it is built")).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "lead", "--task", "build")).Expect(0);
        await _room.PodsAsync(pods => pods.ContainsKey("builder") && _room.Journal("lead").OfType<Entry.News>().Count() == 1);
        _room.Write("project/go", "");
        await _room.PodsAsync(_ => _room.Journal("lead").OfType<Entry.News>().Count() == 2);
        (await _room.RunAsync("stop", "lead")).Expect(0);
        var builder = _room.Journal("builder");
        Assert.Equal("bash", builder.OfType<Entry.Notify>().Single().Source);
        Assert.Equal("built", builder.OfType<Entry.ToolResult>().Last().Content);
        Assert.Equal("it is built", builder.OfType<Entry.Assistant>().Last().Text);
    }
}
