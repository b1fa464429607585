using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>The same again and again, and many at once.</summary>
public sealed class ManyTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "T07"), Trait("case", "F02")]
    public async Task A_child_that_is_spawned_and_stopped_200_times_has_an_end_each_time_and_leaves_nothing()
    {
        var times = Slice.Of(20, 200);
        var temp = Directory.CreateDirectory(_room.Path + "/temp").FullName;
        _room.Variables.Add("TMPDIR=" + temp);
        var root = await _room.Root();
        var folder = _room.Folder("a");
        var (descriptors, threads) = (0, 0);
        for (var time = 0; time < times; time++)
        {
            var results = await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a", scope: RoomPod.Write(folder)), """CALL StopPod {"name":"a"}""");
            Assert.All(results, result => Assert.False(result.IsError, result.Summary));
            if (time == 1) (descriptors, threads) = (Count("fd"), Count("task"));
        }
        Assert.Equal(times, root.All<Entry.ChildEnded>().Count(end => end is { Reason: PodEnd.Stopped, By: "root" }));
        Assert.All(new PodRegistry(_room.Directories).All().Where(pod => pod.Name == "a"), pod => Assert.IsType<Entry.PodEnded>(pod.Journal.Last()!.Entry));
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Single(_room.Rows);
        Assert.Single(Directory.GetFileSystemEntries(_room.Directories.Runtime)); // Its own socket.
        Assert.Empty(Directory.GetFileSystemEntries(temp));
        Assert.Empty(Directory.GetFileSystemEntries(folder));
        await Eventually.Holds(() => Count("fd") <= descriptors + 10); // A debug build opens some assemblies when they are first needed; one a time would be more.
        Assert.InRange(Count("task"), 0, threads + 8); // A pool takes on a few when the machine is busy; one a time would be 200.
        Assert.Empty(Directory.EnumerateDirectories($"/proc/{root.Launched.Pid}/task").SelectMany(task => File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))); // No zombie: nobody at all.

        int Count(string what) => Directory.GetFileSystemEntries($"/proc/{root.Launched.Pid}/{what}").Length;
    }

    [Fact, Trait("case", "T07")]
    public async Task A_child_is_stopped_by_its_human_when_its_spawner_is_dead_and_both_ends_are_recorded()
    {
        var root = await _room.Root();
        await root.Spawn("a", scope: RoomPod.Write(_room.Folder("a")));
        await root.Killed();

        using var table = _room.Table();
        var stopper = new TreeStopper(_room.Directories, table, TimeProvider.System);
        var outcome = await stopper.StopAsync(root.Child("a"), "human", force: false, _room.Ct);

        Assert.Equal((PodEnd.Stopped, "human"), (outcome.Reason, outcome.By));
        Assert.IsType<Entry.PodEnded>(root.Child("a").Journal.Last()!.Entry);
        var above = await stopper.StopAsync(root.Known, "human", force: false, _room.Ct);
        Assert.True(above.WasEnded);
        Assert.Equal(PodEnd.Lost, Assert.IsType<Entry.PodEnded>(root.Entries[^1]).Reason);
        Assert.Empty(_room.Rows);
    }

    [Fact, Trait("case", "T14")]
    public async Task The_list_of_many_Pods_full_of_notices_is_true_of_each_of_them()
    {
        var (living, notices, dead) = (Slice.Of(5, 30), Slice.Of(30, 500), Slice.Of(2, 10));
        var root = await _room.Root(with: d => d with { Limits = d.Limits with { Children = 60, PodsInTree = 60 } });
        string[] names = [.. Enumerable.Range(0, living + dead + 1).Select(number => $"p{number}")];
        foreach (var few in names.Chunk(10)) await root.Calls([.. few.Select(name => "CALL SpawnPod " + RoomPod.SpawnArguments(name, "\nSLOW 600000"))]);
        var spawned = root.All<Entry.ChildSpawned>().ToDictionary(child => child.Child);
        Assert.Equal(names.Length, spawned.Count);
        // They work, so their notices wait.
        foreach (var name in names[..living])
        {
            await using var client = await root.ConnectTo(name);
            await Task.WhenAll(Enumerable.Range(0, notices).Select(number => client.NotifyAsync("test", $"notice {number}", _room.Ct)));
        }
        var held = spawned[names[living]];
        _ = Libc.Kill(held.Pid, Libc.SigStop);
        foreach (var name in names[(living + 1)..]) _ = Libc.Kill(spawned[name].Pid, Libc.SigKill);
        await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count == dead && PodProcess.IsHeldNow(held.Pid, held.StartTime));

        var lines = (await root.Call("ListPods")).Content!.Split('\n').ToDictionary(line => line.Split(' ')[0]);

        Assert.InRange(root.Took("ListPods"), TimeSpan.Zero, TimeSpan.FromSeconds(5)); // A second, the case says; a loaded machine is no fault.
        Assert.Equal(names.Order(), lines.Keys.Order());
        Assert.All(names[..living], name => Assert.StartsWith($"{name} [alive", lines[name], StringComparison.Ordinal));
        Assert.StartsWith($"{held.Child} [alive, not answering] ", lines[held.Child], StringComparison.Ordinal);
        Assert.All(names[(living + 1)..], name => Assert.StartsWith($"{name} [crashed: signal 9] scope=(returned)", lines[name], StringComparison.Ordinal));
    }
}
