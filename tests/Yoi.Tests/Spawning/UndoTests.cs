using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>A spawn that fails at any step leaves table, journal and processes as before, and names the step.</summary>
public sealed class UndoTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "F08"), Trait("case", "T03")]
    public async Task A_child_that_dies_or_fails_at_any_step_leaves_nothing_and_the_step_is_named()
    {
        (string Failpoint, string Step)[] cases =
        [
            ("child.started:kill", "ready"), ("child.started:eio", "ready"), ("child.adopt:kill", "ready"), ("table.write:eio", "ready"), ("table.rename:kill", "ready"),
            ("table.directory_sync:kill", "ready"), ("child.journal:kill", "ready"), ("child.journal:eio", "ready"), ("journal.append:kill", "ready"), ("journal.sync:eio", "ready"), ("child.ready:kill", "ready"), ("child.ready:eio", "ready"), ("socket.bound:kill", "ready"), ("socket.bound:eio", "ready"),
            ("child.accepted:kill", "task"),
        ];
        var root = await _room.Root(string.Join(',', cases.Select((one, i) => $"{one.Failpoint}@p{i}")));
        var folder = _room.Folder("a");
        for (var i = 0; i < cases.Length; i++)
        {
            var result = await root.Spawn($"p{i}", scope: RoomPod.Write(folder));
            Assert.True(result.IsError, $"{cases[i]}: {result.Summary}");
            Assert.Contains($"step `{cases[i].Step}`", result.Summary, StringComparison.Ordinal);
            if (cases[i].Failpoint.EndsWith("eio", StringComparison.Ordinal)) Assert.Contains("errno 5", result.Summary, StringComparison.Ordinal);
            await AsBefore(root, folder, cases[i].Step);
        }
        // The one that had its task may have done something: its journal stays and says how it ended.
        var kept = Assert.Single(new PodRegistry(_room.Directories).All(), pod => pod.Name != "root");
        var end = Assert.IsType<Entry.PodEnded>(kept.Journal.Last()!.Entry);
        Assert.Equal((PodEnd.Crashed, "signal 9", "root"), (end.Reason, end.Detail, end.WrittenBy));
    }

    [Theory, Trait("case", "F08")]
    [InlineData("lend.intended:eio", "lend")]
    [InlineData("lend.pending:enospc", "lend")]
    [InlineData("spawn.exec:eio", "exec")]
    [InlineData("spawn.task:eio", "task")]
    [InlineData("spawn.record:eio,spawn.undo:eio", "record")]
    public async Task A_step_of_the_spawner_that_fails_is_undone_and_named(string failpoint, string step)
    {
        var root = await _room.Root(failpoint);
        var folder = _room.Folder("a");

        var result = await root.Spawn("p", scope: RoomPod.Write(folder));

        Assert.True(result.IsError, result.Summary);
        Assert.Contains($"step `{step}`", result.Summary, StringComparison.Ordinal);
        Assert.Contains("failpoint " + failpoint.Split(':')[0], result.Summary, StringComparison.Ordinal);
        await AsBefore(root, folder, step);
        if (step is "lend" or "exec") Assert.Null(_room.Find("p"));
    }

    [Theory, Trait("case", "F08"), Trait("case", "L01")]
    [InlineData("lend.intended:kill")]
    [InlineData("lend.pending:kill")]
    [InlineData("spawn.exec:kill")]
    [InlineData("spawn.task:kill")]
    [InlineData("spawn.record:kill")]
    public async Task A_spawner_that_dies_in_a_spawn_undoes_it_when_it_comes_back(string failpoint)
    {
        var folder = _room.Folder("a");
        var root = await _room.Root(failpoint);
        await root.Client.RunAsync("CALL SpawnPod " + RoomPod.SpawnArguments("p", scope: RoomPod.Write(folder)), ct: _room.Ct);
        await root.Launched.Process.Exited.WaitAsync(PodRoom.Patience, _room.Ct);
        await root.Client.DisposeAsync();

        var again = await _room.Start(root.Document);
        await again.Until(entry => entry is Entry.SpawnFailed);

        Assert.Equal("interrupted", Assert.Single(again.All<Entry.SpawnFailed>()).Step);
        Assert.True(Assert.Single(again.All<Entry.ToolResult>()).OutcomeUnknown);
        await again.Calls(); // Its model hears of the call that was cut off.
        await AsBefore(again, folder, "interrupted");
        if (_room.Find("p") is { } left && left.Journal.First() is not null) Assert.IsType<Entry.PodEnded>(left.Journal.Last()!.Entry);
    }

    [Fact, Trait("case", "L04"), Trait("case", "F08")]
    public async Task What_a_full_disk_kept_from_being_undone_is_undone_when_there_is_space()
    {
        // The table is written when the root takes its scope, when it lends, and when it takes back what it had lent.
        var root = await _room.Root("lend.pending:enospc,table.write#3:enospc");
        var folder = _room.Folder("a");

        var result = await root.Spawn("p", scope: RoomPod.Write(folder));

        Assert.True(result.IsError, result.Summary);
        Assert.Contains("Not all of it could be undone yet (taking the grant back: ", result.Summary, StringComparison.Ordinal);
        await root.Until(entry => entry is Entry.SpawnFailed);
        await AsBefore(root, folder, "lend");
    }

    private async Task AsBefore(RoomPod root, string folder, string step)
    {
        Assert.Equal([root.Document.PodId], _room.Rows.Select(row => row.PodId));
        Assert.Equal([root.Launched.Pid], _room.Processes);
        Assert.Equal(step, root.All<Entry.SpawnFailed>()[^1].Step);
        Assert.Equal([root.Document.PodId + ".sock"], Directory.EnumerateFileSystemEntries(_room.Directories.Runtime).Select(Path.GetFileName));
        Assert.All(new PodRegistry(_room.Directories).All(), pod => Assert.True(pod.IsAlive == (pod.Name == "root")));
        Assert.All(new PodRegistry(_room.Directories).All(), pod => Assert.False(pod.Name != "root" && !File.Exists(pod.Directory + "/" + PodFiles.Journal), pod.Directory));
        var written = await root.Calls(RoomPod.WriteFile(folder + "/x"));
        Assert.False(written[0].IsError, written[0].Summary);
        File.Delete(folder + "/x");
    }
}
