using System.Globalization;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>Pods of a tree die and come back, whatever their children do meanwhile: nobody is dropped, nobody writes twice, news arrives once.</summary>
public sealed class TreeReturnsTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static Method.Restore Again(KnownPod pod) => new(pod.PodId);

    private static bool IsHeld(int pid) => PodProcess.StartTimeOf(pid) is { } start && PodProcess.IsHeldNow(pid, start);

    private static bool IsZombie(int pid) => File.ReadAllText($"/proc/{pid}/stat") is var stat && stat[(stat.LastIndexOf(')') + 2)..].StartsWith('Z');

    private static IEnumerable<int> ChildrenOf(int pid) =>
        Directory.EnumerateDirectories($"/proc/{pid}/task").SelectMany(task => File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(int.Parse);

    private static async Task<bool> MayWrite(RoomPod pod, string folder)
    {
        var file = $"{folder}/by-{pod.Known.Name}";
        var result = (await pod.Calls(RoomPod.WriteFile(file)))[0];
        Assert.Equal(!result.IsError, File.Exists(file));
        File.Delete(file);
        return !result.IsError;
    }

    [Fact, Trait("case", "T26"), Trait("case", "T27"), Trait("case", "F01")]
    public async Task A_spawner_that_comes_back_finds_each_child_as_it_is_and_hears_once_what_it_said_meanwhile()
    {
        string[] names = ["idle", "busy", "held", "dead", "stopped"];
        // Without bubblewrap there is no command to burn with: then a model that is silent keeps it busy.
        var burns = File.Exists("/usr/bin/bwrap");
        var root = await _room.Root("child.started:stop@unborn", with: document => burns ? document with { SandboxLevel = "kernel" } : document);
        foreach (var name in names) Assert.False((await root.Spawn(name, scope: RoomPod.Write(_room.Folder(name)))).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");
        var children = names.ToDictionary(name => name, root.Child);
        var burning = $"echo > {_room.Work}/busy/burns; while :; do :; done";
        await using (var busy = await root.ConnectTo("busy")) await busy.RunAsync(burns ? $$"""CALL Bash {"command":"{{burning}}"}""" : "SLOW 600000", ct: _room.Ct);
        if (burns) await Burns();
        Assert.False((await root.Call("StopPod", """{"name":"stopped"}""")).IsError);
        // One is being started and has not bound its socket as its spawner dies.
        await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("unborn", scope: RoomPod.Write(_room.Folder("unborn"))), ct: _room.Ct);
        await Eventually.Holds(() => _room.Processes.Any(IsHeld));
        var unborn = _room.Processes.Single(IsHeld);
        await root.Killed();
        await root.Client.DisposeAsync();
        await using (var idle = await PodClient.ConnectAsync(_room.Directories.Socket(children["idle"].PodId), ct: _room.Ct)) await idle.RunAsync("SLOW 1", ct: _room.Ct);
        await Eventually.Holds(() => children["idle"].Journal.Last()!.Entry is Entry.RunEnded);
        await _room.Kill(children["dead"]);
        using (var held = children["held"].FindProcess()!)
        {
            held.Signal(Libc.SigStop);
            await Eventually.Holds(() => held.IsHeld);
        }

        var told = root.All<Entry.News>().Count;

        var back = await _room.Restore(root);

        await back.Until(entry => entry is Entry.ChildEnded { Child: "dead" });
        await back.Until(entry => entry is Entry.SpawnFailed { Child: "unborn" });
        _ = Libc.Kill(unborn, Libc.SigCont); // It finds its grant withdrawn, and goes.
        await Eventually.Holds(() => PodProcess.StartTimeOf(unborn) is null || IsZombie(unborn));
        Assert.Equal(["busy", "held", "idle"], _room.Rows.Where(row => row.SpawnerId == root.Document.PodId).Select(row => row.Name).Order());
        var status = await back.Client.StatusAsync(_room.Ct);
        while (status.UnreadNews < 2) status = await back.Client.StatusAsync(_room.Ct);
        Assert.Equal((PodState.Paused, told), (status.State, back.All<Entry.News>().Count)); // Nothing starts by itself.
        Assert.Equal([("busy", false), ("dead", true), ("held", false), ("idle", false), ("stopped", true)], status.Children.Select(child => (child.Name, child.Ended)).Order());
        await back.Client.AskAsync(new Method.Resume(), _room.Ct);
        await back.Until(entry => entry is Entry.RunEnded, status.HeadSeq);
        Assert.Equal(["dead", "idle"], back.All<Entry.News>().Skip(told).Select(news => news.Child).Order());

        var listed = await back.List();
        if (burns) await Burns(); // All the while.
        foreach (var line in (string[])["idle [alive]", "busy [alive]", "held [alive, not answering]", "dead [lost", "stopped [stopped"]) Assert.Contains(line, listed, StringComparison.Ordinal);
        foreach (var name in (string[])["idle", "busy", "held"]) Assert.False(await MayWrite(back, _room.Work + "/" + name));
        foreach (var name in (string[])["dead", "stopped", "unborn"]) Assert.True(await MayWrite(back, _room.Work + "/" + name));
        foreach (var name in (string[])["idle", "busy", "held"])
        {
            Assert.False((await back.Call("StopPod", $$"""{"name":"{{name}}"}""")).IsError);
            Assert.False(children[name].IsAlive);
            Assert.True(await MayWrite(back, _room.Work + "/" + name));
        }
        Assert.Equal(told + 2, back.All<Entry.News>().Count);
        Assert.Equal(0, TicksOf(burning));

        async Task Burns()
        {
            await Eventually.Holds(() => TicksOf(burning) > 0);
            var ticks = TicksOf(burning);
            await Eventually.Holds(() => TicksOf(burning) > ticks);
        }
    }

    /// <summary>What the processor has spent on those that were given this command, in ticks; 0 if there are none.</summary>
    private static long TicksOf(string command)
    {
        var ticks = 0L;
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                if (!int.TryParse(Path.GetFileName(process), out _) || !File.ReadAllText(process + "/cmdline").Contains($"\0{command}\0", StringComparison.Ordinal)) continue;
                var stat = File.ReadAllText(process + "/stat");
                ticks += long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[11], CultureInfo.InvariantCulture);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended while we looked, or is another user's.
            }
        }
        return ticks;
    }

    [Fact, Trait("case", "T32")]
    public async Task With_the_middle_of_three_gone_the_leaf_is_the_tops_and_with_the_middle_back_it_is_the_middles_again()
    {
        var root = await _room.Root();
        var (folder, inner) = (_room.Folder("mid"), _room.Folder("mid/leaf"));
        await root.Spawn("mid", scope: RoomPod.Write(folder));
        await root.Call("WaitForPods", """{"until":"all"}""");
        var mid = await _room.Attach("mid");
        await mid.Spawn("leaf", scope: RoomPod.Write(inner));
        await mid.Call("WaitForPods", """{"until":"all"}""");
        var leaf = root.Child("leaf");

        await _room.Kill(mid.Known);
        await mid.Client.DisposeAsync();
        await root.Until(entry => entry is Entry.ChildSpawned { Child: "leaf" });

        Assert.Equal("mid", root.All<Entry.ChildSpawned>()[^1].From);
        Assert.Equal(root.Document.PodId, _room.Rows.Single(row => row.PodId == leaf.PodId).SpawnerId);
        await using (var client = await root.ConnectTo("leaf")) await client.RunAsync("hello", ct: _room.Ct); // Its end reaches the top.
        await root.Until(entry => entry is Entry.News { Child: "leaf" });
        Assert.Single(root.All<Entry.News>(), news => news.Child == "leaf"); // What the middle had been told is not told again.
        Assert.Contains("leaf [alive]", await root.List(), StringComparison.Ordinal);
        Assert.Contains("Hello", (await root.Call("ReadPodOutput", """{"name":"leaf"}""")).Content, StringComparison.Ordinal);
        Assert.Equal((true, false), (await MayWrite(root, folder), await MayWrite(root, inner)));

        await root.Client.AskAsync(Again(mid.Known), _room.Ct);

        mid = await _room.Attach("mid");
        Assert.Equal(mid.Known.PodId, _room.Rows.Single(row => row.PodId == leaf.PodId).SpawnerId);
        await root.Until(entry => entry is Entry.ChildHandedOver { Child: "leaf", To: "mid" });
        Assert.DoesNotContain("leaf [", (await root.Call("ListPods")).Content, StringComparison.Ordinal);
        Assert.Contains("leaf [alive]", (await mid.Call("ListPods")).Content, StringComparison.Ordinal);
        Assert.Equal((false, true, false), (await MayWrite(root, folder), await MayWrite(mid, folder), await MayWrite(mid, inner)));
        // And once more: the top takes it over, and can stop it.
        await _room.Kill(mid.Known);
        await mid.Client.DisposeAsync();
        await Eventually.Holds(() => root.All<Entry.ChildSpawned>().Count(child => child.Child == "leaf") == 2);
        Assert.False((await root.Call("StopPod", """{"name":"leaf"}""")).IsError);
        Assert.False(leaf.IsAlive);
        Assert.True(await MayWrite(root, inner));
    }

    [Fact, Trait("case", "T32"), Trait("case", "F02")]
    public async Task How_an_orphan_ended_is_seen_by_the_Pod_that_took_it_over_and_nothing_stays_a_zombie()
    {
        var root = await _room.Root();
        await root.Spawn("mid");
        await root.Call("WaitForPods", """{"until":"all"}""");
        var mid = await _room.Attach("mid");
        foreach (var name in (string[])["leaf", "other"]) await mid.Spawn(name);
        await mid.Client.DisposeAsync();
        await _room.Kill(mid.Known);
        await Eventually.Holds(() => root.All<Entry.ChildSpawned>().Count(child => child.From == "mid") == 2);
        await _room.Kill(root.Child("leaf"));
        await root.Until(entry => entry is Entry.ChildEnded { Child: "leaf" });
        Assert.Equal((PodEnd.Crashed, "signal 9"), root.All<Entry.ChildEnded>().Where(end => end.Child == "leaf").Select(end => (end.Reason, end.Detail)).Single());
        Assert.DoesNotContain(ChildrenOf(root.Launched.Pid), IsZombie);
    }

    [Fact, Trait("case", "T23"), Trait("case", "L18")]
    public async Task However_a_child_ends_it_can_come_back_and_table_journals_and_memory_say_the_same()
    {
        var root = await _room.Root();
        var folder = _room.Folder("a");
        await root.Spawn("a", scope: RoomPod.Write(folder));
        await root.Call("WaitForPods", """{"until":"all"}""");
        var child = root.Child("a");
        foreach (var end in (Func<Task>[])
        [
            () => root.Call("StopPod", """{"name":"a"}"""),
            async () => { await using var client = await root.ConnectTo("a"); await client.ShutdownAsync(_room.Ct); },
            () => _room.Kill(child),
        ])
        {
            var lives = root.All<Entry.ChildEnded>().Count;
            await end();
            await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count == lives + 1);
            await AllAgree(root, child, alive: false);
            await root.Call("StopPod", """{"name":"a"}"""); // A second time changes nothing.
            await AllAgree(root, child, alive: false);
            Assert.Equal(lives + 1, root.All<Entry.ChildEnded>().Count);
            Assert.True(await MayWrite(root, folder));

            await root.Client.AskAsync(Again(child), _room.Ct);
            await AllAgree(root, child, alive: true);
            Assert.False(await MayWrite(root, folder));
            Assert.Equal(ErrorCode.NotRestored, (await Assert.ThrowsAsync<PodRefusedException>(() => root.Client.AskAsync(Again(child), _room.Ct))).Error.Code);
            await AllAgree(root, child, alive: true);
        }
        await using var again = await root.ConnectTo("a");
        await again.RunAsync($"CALL Write {{\"file_path\":\"{folder}/mine\",\"content\":\"x\"}}", ct: _room.Ct);
        await Eventually.Holds(() => File.Exists(folder + "/mine"));
    }

    private async Task AllAgree(RoomPod root, KnownPod child, bool alive)
    {
        Assert.Equal(alive, child.IsAlive);
        Assert.Equal(alive, _room.Rows.Any(row => row.PodId == child.PodId && row.SpawnerId == root.Document.PodId && !row.Pending));
        // What has come back is journalled behind the end.
        await Eventually.Holds(() => root.All<Entry.ScopeChanged>()[^1].Lent.Any(lent => lent.ChildId == child.PodId) == alive);
        var status = await root.Client.StatusAsync(_room.Ct);
        while (status.HeadSeq < root.Journal[^1].Seq) status = await root.Client.StatusAsync(_room.Ct); // Memory follows the journal.
        Assert.Equal(alive, status.Lent.Any(lent => lent.ChildId == child.PodId));
        Assert.Equal(!alive, status.Children.Single().Ended);
        Assert.Equal(alive, child.Journal.Last()!.Entry is not Entry.PodEnded);
    }

    [Fact, Trait("case", "L18")]
    public async Task A_child_whose_folder_was_lent_to_another_is_refused_by_its_name_or_comes_back_with_less()
    {
        var root = await _room.Root();
        var folder = _room.Folder("a");
        await root.Spawn("first", scope: RoomPod.Write(folder));
        await root.Call("WaitForPods", """{"until":"all"}""");
        var first = root.Child("first");
        await root.Call("StopPod", """{"name":"first"}""");
        await root.Spawn("second", scope: RoomPod.Write(folder));

        var refused = await Assert.ThrowsAsync<PodRefusedException>(() => root.Client.AskAsync(Again(first), _room.Ct));
        Assert.Contains("lent to second", refused.Error.Message, StringComparison.Ordinal);
        Assert.False(first.IsAlive);
        Assert.True(Directory.Exists(first.Directory));

        await root.Client.AskAsync(new Method.Restore(first.PodId, WithoutHeld: true), _room.Ct);
        var back = await _room.Attach("first");
        Assert.False(await MayWrite(back, folder));
        Assert.Contains("less than before", Assert.Single(back.All<Entry.Correction>()).Text, StringComparison.Ordinal);
        await back.Client.DisposeAsync();
    }

    [Fact, Trait("case", "T32")]
    public async Task A_wait_for_a_child_that_goes_back_to_the_Pod_between_ends_and_says_so()
    {
        var (root, mid, leaf) = await MiddleGone();
        await using (var client = await PodClient.ConnectAsync(_room.Directories.Socket(leaf.PodId), ct: _room.Ct)) await client.RunAsync("SLOW 600000", ct: _room.Ct);
        var waiting = root.Call("WaitForPods", """{"names":["leaf"]}""");
        await Eventually.Holds(() => root.All<Entry.Assistant>().SelectMany(said => said.Blocks).OfType<AssistantBlock.ToolCall>().Count(call => call.Name == "WaitForPods") == 2);

        await root.Client.AskAsync(Again(mid), _room.Ct);

        var result = await waiting.WaitAsync(PodRoom.Patience, _room.Ct);
        Assert.Contains("pod `leaf` is no longer yours", result.Content, StringComparison.Ordinal);
        Assert.DoesNotContain(root.All<Entry.News>(), news => news.Child == "leaf");
    }

    [Fact, Trait("case", "T32")]
    public async Task Who_stops_the_top_stops_the_leaf_too_though_the_journal_of_the_dead_Pod_between_is_damaged()
    {
        var (root, mid, leaf) = await MiddleGone();
        var journal = $"{mid.Directory}/{PodFiles.Journal}";
        await File.WriteAllTextAsync(journal, "?" + (await File.ReadAllTextAsync(journal, _room.Ct))[1..], _room.Ct);
        Assert.True(leaf.IsAlive);

        using var table = _room.Table();
        var outcome = await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(root.Known, "human", force: true, _room.Ct);

        Assert.Equal(["leaf"], outcome.Below);
        Assert.False(leaf.IsAlive);
        Assert.Empty(_room.Rows);
    }

    /// <summary>A root, a dead Pod below it, and what that had spawned, which is the root's by now.</summary>
    private async Task<(RoomPod Root, KnownPod Mid, KnownPod Leaf)> MiddleGone()
    {
        var root = await _room.Root();
        await root.Spawn("mid");
        await root.Call("WaitForPods", """{"until":"all"}""");
        var mid = await _room.Attach("mid");
        await mid.Spawn("leaf");
        await mid.Call("WaitForPods", """{"until":"all"}""");
        await mid.Client.DisposeAsync();
        await _room.Kill(mid.Known);
        await root.Until(entry => entry is Entry.ChildSpawned { Child: "leaf" });
        await Eventually.Holds(() => root.Entries[^1] is Entry.RunEnded && root.All<Entry.News>().Any(news => news.Child == "mid"));
        return (root, mid.Known, root.Child("leaf"));
    }
}
