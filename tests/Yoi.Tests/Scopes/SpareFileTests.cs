using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
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
