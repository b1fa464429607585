using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Models;

namespace Yoi.Tests.Spawning;

/// <summary>Which ends of a child with <c>restart: on_crash</c> start it again, and how long after.</summary>
public sealed class RestartTests
{
    private const string OnCrash = ""","restart":"on_crash" """;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact, Trait("case", "F07")]
    public async Task A_child_of_a_spawner_that_was_restored_is_started_again_when_it_crashes_and_one_that_was_ended_is_not()
    {
        await using var room = new PodRoom();
        var root = await room.Root();
        string[] names = ["crashes", "plain", "stopped", "forced", "before"];
        foreach (var name in names) Assert.False((await root.Spawn(name, more: name == "plain" ? "" : OnCrash)).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");
        var children = names.ToDictionary(name => name, root.Child);
        await root.Killed();
        await root.Client.DisposeAsync();
        await room.Kill(children["before"]); // While its spawner is not there: nothing starts by itself.
        var back = await room.Restore(root);
        await back.Until(entry => entry is Entry.ChildEnded { Child: "before" });

        Assert.False((await back.Call("StopPod", """{"name":"stopped"}""")).IsError);
        using (var table = room.Table()) await new TreeStopper(room.Directories, table, TimeProvider.System).StopAsync(children["forced"], "human", force: true, room.Ct);
        await room.Kill(children["plain"]);
        await back.Until(entry => entry is Entry.ChildEnded { Child: "plain" });
        await room.Kill(children["crashes"]);
        await back.Until(entry => entry is Entry.Notification { Source: "restart" });

        Assert.Contains("pod `crashes` crashed (exit status not observable) and was started again", Assert.Single(back.All<Entry.Notification>(), note => note.Source == "restart").Message, StringComparison.Ordinal);
        Assert.Equal(["crashes"], names.Where(name => children[name].IsAlive)); // In the order of their ends: those before would be back by now.
        Assert.Equal(PodEnd.Lost, back.All<Entry.ChildEnded>().Single(end => end.Child == "crashes").Reason);
    }

    [Fact, Trait("case", "F07")]
    public async Task Each_restart_waits_twice_as_long_the_fourth_in_a_minute_is_none_and_after_that_minute_it_begins_anew()
    {
        using var place = new SpawningRoot();
        var directory = place.Directories.Pod("lead", PodName.NewId(TimeProvider.System));
        using var life = PodLock.TryTake(directory)!;
        await using var journal = JournalWriter.Open(directory, life, [], TimeProvider.System);
        var time = new ManualTime(runDelays: true);
        List<string> restored = [];
        await using var restarter = new ChildRestarter((id, _) =>
        {
            restored.Add($"{id} after {time.Elapsed.TotalSeconds:0} s");
            throw new SpawnException("ready", "it is not a Pod");
        }, journal, place.Directories, time);
        restarter.Start();
        List<string> Told() => [.. new JournalReader(Path.Combine(directory, PodFiles.Journal)).ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.Notification>().Select(note => note.Message)];
        async Task CrashAsync(string id)
        {
            var before = Told().Count;
            restarter.Ended(new Entry.ChildSpawned(id, id, 1, "1", "b", [], 1, null, Restart: SpawnRequest.OnCrash), new Entry.ChildEnded(id, id, PodEnd.Crashed, null, "signal 11", []), watched: true);
            await Eventually.Holds(() => Told().Count > before);
        }

        for (var crash = 0; crash < 3; crash++) await CrashAsync("kid");
        Assert.Equal(["kid after 1 s", "kid after 3 s", "kid after 7 s"], restored);
        await CrashAsync("kid");
        Assert.Contains("crashed again (signal 11) after 3 restarts within 60 s; it has failed", Told()[^1], StringComparison.Ordinal);
        await CrashAsync("other"); // Each child has its own count.
        Assert.Equal(4, restored.Count);
        Assert.Equal([1, 2, 4, 1], time.Delays.Select(delay => delay.TotalSeconds));

        time.Advance(TimeSpan.FromSeconds(61));
        await CrashAsync("kid");
        Assert.Equal(5, restored.Count);
        Assert.Equal(1, time.Delays[^1].TotalSeconds);
    }
}
