using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Cli;

public sealed class GcTests : IDisposable
{
    private static readonly Entry.PodEnded Stopped = new(PodEnd.Stopped, "human", null, [], new Totals(1, 2, 30, 4));

    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static Entry.Assistant Said(string text) => new(0, [new AssistantBlock.Text(text)], null, "end_turn");

    private async Task<JsonElement> GcAsync(params string[] args)
    {
        Assert.True(await _room.RunAsync(["gc", "--json", .. args]) is 0, _room.Error);
        return JsonDocument.Parse(_room.Out).RootElement;
    }

    private static string[] Names(JsonElement result, string list) => [.. result.GetProperty(list).EnumerateArray().Select(row => row.GetProperty("name").GetString()!)];

    [Fact, Trait("case", "G12")]
    public async Task Nothing_goes_before_it_was_said_and_asked_for_and_a_tombstone_stays()
    {
        var pod = await _room.DeadPodAsync("old", Said("x"), Stopped);
        Assert.Empty(Names(await GcAsync(), "pods")); // Ended just now.
        Assert.Equal(0, await _room.RunAsync("gc"));
        Assert.Contains("only Pods that have been quiet for 30 d are looked at; `--older-than 1h`", _room.Error, StringComparison.Ordinal);
        var said = await GcAsync("--older-than", "0m");
        Assert.Equal((true, "old"), (said.GetProperty("dry_run").GetBoolean(), Names(said, "pods").Single()));
        Assert.Equal(Retention.Bytes(pod.Directory), said.GetProperty("bytes").GetInt64());
        Assert.True(Directory.Exists(pod.Directory));
        Assert.Equal(0, await _room.RunAsync("gc", "--older-than", "0m"));
        Assert.Contains("would remove old", _room.Out, StringComparison.Ordinal);
        Assert.Contains("with --yes they go", _room.Out, StringComparison.Ordinal);

        Assert.Equal(["old"], Names(await GcAsync("--older-than", "0m", "--yes"), "pods"));
        Assert.False(Directory.Exists(pod.Directory));
        var tombstone = $"{_room.Surroundings.Directories.State}/tombstones/old.{pod.PodId}.json";
        Assert.True(File.Exists(tombstone));
        Assert.Empty(Names(await GcAsync("--older-than", "0m", "--yes"), "pods"));
        Assert.True(File.Exists(tombstone));

        // It stays as long as a Pod that ended would.
        File.SetLastWriteTimeUtc(tombstone, (TimeProvider.System.GetUtcNow() - TimeSpan.FromDays(31)).UtcDateTime);
        Assert.Equal(tombstone, Assert.Single((await GcAsync()).GetProperty("leftovers").EnumerateArray()).GetProperty("path").GetString());
        Assert.True(File.Exists(tombstone));
        await GcAsync("--yes");
        Assert.False(File.Exists(tombstone));
    }

    [Fact, Trait("case", "G12")]
    public async Task A_living_Pod_and_one_that_a_living_spawner_has_not_read_are_never_taken()
    {
        _room.Surroundings.Table.Open();
        var lead = await _room.DeadPodAsync("lead", Said("I go on"));
        var read = await _room.DeadChildAsync(lead, "read", Said("done"), Stopped);
        var unread = await _room.DeadChildAsync(lead, "unread", Said("done"), Stopped);
        var crashed = await _room.DeadPodAsync("crashed", Said("and then"));
        using var life = PodLock.TryTake(lead.Directory)!;
        await using (var journal = JournalWriter.Open(lead.Directory, life, [], TimeProvider.System))
        {
            foreach (var child in new[] { read, unread })
                await journal.AppendAsync(Durability.Synced, new Entry.ChildSpawned(child.Name, child.PodId, 1, "1", "b", [], 1, null), new Entry.ChildEnded(child.Name, child.PodId, PodEnd.Stopped, null, null, []));
            var last = read.Journal.Last()!;
            await journal.AppendAsync(Durability.Synced, new Entry.ToolResult("c", "ReadPodOutput", "s", "done", false, Told: [new Told(read.PodId, Told.OutputCursor, last.Seq, last.End.Offset, last.Crc)]));
        }
        var result = await GcAsync("--older-than", "0m", "--yes");
        Assert.Equal(["read"], Names(result, "pods"));
        Assert.Equal(["unread", "crashed"], Names(result, "kept"));
        Assert.Contains("has not read it to its end", result.GetProperty("kept")[0].GetProperty("why").GetString(), StringComparison.Ordinal);
        Assert.Equal([false, true, true, true], new[] { read, unread, lead, crashed }.Select(pod => Directory.Exists(pod.Directory)));
    }

