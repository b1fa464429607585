using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>The scope table is lost or damaged under living and dead Pods, and is made anew from their journals.</summary>
public sealed class LostTableTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private async Task<RoomPod> RootWithTwo()
    {
        var root = await _room.Root();
        foreach (var name in (string[])["a", "b"]) Assert.False((await root.Spawn(name, scope: RoomPod.Write(_room.Folder(name)))).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");
        return root;
    }

    /// <summary>Of three places those that it may write.</summary>
    private async Task<string> MayWrite(RoomPod pod)
    {
        string[] paths = ["own", "a/x", "b/x"];
        var results = await pod.Calls([.. paths.Select(path => RoomPod.WriteFile($"{_room.Work}/{path}"))]);
        return string.Join(' ', paths.Where((_, i) => !results[i].IsError));
    }

    private string Shape => string.Join("; ", _room.Rows.OrderBy(row => row.Name).Select(row =>
        $"{row.Name} {row.PodId} below {row.SpawnerId} of {row.RootId}: {string.Join(", ", row.Scope.Allow)} -{string.Join(", ", row.Scope.Deny)} {row.Pending}"));

    [Theory, Trait("case", "T25"), Trait("case", "T36")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_Pod_that_comes_back_to_a_table_that_is_gone_gets_what_it_had_and_its_living_children_keep_theirs(bool alsoTheLock)
    {
        var root = await RootWithTwo();
        await root.Killed();
        await root.Client.DisposeAsync();
        await _room.Kill(root.Child("b"));
        long generation;
        using (var table = _room.Table()) generation = table.Read().Generation;
        File.Delete(_room.Directories.ScopeTable);
        if (alsoTheLock) File.Delete(_room.Directories.ScopeLock);
        await Eventually.Removed(_room.Directories.Runtime);

        var back = await _room.Restore(root);

        await back.Until(entry => entry is Entry.ChildEnded { Child: "b" });
        Assert.Equal([("a", back.Document.PodId), ("root", null)], _room.Rows.Select(row => (row.Name, row.SpawnerId)).Order());
        using (var table = _room.Table()) Assert.True(table.Read().Generation > generation || alsoTheLock);
        Assert.All(back.All<Entry.ScopeChanged>(), changed => Assert.True(changed.Generation > 0));
        Assert.True(back.All<Entry.ScopeChanged>()[^1].Generation > root.All<Entry.ChildSpawned>().Max(child => child.Generation));
        Assert.Equal("own b/x", await MayWrite(back));
        await Eventually.Holds(() => File.Exists(_room.Directories.Socket(back.Child("a").PodId))); // Its socket comes back by itself.
        var child = await _room.Attach("a");
        Assert.Equal("a/x", await MayWrite(child));
        await child.Client.DisposeAsync();
    }

    [Fact, Trait("case", "T25"), Trait("case", "L02")]
    public async Task A_damaged_table_is_nobodys_until_it_is_repaired_and_then_is_what_it_was()
    {
        var root = await RootWithTwo();
        var before = Shape;
        File.WriteAllText(_room.Directories.ScopeTable, "{ \"version\": 1, \"gener");
        var refused = (await root.Calls(RoomPod.WriteFile(_room.Work + "/own")))[0];
        Assert.True(refused.IsError);
        Assert.Contains("yoi scopes repair", refused.Summary, StringComparison.Ordinal);

        using (var table = _room.Table())
        {
            var made = await table.RepairAsync(_room.Ct);
            Assert.Empty(made!.Notes);
            Assert.Equal(before, Shape);
            Assert.Null(await table.RepairAsync(_room.Ct)); // A second time changes nothing.
            Assert.Equal(before, Shape);
        }
        Assert.StartsWith("{ \"version\"", File.ReadAllText(_room.Directories.ScopeTable + ".damaged"), StringComparison.Ordinal);
        Assert.Equal("own", await MayWrite(root));
        Assert.False((await root.Call("StopPod", """{"name":"a"}""")).IsError);
        Assert.Equal("own a/x", await MayWrite(root));
    }

    [Fact, Trait("case", "F07")]
    public async Task A_child_that_crashes_is_started_again_where_that_was_asked_for_and_not_for_ever()
    {
        var root = await _room.Root("tool.before_result:kill@kid");
        Assert.False((await root.Spawn("plain")).IsError);
        Assert.False((await root.Spawn("kid", task: "\nCALL ListPods", more: ""","restart":"on_crash" """)).IsError);
        var kid = root.Child("kid");
        // It dies in its first call, comes back, is told that the outcome is unknown, and goes on by itself.
        await Eventually.Holds(() => kid.Journal.Last()!.Entry is Entry.RunEnded { Reason: RunEnd.Completed }, PodRoom.Patience);
        Assert.True(Assert.Single(Entries<Entry.ToolResult>(kid)).OutcomeUnknown);
        Assert.Equal("signal 9", root.All<Entry.ChildEnded>().Single(end => end.Child == "kid").Detail);

        bool Failed() => root.All<Entry.Notification>().Any(note => note.Message.Contains("has failed and is not started again", StringComparison.Ordinal));
        for (var lives = 2; !Failed(); lives++)
        {
            await Eventually.Holds(() => root.All<Entry.ChildSpawned>().Count(child => child.Child == "kid") == lives || Failed(), PodRoom.Patience);
            if (!Failed()) await _room.Kill(kid);
            await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count(end => end.Child == "kid") == lives || Failed(), PodRoom.Patience);
            Assert.InRange(lives, 2, 12);
            await Eventually.Holds(() => Failed() || root.All<Entry.ChildSpawned>().Count(child => child.Child == "kid") == lives + 1, PodRoom.Patience);
        }
        Assert.False(kid.IsAlive);
        Assert.True(root.All<Entry.ChildSpawned>().Count(child => child.Child == "kid") >= 4);
        await _room.Kill(root.Child("plain"));
        await Eventually.Holds(() => root.All<Entry.ChildEnded>().Any(end => end.Child == "plain"));
        Assert.Single(root.All<Entry.ChildSpawned>(), child => child.Child == "plain"); // Nobody asked for more.
    }

    [Fact, Trait("case", "F07")]
    public async Task One_child_whose_journal_is_held_is_told_of_and_keeps_no_other_from_being_started_again()
    {
        var root = await _room.Root();
        foreach (var name in (string[])["held", "other"]) Assert.False((await root.Spawn(name, more: ""","restart":"on_crash" """)).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");
        var (held, other) = (root.Child("held"), root.Child("other"));
        // Its spawner sees its end only when somebody else has the right to its journal already.
        root.Signal(Libc.SigStop);
        await Eventually.Holds(() => root.Launched.Process.IsHeld);
        await _room.Kill(held);
        using (PodLock.TryTakeJournalOfDead(held.Directory)!)
        {
            root.Signal(Libc.SigCont);
            await Eventually.Holds(() => root.All<Entry.Notification>().Any(note => note.Message.Contains("could not be started again: the end of pod `held` cannot be recorded", StringComparison.Ordinal)), PodRoom.Patience);
        }
        await _room.Kill(other);
        await Eventually.Holds(() => root.All<Entry.ChildSpawned>().Count(child => child.Child == "other") == 2, PodRoom.Patience);
        Assert.True(other.IsAlive);
    }

    private static List<T> Entries<T>(KnownPod pod) where T : Entry => [.. pod.Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<T>()];
}
