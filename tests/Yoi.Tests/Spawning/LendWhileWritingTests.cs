using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>A Write of a real Pod between opening and renaming, while its directory is to be lent.</summary>
public sealed class LendWhileWritingTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "T37")]
    public async Task A_write_that_is_held_before_its_rename_is_complete_before_a_child_has_the_directory_and_none_lands_after()
    {
        var root = await _room.Root("file.before_rename#1:stop@root");
        var folder = _room.Folder("a");
        var (one, two) = (folder + "/one", folder + "/two");
        var task = $$"""

            CALL Read {"file_path":"{{one}}"}
            CALL Write {"file_path":"{{one}}","content":"by the child"}
            """;
        string[] calls = [RoomPod.WriteFile(one), "CALL SpawnPod " + RoomPod.SpawnArguments("a", task, RoomPod.Write(folder)), RoomPod.WriteFile(two), """CALL WaitForPods {"names":["a"]}"""];
        var accepted = await root.Client.RunAsync(string.Join('\n', calls), ct: _room.Ct);
        await Eventually.Holds(() => PodProcess.IsHeldNow(root.Launched.Pid, root.Launched.StartTime));
        Assert.False(File.Exists(one));
        Assert.Single(Directory.EnumerateFiles(folder, ".yoi-*.tmp"));
        Assert.Empty(root.All<Entry.LendIntended>());

        root.Signal(Libc.SigCont);
        var results = (await root.Until(entry => entry is Entry.RunEnded, accepted.Seq)).OfType<Entry.ToolResult>().ToList();

        Assert.Equal([false, false, true, false], results.Select(result => result.IsError));
        Assert.Contains("lent to `a`", results[2].Summary, StringComparison.Ordinal);
        Entry.ToolResult[] child = [.. root.Child("a").Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.ToolResult>()];
        Assert.Contains("by the spawner", child[0].Content, StringComparison.Ordinal); // It was there when the child came.
        Assert.False(child[1].IsError, child[1].Summary);
        Assert.Equal("by the child", await File.ReadAllTextAsync(one, _room.Ct));
        Assert.Equal([one], Directory.EnumerateFileSystemEntries(folder));

        var back = await root.Calls("""CALL StopPod {"name":"a"}""", RoomPod.WriteFile(two));
        Assert.False(back[1].IsError, back[1].Summary);
        Assert.Equal("by the spawner", await File.ReadAllTextAsync(two, _room.Ct));
    }

    [Fact, Trait("case", "T37")]
    public async Task While_a_write_hangs_before_its_rename_its_directory_is_not_lent()
    {
        var (mine, others) = (_room.Folder("mine"), _room.Folder("others"));
        var root = await OfFolder("root", mine, "file.before_rename#1:hang@root");
        var other = await OfFolder("other", others);
        foreach (var (pod, folder, child) in ((RoomPod, string, string)[])[(root, mine, "a"), (other, others, "b")])
        {
            var made = await pod.Calls("CALL SpawnPod " + RoomPod.SpawnArguments(child, scope: RoomPod.Write(folder)), $$"""CALL WaitForPods {"names":["{{child}}"]}""", $$"""CALL StopPod {"name":"{{child}}"}""");
            Assert.All(made, result => Assert.False(result.IsError, result.Summary));
        }
        await root.Client.RunAsync(RoomPod.WriteFile(mine + "/late"), ct: _room.Ct);
        await Eventually.Holds(() => Directory.EnumerateFiles(mine, ".yoi-*.tmp").Any());

        // Of the two that are to be lent what they had, the one asked later is long back.
        var waits = root.Client.AskAsync(new Method.Restore(_room.Find("a")!.PodId), _room.Ct);
        await other.Client.AskAsync(new Method.Restore(_room.Find("b")!.PodId), _room.Ct);
        Assert.Contains(_room.Rows, row => row.Name == "b");
        Assert.DoesNotContain(_room.Rows, row => row.Name == "a");
        Assert.False(waits.IsCompleted);
        Assert.Single(root.All<Entry.LendIntended>());
        await root.Killed();
        await Assert.ThrowsAnyAsync<IOException>(() => waits);
        await root.Client.DisposeAsync();

        // With nothing that writes it is lent; what had not landed by then never does.
        var back = await _room.Restore(root);
        await back.Client.AskAsync(new Method.Restore(_room.Find("a")!.PodId), _room.Ct);
        Assert.Contains(_room.Rows, row => row.Name == "a");
        await back.Calls(); // Its model hears of the call that was cut off.
        var refused = await back.Calls(RoomPod.WriteFile(mine + "/late"));
        Assert.Contains("lent to `a`", refused[0].Summary, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(mine));
    }

    private Task<RoomPod> OfFolder(string name, string folder, string? failpoint = null) =>
        _room.Root(failpoint, d => d with { Scope = new ScopeRules([new ScopeRule(folder, Permission.Write)], []), Cwd = folder }, name);
}