    [Theory, Trait("case", "G12")]
    [InlineData("crashed")]
    [InlineData("gone with the machine")]
    [InlineData("stopped")] // The control: it does not come back by itself.
    public async Task What_a_dead_spawner_that_can_come_back_has_not_read_stays_until_that_goes(string how)
    {
        _room.Surroundings.Table.Open();
        var lead = await _room.DeadPodAsync("lead", Said("I go on"));
        var read = await _room.DeadChildAsync(lead, "read", Said("done"), Stopped);
        var unread = await _room.DeadChildAsync(lead, "unread", Said("done"), Stopped);
        var last = read.Journal.Last()!;
        using (var life = PodLock.TryTake(lead.Directory)!)
        await using (var journal = JournalWriter.Open(lead.Directory, life, [], TimeProvider.System))
        {
            foreach (var child in new[] { read, unread })
                await journal.AppendAsync(Durability.Synced, new Entry.ChildSpawned(child.Name, child.PodId, 1, "1", "b", [], 1, null), new Entry.ChildEnded(child.Name, child.PodId, PodEnd.Stopped, null, null, []));
            await journal.AppendAsync(Durability.Synced, new Entry.ToolResult("c", "ReadPodOutput", "s", "done", false, Told: [new Told(read.PodId, Told.OutputCursor, last.Seq, last.End.Offset, last.Crc)]));
            if (how is "crashed") await journal.AppendAsync(Durability.Synced, new Entry.PodEnded(PodEnd.Crashed, null, "exit code 134", [], new Totals()));
            if (how is "stopped") await journal.AppendAsync(Durability.Synced, Stopped);
        }
        if (how is "stopped")
        {
            Assert.Equal(0, await _room.RunAsync("rm", "unread"));
            return;
        }
        Assert.Equal(0, await _room.RunAsync("rm", "read")); // Another control.
        Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "unread"));
        Assert.Contains("lead, which spawned unread, has not read it to its end and can come back; `yoi restore lead`", _room.Error, StringComparison.Ordinal);
        if (how is "gone with the machine")
        {
            Assert.Equal(["lead", "unread"], Names(await GcAsync("--older-than", "0m", "--yes"), "kept"));
            Assert.Equal(0, await _room.RunAsync("stop", "lead")); // Records that it is lost, which is not on purpose.
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "unread"));
        }
        Assert.True(Directory.Exists(unread.Directory));
        Assert.Equal(["lead", "unread"], Names(await GcAsync("--older-than", "0m"), "pods")); // With lead gone nobody will read it.
        Assert.Equal(0, await _room.RunAsync("rm", "unread", "lead"));
        Assert.False(Directory.Exists(unread.Directory) || Directory.Exists(lead.Directory));
    }

    [Fact, Trait("case", "G12")]
    public async Task What_came_to_a_Pod_from_a_dead_one_below_it_is_kept_for_that_until_it_is_read()
    {
        _room.Surroundings.Table.Open();
        var lead = await _room.DeadPodAsync("lead", Said("I go on"));
        var mid = await _room.DeadChildAsync(lead, "mid", Stopped);
        var leaf = await _room.DeadChildAsync(mid, "leaf", Said("done"), Stopped);
        using var life = PodLock.TryTake(lead.Directory)!;
        await using var journal = JournalWriter.Open(lead.Directory, life, [], TimeProvider.System);
        await journal.AppendAsync(Durability.Synced, new Entry.ChildSpawned(leaf.Name, leaf.PodId, 1, "1", "b", [], 1, null, "mid"), new Entry.ChildEnded(leaf.Name, leaf.PodId, PodEnd.Stopped, null, null, []));
        Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "leaf"));
        Assert.Contains("lead, which took over leaf, is alive", _room.Error, StringComparison.Ordinal);
        var last = leaf.Journal.Last()!;
        await journal.AppendAsync(Durability.Synced, new Entry.ToolResult("c", "ReadPodOutput", "s", "done", false, Told: [new Told(leaf.PodId, Told.OutputCursor, last.Seq, last.End.Offset, last.Crc)]));
        Assert.Equal(0, await _room.RunAsync("rm", "leaf"));
    }

    [Fact, Trait("case", "G12")]
    public async Task Size_state_and_a_budget_choose_and_the_oldest_go_first()
    {
        List<KnownPod> pods = [];
        for (var i = 0; i < 4; i++)
        {
            pods.Add(await _room.DeadPodAsync($"p{i}", new Entry.Input(new string('x', i == 2 ? 300_000 : 1_000)), Stopped));
        }
        Assert.Equal(["p2"], Names(await GcAsync("--older-than", "0m", "--larger-than", "100K"), "pods"));
        File.WriteAllText($"{pods[3].Directory}/{PodFiles.Journal}", "nonsense\n");
        Assert.Equal(["p3"], Names(await GcAsync("--older-than", "0m", "--state", "damaged"), "pods"));
        Assert.Equal(["p0", "p1", "p2"], Names(await GcAsync("--older-than", "0m", "--state", "ended"), "pods"));
        Assert.Equal(["p0", "p1", "p2"], Names(await GcAsync("--keep-below", "100K"), "pods"));
        Assert.Empty(Names(await GcAsync("--keep-below", "1G"), "pods"));
        Directory.CreateDirectory(_room.Surroundings.Directories.Config);
        File.WriteAllText(_room.Surroundings.Directories.Config + "/yoi.jsonc", """{ "retention": { "days": 0, "max_mb": 1000 } }""");
        Assert.Empty(Names(await GcAsync(), "pods"));
        File.WriteAllText(_room.Surroundings.Directories.Config + "/yoi.jsonc", """{ "retention": { "days": 0 } }""");
        Assert.Equal(4, Names(await GcAsync(), "pods").Length);
    }

    [Fact, Trait("case", "F02")]
    public async Task What_processes_that_are_gone_left_behind_goes_too_and_nothing_of_the_living()
    {
        _room.Surroundings.Table.Open();
        var (alive, dead) = (await _room.DeadPodAsync("alive", Said("x")), await _room.DeadPodAsync("dead", Said("x")));
        var directories = _room.Surroundings.Directories;
        Directory.CreateDirectory(directories.Runtime);
        string[] stale = [directories.Socket(dead.PodId), directories.Token(dead.PodId), directories.State + "/scopes.lock.tmp.999999999.abc",
            directories.State + "/.lock-test-999999999-abc", dead.Directory + "/" + PodFiles.Journal + ".new", dead.Directory + "/" + PodFiles.Verdict + ".new"];
        string[] good = [directories.Socket(alive.PodId), directories.Token(alive.PodId), directories.State + $"/scopes.lock.tmp.{Environment.ProcessId}.abc", directories.Runtime + "/notes.txt"];
        foreach (var path in stale.Concat(good)) File.WriteAllText(path, "x");
        var (old, young) = (Directory.CreateTempSubdirectory("yoi-trial-").FullName, Directory.CreateTempSubdirectory("yoi-trial-").FullName);
        Directory.SetLastWriteTimeUtc(old, DateTime.UtcNow.AddHours(-2));
        Directory.CreateDirectory(dead.Directory + "/sandbox/output");
        using (var shell = System.Diagnostics.Process.Start("bash", ["-c", $"cd {dead.Directory}/sandbox; touch $'caf\\xe9'; for i in {{1..150}}; do mkdir dddddddddddddddddddddddddddddddddddddddd; cd dddddddddddddddddddddddddddddddddddddddd; done"]))
            await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
        using var life = PodLock.TryTake(alive.Directory);
        await GcAsync();
        Assert.All(stale[..^1], path => Assert.True(File.Exists(path))); // Over the last a verdict may have been written and renamed.
        await GcAsync("--yes");
        Assert.All(stale, path => Assert.False(File.Exists(path), path));
        Assert.All(good, path => Assert.True(File.Exists(path), path));
        Assert.False(Directory.Exists(dead.Directory + "/sandbox") || Directory.Exists(old));
        Assert.True(Directory.Exists(young));
        Directory.Delete(young);
        Assert.True(File.Exists(dead.Directory + "/" + PodFiles.Journal));
    }

    [Fact, Trait("case", "G08")]
    public async Task A_Pod_that_comes_back_this_moment_is_not_removed_under_its_hands()
    {
        var pod = await _room.DeadPodAsync("back", Said("x"), Stopped);
        Directory.CreateDirectory(pod.Directory + "/sandbox");
        using (var right = PodLock.TryTakeJournalOfDead(pod.Directory))
        {
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "back"));
            Assert.Contains("back is being restored or repaired this moment", _room.Error, StringComparison.Ordinal);
            var result = await GcAsync("--older-than", "0m", "--yes");
            Assert.Equal(["back"], Names(result, "kept"));
            Assert.Equal(0, result.GetProperty("leftovers").GetArrayLength());
        }
        Assert.True(Directory.Exists(pod.Directory + "/sandbox"));
        Assert.Equal(0, await _room.RunAsync("rm", "back"));
        Assert.False(Directory.Exists(pod.Directory));
    }

    [Theory]
    [InlineData("--older-than", "soon")]
    [InlineData("--larger-than", "10")]
    [InlineData("--keep-below", "-1G")]
    [InlineData("--state", "idle")]
    public async Task A_wrong_value_is_named(string flag, string value)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync("gc", flag, value));
        Assert.Contains(flag, _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_Pod_with_a_living_one_below_it_stays_until_that_has_ended()
    {
        _room.Surroundings.Table.Open();
        var middle = await _room.DeadPodAsync("middle", Said("x"), Stopped);
        var leaf = await _room.DeadChildAsync(middle, "leaf", Said("x"));
        var journal = $"{middle.Directory}/{PodFiles.Journal}";
        File.WriteAllText(journal, "?" + File.ReadAllText(journal)[1..]);
        using (PodLock.TryTake(leaf.Directory)!)
        {
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "middle"));
            Assert.Contains("leaf, below middle, is alive", _room.Error, StringComparison.Ordinal);
            Assert.Equal(["middle"], Names(await GcAsync("--older-than", "0m", "--yes"), "kept"));
        }
        Assert.Equal(0, await _room.RunAsync("rm", "middle")); // The control.
        Assert.False(Directory.Exists(middle.Directory));
    }
}
