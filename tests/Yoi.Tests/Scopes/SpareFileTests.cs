using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Scopes;

/// <summary>What stands beside a file while it is written.</summary>
public sealed class SpareFileTests
{
    [Fact, Trait("case", "P06")]
    public async Task What_a_killed_write_left_beside_the_file_is_removed_by_the_next_that_writes_there()
    {
        await using var room = new PodRoom();
        var first = await room.Root(failpoint: "file.before_rename:kill");
        await first.Client.RunAsync(RoomPod.WriteFile(room.Work + "/file"), ct: room.Ct);
        await first.Launched.Process.Exited.WaitAsync(room.Ct);
        Assert.EndsWith(".tmp", Assert.Single(Directory.GetFiles(room.Work)), StringComparison.Ordinal);
        string[] others = [room.Work + "/.yoi-mine.tmp", room.Work + "/.yoi-0123456789abcdef.tmp.c"];
        foreach (var other in others) File.WriteAllText(other, "not ours");
        var inUse = room.Work + "/.yoi-0123456789abcdef.tmp";
        using var held = File.OpenHandle(inUse, FileMode.CreateNew, FileAccess.Write, FileShare.None); // .NET locks it: a flock.

        var next = await room.Root(name: "next");
        Assert.False((await next.Call("Write", $$"""{"file_path":"{{room.Work}}/other","content":"x"}""")).IsError);
        Assert.Equal(others.Append(inUse).Append(room.Work + "/other").Order(), Directory.GetFiles(room.Work).Order());
        File.Delete(inUse);
        foreach (var other in others) File.Delete(other);
    }

    [Fact, Trait("case", "P06")]
    public async Task What_a_killed_write_left_is_removed_and_told_when_the_Pod_comes_back_is_stopped_or_another_takes_its_scope()
    {
        await using var room = new PodRoom();
        async Task<RoomPod> Killed(string name)
        {
            var pod = await room.Root(failpoint: "file.before_rename:kill", name: name);
            await pod.Client.RunAsync(RoomPod.WriteFile($"{room.Work}/{name}"), ct: room.Ct);
            await pod.Launched.Process.Exited.WaitAsync(room.Ct);
            Assert.True(SpareFile.IsName(Path.GetFileName(Assert.Single(Directory.GetFiles(room.Work)))));
            return pod;
        }

        var first = await Killed("first");
        var spare = Directory.GetFiles(room.Work).Single();
        var back = await room.Restore(first);
        Assert.Empty(Directory.GetFiles(room.Work));
        Assert.Contains(back.All<Entry.Notification>(), note => note.Message.Contains($"the spare file {spare} was removed", StringComparison.Ordinal));
        await back.Calls(); // It is told of the call that was cut off.
        Assert.False((await back.Calls(RoomPod.WriteFile(room.Work + "/whole")))[0].IsError);
        Assert.False(File.Exists(back.Known.Directory + "/spare")); // A write that came to its end notes nothing.
        File.Delete(room.Work + "/whole");
        await back.Killed();

        await Killed("second");
        using (var table = room.Table()) await new TreeStopper(room.Directories, table, TimeProvider.System).StopAsync(room.Find("second")!, "human", force: false, room.Ct);
        Assert.Empty(Directory.GetFiles(room.Work));

        await Killed("third");
        var heir = await room.Root(name: "heir");
        Assert.Empty(Directory.GetFiles(room.Work));
        Assert.Contains(heir.All<Entry.Notification>(), note => note.Message.Contains("a write was cut off", StringComparison.Ordinal));
    }

    [Fact, Trait("case", "P06")]
    public void What_a_mark_names_is_removed_only_if_it_is_a_spare_file()
    {
        var root = Directory.CreateTempSubdirectory("yoi-spare-").FullName;
        try
        {
            foreach (var name in (string[])["/mine", "/.yoi-0123456789abcdef.tmp"])
            {
                File.WriteAllText(root + name, "x");
                File.WriteAllText(root + "/spare", root + name);
                Assert.Equal(name == "/mine", SpareMark.Settle(root) is null);
                Assert.Equal((name == "/mine", false), (File.Exists(root + name), File.Exists(root + "/spare")));
            }
            using (var dying = File.OpenHandle(root + "/.yoi-0123456789abcdef.tmp", FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
            {
                Assert.True(Libc.TryFlock(dying)); // A process gives its locks back one after the other.
                File.WriteAllText(root + "/spare", root + "/.yoi-0123456789abcdef.tmp");
                Assert.NotNull(SpareMark.Settle(root));
                Assert.False(File.Exists(root + "/.yoi-0123456789abcdef.tmp"));
            }
            Directory.CreateDirectory(root + "/.yoi-0123456789abcdef.tmp");
            File.WriteAllText(root + "/spare", root + "/.yoi-0123456789abcdef.tmp");
            Assert.Null(SpareMark.Settle(root));
            Assert.True(Directory.Exists(root + "/.yoi-0123456789abcdef.tmp"));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact, Trait("case", "P06")]
    public void A_new_file_never_takes_the_place_of_one_that_came_meanwhile()
    {
        var root = Directory.CreateTempSubdirectory("yoi-spare-").FullName;
        try
        {
            using var directory = Door.OpenBeneath(Door.Slash, root[1..], OpenFlags.ReadOnly | OpenFlags.Directory, out _)!;
            File.WriteAllText(root + "/taken", "theirs");
            var name = SpareFile.NewName();
            SpareFile.Make(directory, name, root + "/taken", 0x180).Dispose();
            Assert.Contains("changed by somebody else", Assert.Throws<PathException>(() => SpareFile.PutWhereNothingIs(directory, name, "taken", root + "/taken")).Message, StringComparison.Ordinal);
            Assert.Equal("theirs", File.ReadAllText(root + "/taken"));
            SpareFile.PutWhereNothingIs(directory, name, "free", root + "/free");
            Assert.Equal(["free", "taken"], Directory.GetFiles(root).Select(Path.GetFileName).Order());
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }
}
