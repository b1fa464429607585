using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>What the tools say of living and dead children.</summary>
public sealed class PodToolTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_message_is_delivered_or_queued_or_refused_and_the_reply_says_which()
    {
        var root = await _room.Root();
        await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a"), "CALL SpawnPod " + RoomPod.SpawnArguments("b"), """CALL WaitForPods {"until":"all"}""");

        var results = await root.Calls(
            """CALL SendToPod {"name":"a","message":"\nSLOW 600000"}""", """CALL SendToPod {"name":"zz","message":"x"}""",
            """CALL SendToPod {"name":"b","message":"to you"}""", """CALL WaitForPods {"names":["b"]}""", """CALL StopPod {"name":"b"}""", """CALL SendToPod {"name":"b","message":"x"}""");
        Assert.Equal("sent message to `a`", results[0].Summary);
        Assert.Equal("no spawned pod named `zz`; known: `a`, `b`", results[1].Summary);
        Assert.Equal("sent message to `b`", results[2].Summary);
        Assert.Contains("pod `b` is not active (stopped by root); nothing was sent. Active: `a`.", results[5].Summary, StringComparison.Ordinal);

        await using var child = await root.ConnectTo("a");
        await Eventually.Holds(() => Inputs("a").Count == 2);
        while ((await child.StatusAsync(_room.Ct)).State != PodState.Running) await Task.Yield();
        var busy = await root.Calls("""CALL SendToPod {"name":"a","message":"no"}""", """CALL SendToPod {"name":"a","message":"later","mode":"queue"}""");
        Assert.Equal("pod `a` is already running a turn; nothing was sent. Wait for it with WaitForPods and retry, or use mode \"queue\"", busy[0].Summary);
        Assert.Equal("sent message to `a`: queued until its current work ends", busy[1].Summary);
        Assert.Contains("running, waiting for model, 1 message(s) queued", (await root.Call("ListPods")).Content, StringComparison.Ordinal);

        await child.CancelAsync(_room.Ct);
        await root.Call("WaitForPods", """{"names":["a"]}""");
        Assert.Equal(["hello", "\nSLOW 600000", "later"], Inputs("a").Select(input => input.Text));
        Assert.All(Inputs("a"), input => Assert.Equal("root", input.From));
        Assert.Equal(3, _room.Find("a")!.Journal.ReadAfter(Cursor.Start, out _).Count(record => record.Entry is Entry.RunEnded));
    }

    private List<Entry.Input> Inputs(string name) => [.. _room.Find(name)!.Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.Input>()];

    [Fact]
    public async Task A_long_text_is_read_in_pieces_that_go_on_where_the_last_ended_also_after_a_restart()
    {
        var words = string.Concat(Enumerable.Range(0, 500).Select(i => $"{i} äöü "));
        var script = _room.Path + "/script.json";
        await File.WriteAllTextAsync(script, """{"pods":{"root":{"commands":true},"a":{"replies":[{"text":"WORDS"}]}}}""".Replace("WORDS", words, StringComparison.Ordinal), _room.Ct);
        var root = await _room.Root(with: d => d with { Model = d.Model with { Script = script } });
        const string read = """CALL ReadPodOutput {"name":"a","max_bytes":1500}""";

        var first = await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a"), """CALL WaitForPods {"names":["a"]}""", read, read);
        Assert.All(first.Skip(2), result => Assert.EndsWith("has_more: call again for the rest", result.Summary, StringComparison.Ordinal));
        await root.Killed();
        await root.Client.DisposeAsync();
        var again = await _room.Start(root.Document);
        var rest = await again.Calls([.. Enumerable.Repeat(read, 5)]);

        var pieces = first.Skip(2).Concat(rest).Select(result => result.Content).OfType<string>().ToList();
        Assert.Equal(words, string.Concat(pieces));
        Assert.All(pieces, piece => Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(piece), 1, 1500));
        Assert.Equal("pod `a` idle; no new assistant text", rest[^1].Summary);
    }

    [Fact, Trait("case", "T14")]
    public async Task The_list_shows_the_true_state_of_the_living_the_silent_and_the_dead()
    {
        const int living = 5;
        var root = await _room.Root(with: d => d with { Limits = d.Limits with { Children = 20, PodsInTree = 40 } });
        var spawnsAndWaits = "\nCALL SpawnPod " + RoomPod.SpawnArguments("leaf") + "\nCALL WaitForPods {}"; // Told of its leaf by that, so no news of it starts a run.
        var names = Enumerable.Range(0, living).Select(i => $"p{i}").Concat(["held", "killed", "stopped", "below"]).ToArray();
        await root.Calls([.. names.Select(name => "CALL SpawnPod " + RoomPod.SpawnArguments(name, name == "below" ? spawnsAndWaits : "hello")),
            """CALL WaitForPods {"until":"all"}""", """CALL ReadPodOutput {"name":"p0"}""", """CALL StopPod {"name":"stopped"}"""]);
        await using (var busy = await root.ConnectTo("p1")) await busy.RunAsync("SLOW 600000", ct: _room.Ct);
        var spawned = root.All<Entry.ChildSpawned>().ToDictionary(child => child.Child);
        _ = Libc.Kill(spawned["held"].Pid, Libc.SigStop);
        _ = Libc.Kill(spawned["killed"].Pid, Libc.SigKill);
        await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count == 2 && PodProcess.IsHeldNow(spawned["held"].Pid, spawned["held"].StartTime));

        string list;
        do list = await root.List();
        while (!list.Contains("waiting for model", StringComparison.Ordinal)); // Its run has begun; it has yet to ask.

        var lines = list.Split('\n').ToDictionary(line => line.Split(' ')[0]);
        Assert.Equal(names.Order(), lines.Keys.Order());
        var work = $"scope=read:{_room.Work}";
        for (var i = 0; i < living; i++) Assert.StartsWith($"p{i} [alive] {work}; {(i == 1 ? "running, waiting for model" : "idle")}; last activity", lines[$"p{i}"], StringComparison.Ordinal);
        Assert.Contains("; 1 run(s), 1 turn(s), 10 + 5 tokens; ", lines["p2"], StringComparison.Ordinal);
        Assert.EndsWith("; sandbox tools-only", lines["p2"], StringComparison.Ordinal);
        Assert.Contains("; nothing unread; ", lines["p0"], StringComparison.Ordinal);
        Assert.Contains("; unread: ", lines["p2"], StringComparison.Ordinal);
        Assert.StartsWith($"held [alive, not answering] {work}; it is held by SIGSTOP; unread: ", lines["held"], StringComparison.Ordinal);
        Assert.StartsWith("killed [crashed: signal 9] scope=(returned); unread: ", lines["killed"], StringComparison.Ordinal);
        Assert.EndsWith("; 1 run(s), 1 turn(s), 10 + 5 tokens", lines["killed"], StringComparison.Ordinal);
        Assert.StartsWith("stopped [stopped by root] scope=(returned); ", lines["stopped"], StringComparison.Ordinal);
        Assert.Contains("; 1 run(s), 2 turn(s), 20 + 10 tokens; with the pods below it 30 + 15 tokens; children: leaf; ", lines["below"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wait_is_over_for_any_for_all_for_so_many_or_when_its_time_is_up_and_says_who_is_done()
    {
        var root = await _room.Root();
        var results = await root.Calls(
            "CALL SpawnPod " + RoomPod.SpawnArguments("a", "\nSLOW 600000"), "CALL SpawnPod " + RoomPod.SpawnArguments("b"), "CALL SpawnPod " + RoomPod.SpawnArguments("c"),
            """CALL WaitForPods {"names":["b","c"],"until":2}""", """CALL WaitForPods {"names":["a","b","c"]}""", """CALL WaitForPods {"until":"all","timeout_seconds":1}""");

        Assert.Equal("2 of 2 pod(s) done: b, c", results[3].Summary);
        Assert.Contains("pod `b` finished its run: completed", results[3].Content, StringComparison.Ordinal);
        Assert.Equal("2 of 3 pod(s) done: b, c; still working: a", results[4].Summary); // Any of those that were named, told or not.
        Assert.Equal("timed out after 1 s; 0 of 1 pod(s) done; still working: a", results[5].Summary); // By default those at work.
    }

    [Fact]
    public async Task A_wait_is_woken_by_the_death_of_a_child_and_can_be_cancelled()
    {
        var root = await _room.Root();
        await root.Spawn("a", "\nSLOW 600000");
        var accepted = await root.Client.RunAsync("""CALL WaitForPods {"names":["a"]}""", ct: _room.Ct);
        await root.Until(entry => entry is Entry.Assistant, accepted.Seq);
        await root.Client.CancelAsync(_room.Ct);
        var cancelled = await root.Until(entry => entry is Entry.RunEnded, accepted.Seq);
        Assert.Equal("WaitForPods was cancelled before it ended", Assert.Single(cancelled.OfType<Entry.ToolResult>()).Summary);

        await root.Calls(); // Its model hears of the call that was cut off.
        accepted = await root.Client.RunAsync("""CALL WaitForPods {"names":["a"]}""", ct: _room.Ct);
        await root.Until(entry => entry is Entry.Assistant, accepted.Seq);
        _ = Libc.Kill(root.All<Entry.ChildSpawned>()[0].Pid, Libc.SigKill);

        var woken = await root.Until(entry => entry is Entry.RunEnded, accepted.Seq);
        Assert.Contains("pod `a` has ended: crashed: signal 9", Assert.Single(woken.OfType<Entry.ToolResult>()).Content, StringComparison.Ordinal);
        Assert.Empty(root.All<Entry.News>());
    }
}
