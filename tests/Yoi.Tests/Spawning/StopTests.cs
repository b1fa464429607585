using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>The end of children: asked, killed, found dead. What they held is back, and what they said can be read.</summary>
public sealed class StopTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_stopped_pod_has_no_process_left_nor_has_anything_below_it_and_a_second_stop_changes_nothing()
    {
        var root = await Three();

        var stopped = await root.Call("StopPod", """{"name":"mid"}""");
        var again = await root.Call("StopPod", """{"name":"mid"}""");

        Assert.False(stopped.IsError || again.IsError, stopped.Summary + again.Summary);
        Assert.Contains($"reclaimed scope: write:{_room.Work}/m", stopped.Summary, StringComparison.Ordinal);
        Assert.Contains("end: stopped by root", stopped.Content, StringComparison.Ordinal);
        Assert.Contains("stopped with it, leaf first: leaf", stopped.Content, StringComparison.Ordinal);
        Assert.Contains("had already ended (stopped by root)", again.Summary, StringComparison.Ordinal);
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Single(_room.Rows);
        Assert.Single(root.All<Entry.ChildEnded>());
        Assert.All(["leaf", "mid"], name => Assert.IsType<Entry.PodEnded>(_room.Find(name)!.Journal.Last()!.Entry));
    }

    [Fact, Trait("case", "G10")]
    public async Task A_journal_that_cannot_be_read_keeps_nothing_of_its_tree_alive()
    {
        var root = await Three();
        var mid = _room.Find("mid")!;
        File.Move($"{mid.Directory}/{PodFiles.Journal}", $"{mid.Directory}/aside");
        File.CreateSymbolicLink($"{mid.Directory}/{PodFiles.Journal}", "aside"); // No journal is to be a link.

        using (var table = _room.Table())
            await Assert.ThrowsAnyAsync<IOException>(() => new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(root.Known, "human", force: false, _room.Ct)); // Its end cannot be recorded.

        Assert.Empty(_room.Processes);
        File.Move($"{mid.Directory}/aside", $"{mid.Directory}/{PodFiles.Journal}", overwrite: true);
    }

    [Fact]
    public async Task A_tree_that_has_to_be_killed_still_tells_what_came_back()
    {
        var root = await Three("pod.ending:hang@mid,pod.ending:hang@leaf");

        var stopped = await root.Call("StopPod", """{"name":"mid"}""");

        Assert.Contains($"reclaimed scope: write:{_room.Work}/m", stopped.Summary, StringComparison.Ordinal);
        Assert.Contains("leaf first: leaf", stopped.Content, StringComparison.Ordinal);
        Assert.All(["leaf", "mid"], name => Assert.NotEmpty(Assert.IsType<Entry.PodEnded>(_room.Find(name)!.Journal.Last()!.Entry).Returned));
        Assert.Equal([root.Launched.Pid], _room.Processes);
    }

    [Fact]
    public async Task A_child_that_neither_answers_nor_heeds_SIGTERM_is_killed_and_its_scope_is_back()
    {
        var root = await _room.Root("pod.ending:hang@a");
        var folder = _room.Folder("a");
        await root.Spawn("a", scope: RoomPod.Write(folder));

        var results = await root.Calls("""CALL StopPod {"name":"a"}""", RoomPod.WriteFile(folder + "/x"));

        Assert.Contains($"reclaimed scope: write:{folder}", results[0].Summary, StringComparison.Ordinal);
        Assert.Contains("end: killed by root: it did not end when asked, nor on SIGTERM", results[0].Content, StringComparison.Ordinal);
        Assert.False(results[1].IsError, results[1].Summary);
        Assert.Equal(PodEnd.Killed, Assert.Single(root.All<Entry.ChildEnded>()).Reason);
        Assert.Equal([root.Launched.Pid], _room.Processes);
    }

    [Fact, Trait("case", "F03"), Trait("case", "L11")]
    public async Task A_child_held_by_SIGSTOP_is_alive_not_answering_keeps_its_scope_can_be_read_and_can_be_stopped()
    {
        var root = await _room.Root();
        var folder = _room.Folder("a");
        await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), """CALL WaitForPods {"names":["a"]}""");
        var process = Assert.Single(root.All<Entry.ChildSpawned>());
        _ = Libc.Kill(process.Pid, Libc.SigStop);
        await Eventually.Holds(() => PodProcess.IsHeldNow(process.Pid, process.StartTime));

        var results = await root.Calls(
            "CALL ListPods {}", """CALL ReadPodOutput {"name":"a"}""", """CALL SendToPod {"name":"a","message":"hello"}""", RoomPod.WriteFile(folder + "/x"),
            """CALL StopPod {"name":"a"}""", RoomPod.WriteFile(folder + "/x"));

        Assert.StartsWith($"a [alive, not answering] scope=write:{folder}", results[0].Content, StringComparison.Ordinal);
        Assert.Equal("Hello from the mock.", results[1].Content);
        Assert.Contains("alive, not answering", results[1].Summary, StringComparison.Ordinal);
        Assert.Contains("alive, not answering (it is held by SIGSTOP); nothing was sent", results[2].Summary, StringComparison.Ordinal);
        Assert.InRange(root.Took("SendToPod"), TimeSpan.Zero, TimeSpan.FromSeconds(5)); // With the two before it, which nobody waits in, either.
        Assert.Contains("lent to `a`", results[3].Summary, StringComparison.Ordinal);
        Assert.Contains("end: killed by root: it was held by SIGSTOP", results[4].Content, StringComparison.Ordinal);
        Assert.Contains($"reclaimed scope: write:{folder}", results[4].Summary, StringComparison.Ordinal);
        Assert.False(results[5].IsError, results[5].Summary);
        Assert.Equal([root.Launched.Pid], _room.Processes);
    }

    [Fact, Trait("case", "T23"), Trait("case", "L18")]
    public async Task However_a_child_ends_memory_table_and_journals_agree_and_its_output_can_still_be_read()
    {
        var root = await _room.Root();
        var folder = _room.Folder("a");
        (string Name, Func<Entry.ChildSpawned, Task> End, PodEnd Reason, string Words)[] ways =
        [
            ("stop", child => root.Call("StopPod", $$"""{"name":"{{child.Child}}"}"""), PodEnd.Stopped, "stopped by root"),
            ("kill", child => Task.FromResult(Libc.Kill(child.Pid, Libc.SigKill)), PodEnd.Crashed, "crashed: signal 9"),
            ("term", child => Task.FromResult(Libc.Kill(child.Pid, Libc.SigTerm)), PodEnd.Stopped, "stopped by signal SIGTERM"),
            ("shutdown", async child => { await using var client = await root.ConnectTo(child.Child); await client.ShutdownAsync(_room.Ct); }, PodEnd.Stopped, "stopped by human"),
        ];
        foreach (var (name, end, reason, words) in ways)
        {
            await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments(name, scope: RoomPod.Write(folder)), $$"""CALL WaitForPods {"names":["{{name}}"]}""");
            var child = root.All<Entry.ChildSpawned>()[^1];
            Assert.Equal(name, Assert.Single((await root.Client.StatusAsync(_room.Ct)).Lent).Child);
            await end(child);
            await Eventually.Holds(() => root.All<Entry.ChildEnded>().Any(ended => ended.ChildId == child.ChildId));

            var ended = root.All<Entry.ChildEnded>()[^1];
            Assert.Equal((reason, new ScopeRule(folder, Permission.Write)), (ended.Reason, ended.Returned[0]));
            var own = Assert.IsType<Entry.PodEnded>(root.Child(name).Journal.Last()!.Entry);
            Assert.Equal((reason, new ScopeRule(folder, Permission.Write)), (own.Reason, own.Returned[0]));
            // What has come back is journalled behind the end; told of an end that it did not make itself, it has run.
            await Eventually.Holds(() => root.All<Entry.ScopeChanged>()[^1].Lent.Count == 0 && root.Entries[^1] is Entry.RunEnded);
            Assert.Empty((await root.Client.StatusAsync(_room.Ct)).Lent);
            Assert.Equal([root.Document.PodId], _room.Rows.Select(row => row.PodId));

            var results = await root.Calls(
                $$"""CALL ReadPodOutput {"name":"{{name}}"}""", "CALL ListPods {}", $$"""CALL SendToPod {"name":"{{name}}","message":"x"}""", $$"""CALL StopPod {"name":"{{name}}"}""", RoomPod.WriteFile(folder + "/x"));
            Assert.StartsWith("Hello from the mock.", results[0].Content, StringComparison.Ordinal);
            Assert.Contains(words, results[0].Summary, StringComparison.Ordinal);
            Assert.Contains($"{name} [{words}] scope=(returned)", results[1].Content, StringComparison.Ordinal);
            Assert.Contains($"is not active ({words}); nothing was sent", results[2].Summary, StringComparison.Ordinal);
            Assert.Contains("had already ended", results[3].Summary, StringComparison.Ordinal);
            Assert.False(results[4].IsError, results[4].Summary);
        }
        Assert.Equal(ways.Length, root.All<Entry.ChildEnded>().Count);
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Single(Directory.EnumerateFileSystemEntries(_room.Directories.Runtime)); // Its own socket.
    }

    [Fact, Trait("case", "L18"), Trait("case", "T32")]
    public async Task A_pod_in_the_middle_that_is_killed_leaves_its_child_its_grant_which_goes_back_to_the_top_in_the_end()
    {
        var root = await Three();
        var mid = Assert.Single(root.All<Entry.ChildSpawned>());
        _ = Libc.Kill(mid.Pid, Libc.SigKill);
        await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count == 1);

        var leaf = Assert.Single(_room.Rows, row => row.Name == "leaf");
        Assert.Equal((root.Document.PodId, false), (leaf.SpawnerId, leaf.Pending));
        await Eventually.Holds(() => root.Entries[^1] is Entry.RunEnded);
        var results = await root.Calls(RoomPod.WriteFile(_room.Work + "/m/x"), RoomPod.WriteFile(_room.Work + "/m/l/x"), """CALL StopPod {"name":"mid"}""", RoomPod.WriteFile(_room.Work + "/m/l/x"));

        Assert.Equal([false, true, false, false], results.Select(result => result.IsError));
        Assert.Contains("lent to `leaf`", results[1].Summary, StringComparison.Ordinal);
        Assert.Contains("leaf first: leaf", results[2].Content, StringComparison.Ordinal);
        Assert.Equal([root.Launched.Pid], _room.Processes);
    }

    [Fact, Trait("case", "L11")]
    public async Task A_child_that_adopts_its_grant_while_its_dead_spawner_is_stopped_gets_nothing()
    {
        var root = await _room.Root("child.started:stop@kid,child.ready:stop@kid");
        await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("kid", scope: RoomPod.Write(_room.Folder("a"))), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(IsHeld));
        var kid = _room.Processes.Single(IsHeld);
        await root.Killed();
        Assert.True(Assert.Single(_room.Rows, row => row.Name == "kid").Pending);

        // Held when it has seen that nothing of the tree lives, and before it says so.
        using var stop = Process.Start("/usr/bin/env", [$"YOI_HOME={_room.Path}", "YOI_FAILPOINT=stop.verified:stop", RealPod.Yoi, "stop", "root"]);
        await Eventually.Holds(() => IsHeld(stop.Id));
        _ = Libc.Kill(kid, Libc.SigCont);
        await Eventually.Holds(() => IsHeld(kid) || !_room.Processes.Contains(kid)); // Ready to work, or refused.
        _ = Libc.Kill(stop.Id, Libc.SigCont);
        await stop.WaitForExitAsync(_room.Ct);

        Assert.Equal(0, stop.ExitCode);
        Assert.Empty(_room.Processes);
        Assert.Empty(_room.Rows);

        static bool IsHeld(int pid) => PodProcess.StartTimeOf(pid) is { } started && PodProcess.IsHeldNow(pid, started);
    }

    [Theory, InlineData(false), InlineData(true), Trait("case", "L11"), Trait("case", "T10")]
    public async Task A_child_that_is_stopped_before_its_journal_says_which_process_it_is_ends(bool force)
    {
        var root = await _room.Root("child.journal:stop@a");
        var folder = _room.Folder("a");
        var accepted = await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(IsHeld));
        var child = root.Child("a");
        Assert.True(child.IsAlive);
        Assert.Null(child.FindProcess());

        using var table = _room.Table();
        var stopping = new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(child, "human", force, _room.Ct);
        if (!force) _ = Libc.Kill(_room.Processes.Single(IsHeld), Libc.SigCont); // Seen by now, and on its way to its socket; by force it is let go by whoever kills it.
        var stopped = await stopping;

        // By force its spawner sees it end before it was ready, and may have removed what it has left by now.
        Assert.Contains(stopped.Reason, force ? [PodEnd.Killed, PodEnd.Lost] : new[] { PodEnd.Stopped });
        await root.Until(entry => entry is Entry.RunEnded, accepted.Seq);
        await Eventually.Holds(() => _room.Processes.Count == 1 && _room.Rows.Count == 1);
        Assert.Equal([root.Launched.Pid], _room.Processes);

        static bool IsHeld(int pid) => PodProcess.StartTimeOf(pid) is { } started && PodProcess.IsHeldNow(pid, started);
    }

    [Fact, Trait("case", "L12")]
    public async Task An_owner_held_by_SIGSTOP_is_killed_by_force_before_its_scope_is_given_on_and_writes_nothing_late()
    {
        var folder = _room.Folder("a");
        Task<RoomPod> Root(string name, string? failpoint) => _room.Root(failpoint, d => d with { Scope = new ScopeRules([new(folder, Permission.Write)], []) }, name);
        async Task<RoomPod> Held(string name, string file)
        {
            var pod = await Root(name, "file.before_rename:stop"); // In the middle of a write.
            await pod.Client.RunAsync(RoomPod.WriteFile(folder + "/" + file), ct: _room.Ct);
            await Eventually.Holds(() => pod.Launched.Process.IsHeld);
            return pod;
        }
        // The control: one that is let go on writes.
        var control = await Held("control", "control");
        control.Signal(Libc.SigCont);
        await control.Until(entry => entry is Entry.RunEnded);
        Assert.Equal("by the spawner", await File.ReadAllTextAsync(folder + "/control", _room.Ct));
        using (var table = _room.Table()) await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(control.Known, "human", force: false, _room.Ct);

        var owner = await Held("owner", "late");
        Assert.Contains("owner", (await Assert.ThrowsAsync<LaunchException>(() => Root("early", null))).Message, StringComparison.Ordinal); // Nobody living is declared dead.
        var generation = Assert.Single(_room.Rows).Generation;
        using (var stop = Process.Start("/usr/bin/env", [$"YOI_HOME={_room.Path}", RealPod.Yoi, "stop", "--force", "owner"]))
        {
            await stop.WaitForExitAsync(_room.Ct);
            Assert.Equal(0, stop.ExitCode);
        }
        Assert.Equal(Libc.SigKill, (await owner.Launched.Process.Exited.WaitAsync(PodRoom.Patience, _room.Ct)).Signal);
        Assert.False(owner.Launched.Process.Signal(Libc.SigCont));
        Assert.Empty(_room.Rows);
        var end = Assert.IsType<Entry.PodEnded>(owner.Entries[^1]);
        Assert.Equal((PodEnd.Killed, "human"), (end.Reason, end.By));

        var next = await Root("next", null);
        Assert.True(Assert.Single(_room.Rows).Generation > generation);
        Assert.False((await next.Calls(RoomPod.WriteFile(folder + "/mine")))[0].IsError);
        Assert.False(File.Exists(folder + "/late"));
    }

    [Fact, Trait("case", "T36")]
    public async Task A_dead_pod_whose_runtime_directory_is_gone_is_stopped_and_its_end_recorded()
    {
        var root = await _room.Root();
        await root.Killed();
        Directory.Delete(_room.Directories.Runtime, recursive: true);

        using var table = _room.Table();
        var outcome = await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(root.Known, "human", force: false, _room.Ct);

        Assert.True(outcome.WasEnded);
        Assert.Equal(outcome.Reason, Assert.IsType<Entry.PodEnded>(root.Known.Journal.Last()!.Entry).Reason);
        Assert.Empty(_room.Rows);
    }

    [Fact, Trait("case", "L17")]
    public async Task With_a_table_that_cannot_be_read_a_pod_still_answers_and_a_tree_can_still_be_ended()
    {
        var root = await Three();
        var table = await File.ReadAllBytesAsync(_room.Directories.ScopeTable, _room.Ct);
        await File.WriteAllTextAsync(_room.Directories.ScopeTable, "nonsense", _room.Ct);

        Assert.Empty((await root.Client.StatusAsync(_room.Ct)).Scope.Allow);
        Assert.Contains("(none)", (await root.Client.HistoryAsync(_room.Ct)).Greeting.ScopeSummary, StringComparison.Ordinal);
        using (var broken = _room.Table())
        {
            var stopper = new TreeStopper(_room.Directories, broken, TimeProvider.System);
            var failure = await Assert.ThrowsAsync<ScopeException>(() => stopper.StopAsync(root.Known, "human", force: false, _room.Ct));
            Assert.Contains("cannot be used", failure.Message, StringComparison.Ordinal);
        }
        Assert.Empty(_room.Processes);

        await File.WriteAllBytesAsync(_room.Directories.ScopeTable, table, _room.Ct); // Mended: what was left is done now.
        using var mended = _room.Table();
        var outcome = await new TreeStopper(_room.Directories, mended, TimeProvider.System).StopAsync(root.Known, "human", force: false, _room.Ct);
        Assert.Equal(PodEnd.Stopped, outcome.Reason);
        Assert.DoesNotContain(_room.Rows, row => row.Name == "root");
    }

    /// <summary>root lends <c>m</c> to mid, which lends <c>m/l</c> to leaf.</summary>
    private async Task<RoomPod> Three(string? failpoint = null)
    {
        _room.Folder("m/l");
        var root = await _room.Root(failpoint);
        var leaf = "\nCALL SpawnPod " + RoomPod.SpawnArguments("leaf", "\nSLOW 600000", RoomPod.Write(_room.Work + "/m/l")); // At work to the end: no news of it starts a run above.
        var results = await root.Calls(
            "CALL SpawnPod " + RoomPod.SpawnArguments("mid", leaf, RoomPod.Write(_room.Work + "/m")), """CALL WaitForPods {"names":["mid"]}""");
        Assert.All(results, result => Assert.False(result.IsError, result.Summary));
        Assert.Equal(3, _room.Rows.Count);
        await Eventually.Holds(() => root.Entries[^1] is Entry.RunEnded && _room.Find("mid")!.Journal.Last()!.Entry is Entry.RunEnded);
        return root;
    }
}
