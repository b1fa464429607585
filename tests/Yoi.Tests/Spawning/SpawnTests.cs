using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Shared;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Spawning;

/// <summary>SpawnPod from one real process to another.</summary>
public sealed class SpawnTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "T01"), Trait("case", "L18")]
    public async Task Without_any_configuration_a_child_is_lent_a_folder_works_is_stopped_and_the_folder_is_back()
    {
        var folder = _room.Folder("a");
        var deny = new ScopeRule(folder + "/secret", Permission.Read);
        var root = await _room.Root(with: d => d with { Scope = d.Scope with { Deny = [deny, new(_room.Work + "/other", Permission.Write)] } });

        var results = await root.Calls(
            "CALL SpawnPod " + RoomPod.SpawnArguments("a", $"\n{RoomPod.WriteFile(folder + "/made")}", RoomPod.Write(folder)),
            RoomPod.WriteFile(folder + "/mine"), RoomPod.WriteFile(_room.Work + "/mine"),
            """CALL WaitForPods {"names":["a"]}""", """CALL ReadPodOutput {"name":"a"}""", """CALL StopPod {"name":"a"}""", RoomPod.WriteFile(folder + "/mine"));

        Assert.Equal([false, true, false, false, false, false, false], results.Select(result => result.IsError));
        var spawned = results[0].Content!;
        Assert.Contains($"lent: write:{folder}", spawned, StringComparison.Ordinal);
        Assert.Contains($"denied to it as to you: {deny}", spawned, StringComparison.Ordinal);
        Assert.Contains($"write:{folder} to a", spawned, StringComparison.Ordinal); // What is left.
        Assert.Contains("lent to `a`", results[1].Summary, StringComparison.Ordinal);
        Assert.Equal("by the spawner", await File.ReadAllTextAsync(folder + "/made", _room.Ct));
        Assert.Contains("1 of 1 pod(s) done: a", results[3].Summary, StringComparison.Ordinal);
        Assert.Equal("done", results[4].Content);
        Assert.Contains($"reclaimed scope: write:{folder}", results[5].Summary, StringComparison.Ordinal);
        Assert.Contains("stopped by root", results[5].Content, StringComparison.Ordinal);
        Assert.Equal([root.Document.PodId], _room.Rows.Select(row => row.PodId));
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Equal([deny], new PodRegistry(_room.Directories).Newest("a")!.Journal.First()!.Entry is Entry.PodCreated created ? created.Scope.Deny : []);
        Assert.Equal(PodEnd.Stopped, Assert.Single(root.All<Entry.ChildEnded>()).Reason);
    }

    [Fact]
    public async Task A_token_that_cannot_be_read_keeps_no_other_child_from_being_known()
    {
        var root = await _room.Root();
        await root.Spawn("one");
        await root.Spawn("two");
        var (one, two) = (_room.Directories.Token(root.Child("one").PodId), _room.Directories.Token(root.Child("two").PodId));
        File.Delete(one);
        Directory.CreateDirectory(one);

        await using (var client = await PodClient.ConnectAsync(root.Launched.Socket, "two", await File.ReadAllTextAsync(two, _room.Ct), PodRoom.Patience, _room.Ct))
            Assert.Equal("root", client.Welcome.Pod);

        Directory.Delete(one);
    }

    [Fact, Trait("case", "T01")]
    public async Task A_child_that_cannot_start_is_quoted_in_its_own_words()
    {
        var script = _room.Path + "/script.json";
        await File.WriteAllTextAsync(script, """{"pods":{"root":{"commands":true}}}""", _room.Ct);
        var root = await _room.Root(with: d => d with { Model = d.Model with { Script = script } });

        var result = await root.Spawn("a");

        Assert.True(result.IsError);
        Assert.Contains("has nothing for the Pod a", result.Summary, StringComparison.Ordinal);
        Assert.Contains("step `ready`", result.Summary, StringComparison.Ordinal);
        Assert.Null(_room.Find("a"));
    }

    [Fact, Trait("case", "T02")]
    public async Task A_child_works_where_it_may_read_or_the_call_names_the_rule_that_is_missing()
    {
        var (inside, elsewhere) = (_room.Folder("inside"), Directory.CreateDirectory(_room.Path + "/elsewhere").FullName);
        var root = await _room.Root(with: d => d with { Cwd = elsewhere });

        var refused = await root.Spawn("a");
        var other = await root.Spawn("b", scope: RoomPod.Write(inside), more: $",\"cwd\":\"{_room.Path}\"");
        var works = await root.Spawn("c", scope: RoomPod.Write(inside));

        Assert.True(refused.IsError && other.IsError && !works.IsError, works.Summary);
        Assert.Contains("no readable directory to work in", refused.Summary, StringComparison.Ordinal);
        Assert.Contains($"\"target\": \"{_room.Work}\", \"permission\": \"read\"", refused.Summary, StringComparison.Ordinal);
        Assert.Contains("Nothing was changed", refused.Summary, StringComparison.Ordinal);
        Assert.Contains($"working directory `{_room.Path}` would not be readable", other.Summary, StringComparison.Ordinal);
        Assert.Contains($"cwd: {inside}", works.Content, StringComparison.Ordinal);
        Assert.Equal("c", Assert.Single(root.All<Entry.LendIntended>()).Child);
    }

    [Fact, Trait("case", "T03")]
    public async Task A_task_of_two_mebibytes_is_in_the_childs_journal_when_spawning_has_returned()
    {
        var root = await _room.Root();
        var task = new string('t', 2 << 20);

        var result = await root.Spawn("a", task);

        Assert.False(result.IsError, result.Summary);
        var input = Assert.Single(root.Child("a").Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.Input>());
        Assert.Equal((task, "root"), (input.Text, input.From));
    }

    [Fact, Trait("case", "T03")]
    public async Task A_task_of_two_mebibytes_is_handed_over_while_as_much_history_is_on_the_way_to_clients_that_do_not_read()
    {
        const int size = 2 << 20;
        var (history, task) = (new string('h', size), new string('t', size));
        var root = await _room.Root();
        await root.Spawn("a", history); // It is in both journals from here on: the spawner's model asked for it.
        await root.Call("WaitForPods", """{"names":["a"]}""");
        string[] sockets = [root.Launched.Socket, _room.Directories.Socket(root.Child("a").PodId)];
        var attaches = await Task.WhenAll(sockets.Select(socket => Unread(socket, "attach", ",\"params\":{\"from_seq\":1}")));
        var asks = await Task.WhenAll(sockets.Select(socket => Unread(socket, "get_history")));

        var sent = await root.Call("SendToPod", $$"""{"name":"a","message":"{{task}}"}""");
        var spawned = await root.Spawn("b", task);

        Assert.False(sent.IsError || spawned.IsError, sent.Summary + spawned.Summary);
        Assert.Equal([history, task], InputsOf("a"));
        Assert.Equal([task], InputsOf("b"));
        foreach (var client in attaches.Concat(asks))
        {
            Assert.InRange(client.Socket.Available, 1, size - 1); // It was on its way all the time.
            string? line;
            do line = await client.LineAsync();
            while (line?.Contains(history, StringComparison.Ordinal) == false);
            Assert.NotNull(line);
            client.Dispose();
        }

        IEnumerable<string> InputsOf(string name) => root.Child(name).Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.Input>().Select(input => input.Text);
    }

    /// <summary>A client that asked for more than the kernel holds for it, and has read nothing of it.</summary>
    private static async Task<RawClient> Unread(string socket, string method, string parameters = "")
    {
        var client = await RawClient.ConnectAsync(socket, PodRoom.Patience);
        await client.SendAsync("""{"id":0,"method":"hello","params":{"min_version":1,"max_version":1}}""");
        Assert.Equal("reply", await client.KindAsync());
        await client.SendAsync($$"""{"id":1,"method":"{{method}}"{{parameters}}}""");
        await Eventually.Holds(() => client.Socket.Available > 64 << 10);
        return client;
    }

    [Fact, Trait("case", "T06")]
    public async Task An_entry_of_an_unknown_kind_is_named_by_the_tool_and_never_silently_no_text()
    {
        var root = await _room.Root();
        await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a"), """CALL WaitForPods {"names":["a"]}""", """CALL ReadPodOutput {"name":"a"}""", """CALL StopPod {"name":"a"}""");
        var child = root.Child("a");
        using (var right = Runtime.Journal.PodLock.TryTakeJournalOfDead(child.Directory))
        await using (var journal = Runtime.Journal.JournalWriter.Open(child.Directory, right!, [], TimeProvider.System))
        {
            using var data = System.Text.Json.JsonDocument.Parse("""{"text":"important"}""");
            await journal.AppendAsync(Runtime.Journal.Durability.Synced, new Entry.Unknown("hologram", data.RootElement.Clone()));
        }

        var read = await root.Call("ReadPodOutput", """{"name":"a"}""");

        Assert.Contains("is of kind `hologram`, which this version of yoi does not know", read.Content, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "T09"), Trait("case", "F02")]
    public async Task Nothing_is_written_where_a_child_was_lent_to_and_a_failed_spawn_gives_the_write_back()
    {
        var rounds = Slice.Of(4, 1_000);
        var root = await _room.Root(string.Join(',', Enumerable.Range(0, rounds).Select(i => $"child.ready:kill@bad{i}")));
        var folder = _room.Folder("a");
        for (var i = 0; i < rounds; i++)
        {
            var file = $"{folder}/{i}";
            var results = await root.Calls(
                "CALL SpawnPod " + RoomPod.SpawnArguments($"bad{i}", scope: RoomPod.Write(folder)), RoomPod.WriteFile(file),
                "CALL SpawnPod " + RoomPod.SpawnArguments($"good{i}", scope: RoomPod.Write(folder)), RoomPod.WriteFile(file + "-lent"),
                $$"""CALL StopPod {"name":"good{{i}}"}""", RoomPod.WriteFile(file + "-back"));

            Assert.Equal([true, false, false, true, false, false], results.Select(result => result.IsError));
            Assert.Contains($"lent to `good{i}`", results[3].Summary, StringComparison.Ordinal);
            Assert.True(File.Exists(file) && !File.Exists(file + "-lent") && File.Exists(file + "-back"));
        }
        // Nothing of the children that are gone is kept open.
        await Eventually.Holds(() => !Directory.EnumerateFileSystemEntries($"/proc/{root.Launched.Pid}/fd").Any(fd => new FileInfo(fd).LinkTarget?.Contains("pidfd", StringComparison.Ordinal) == true));
    }

    [Fact, Trait("case", "T10"), Trait("case", "T35"), Trait("case", "F08")]
    public async Task A_child_whose_grant_was_withdrawn_while_it_started_exits_and_has_touched_nothing()
    {
        var root = await _room.Root("child.adopt:stop@a");
        var folder = _room.Folder("a");
        var accepted = await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), ct: _room.Ct);
        await Eventually.Holds(() => _room.Rows.Count == 2 && _room.Find("a") is { IsAlive: true });
        var child = root.Child("a");
        var pid = Assert.Single(_room.Processes, pid => pid != root.Launched.Pid);
        await Eventually.Holds(() => PodProcess.IsHeldNow(pid, PodProcess.StartTimeOf(pid) ?? ""));

        // Pending blocks everybody but hinders nobody elsewhere.
        var other = _room.Root(name: "other", with: d => d with { Scope = new ScopeRules([new(folder, Permission.Write)], []) });
        Assert.Contains("a (starting)", (await Assert.ThrowsAsync<LaunchException>(() => other)).Message, StringComparison.Ordinal);
        using (var table = _room.Table()) Assert.NotEmpty(await table.ReleaseAsync(child.PodId, _room.Ct));
        _ = Libc.Kill(pid, Libc.SigCont);

        var result = Assert.Single((await root.Until(entry => entry is Entry.RunEnded, accepted.Seq)).OfType<Entry.ToolResult>());
        Assert.Contains("was withdrawn", result.Summary, StringComparison.Ordinal);
        Assert.False(Directory.Exists(child.Directory));
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Single(_room.Rows);
    }

    [Fact, Trait("case", "T10")]
    public async Task A_spawn_that_is_cancelled_while_the_child_is_slow_leaves_nothing()
    {
        var root = await _room.Root("child.started:stop@a");
        var folder = _room.Folder("a");
        var accepted = await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(pid => PodProcess.IsHeldNow(pid, PodProcess.StartTimeOf(pid) ?? "")));
        Assert.Equal(2, _room.Rows.Count);

        await root.Client.CancelAsync(_room.Ct);
        await root.Until(entry => entry is Entry.RunEnded { Reason: RunEnd.Cancelled }, accepted.Seq);

        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Single(_room.Rows);
        Assert.Null(_room.Find("a"));
        await root.Calls(); // Its model hears of the call that was cut off.
        Assert.False((await root.Calls(RoomPod.WriteFile(folder + "/x")))[0].IsError);
    }

    [Fact, Trait("case", "T10"), Trait("case", "T35")]
    public async Task A_child_that_goes_on_after_its_spawner_died_and_its_grant_was_given_on_touches_nothing()
    {
        var root = await _room.Root("child.started:stop@a");
        var folder = _room.Folder("a");
        await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(pid => PodProcess.IsHeldNow(pid, PodProcess.StartTimeOf(pid) ?? "")));
        var late = Assert.Single(_room.Processes, pid => pid != root.Launched.Pid);
        await root.Killed();

        var next = await _room.Root(name: "next"); // Both are dead by their locks, so the path is free.
        _ = Libc.Kill(late, Libc.SigCont);

        await Eventually.Holds(() => !_room.Processes.Contains(late));
        Assert.Equal([next.Document.PodId], _room.Rows.Select(row => row.PodId));
        Assert.Null(_room.Find("a")); // It never was a Pod, and nobody waited for it: its directory went with it.
    }

    [Fact, Trait("case", "T10")]
    public async Task A_child_that_is_ready_when_its_spawner_has_died_ends_and_gives_its_scope_back()
    {
        var root = await _room.Root("child.ready:stop@a");
        await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(_room.Folder("a"))), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(pid => PodProcess.IsHeldNow(pid, PodProcess.StartTimeOf(pid) ?? "")));
        var late = Assert.Single(_room.Processes, pid => pid != root.Launched.Pid);
        await root.Killed();

        _ = Libc.Kill(late, Libc.SigCont);

        await Eventually.Holds(() => !_room.Processes.Contains(late));
        Assert.DoesNotContain(_room.Rows, row => row.Name == "a");
    }

    [Fact, Trait("case", "T11")]
    public async Task Of_twenty_spawns_of_one_name_one_succeeds_and_the_others_leave_nothing()
    {
        var roots = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => _room.Root(
            name: $"root{i}", with: d => d with { Scope = new ScopeRules([new(_room.Folder($"r{i}"), Permission.Write)], []), Cwd = _room.Folder($"r{i}") })));
        var spawn = "CALL SpawnPod " + RoomPod.SpawnArguments("x");

        var results = (await Task.WhenAll(roots.Select(root => root.Calls([.. Enumerable.Repeat(spawn, 5)])))).SelectMany(all => all).ToArray();

        Assert.Equal(20, results.Length);
        Assert.Single(results, result => !result.IsError);
        Assert.Equal(5, new PodRegistry(_room.Directories).All().Count);
        Assert.Equal(5, _room.Rows.Count);
        Assert.Equal(5, _room.Processes.Count);
        Assert.Single(Directory.EnumerateFiles(_room.Directories.Runtime, "*.token"));
        Assert.Equal(5, Directory.EnumerateFiles(_room.Directories.Runtime, "*.sock").Count());
    }

    [Fact, Trait("case", "F06")]
    public async Task Of_many_starts_of_one_name_one_wins_and_the_others_leave_no_directory()
    {
        var starts = await Task.WhenAll(Enumerable.Range(0, Slice.Of(12, 50)).Select(async _ =>
        {
            try
            {
                return ((RoomPod?)await _room.Root(with: d => d with { Scope = ScopeRules.None }), "");
            }
            catch (LaunchException e)
            {
                return (null, e.Message);
            }
        }));

        var winner = Assert.Single(starts, start => start.Item1 is not null).Item1!;
        Assert.All(starts.Where(start => start.Item1 is null), start => Assert.Contains("name root is in use", start.Item2, StringComparison.Ordinal));
        Assert.Equal([winner.Document.PodId], new PodRegistry(_room.Directories).All().Select(pod => pod.PodId));
        Assert.Equal([winner.Launched.Pid], _room.Processes);
    }

    [Fact]
    public async Task Limits_refuse_and_say_what_to_do_and_a_stopped_child_makes_room()
    {
        var root = await _room.Root(with: d => d with { Limits = new PodLimits(TurnsPerRun: 2, Children: 1, Depth: 1, PodsInTree: 3) });

        var results = await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a", "\nCALL SpawnPod " + RoomPod.SpawnArguments("deep")), "CALL SpawnPod " + RoomPod.SpawnArguments("b"),
            """CALL WaitForPods {"names":["a"]}""", """CALL StopPod {"name":"a"}""", "CALL SpawnPod " + RoomPod.SpawnArguments("c"));

        Assert.Equal([false, true, false, false, false], results.Select(result => result.IsError));
        Assert.Contains("root has 1 living children and may have 1: stop one (StopPod)", results[1].Summary, StringComparison.Ordinal);
        Assert.Contains("--max-children", results[1].Summary, StringComparison.Ordinal);
        var deep = Assert.Single(root.Child("a").Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.ToolResult>());
        Assert.Contains("--max-depth", deep.Summary, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L16")]
    public async Task A_child_holds_no_lock_of_its_spawner()
    {
        var root = await _room.Root();
        await root.Spawn("a");
        var pid = Assert.Single(root.All<Entry.ChildSpawned>()).Pid;
        static string[] Open(int pid) => [.. Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd").Select(fd => new FileInfo(fd).LinkTarget).OfType<string>()];

        Assert.Contains(root.Known.Directory + "/pod.lock", Open(root.Launched.Pid)); // The control: it is seen where it is held.
        Assert.DoesNotContain(Open(pid), file => file.StartsWith(root.Known.Directory, StringComparison.Ordinal) || file.EndsWith("scopes.lock", StringComparison.Ordinal));
        await root.Killed();
        Assert.True(root.Child("a").IsAlive);
        var again = await _room.Start(root.Document);
        Assert.True(again.Known.IsAlive);
    }
}
