using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Spawning;

public sealed class BusyTableTests
{
    [Fact, Trait("case", "T30")]
    public async Task While_another_process_holds_the_table_a_tool_that_needs_it_says_who_in_bounded_time_and_the_Pod_answers()
    {
        await using var room = new PodRoom();
        var root = await room.Root();
        var arguments = RoomPod.SpawnArguments("kid", scope: RoomPod.Write(room.Folder("a")));
        using (await TableLock.TakeAsync(room.Directories, PodLock.MayLive, TimeProvider.System, "holder", PodRoom.Patience, room.Ct))
        {
            // What does not change the table goes on.
            Assert.False((await root.Calls(RoomPod.WriteFile(room.Work + "/x")))[0].IsError);
            await using var other = await PodClient.ConnectAsync(room.Directories.Socket(root.Document.PodId), ct: room.Ct);
            var began = Stopwatch.GetTimestamp();
            var spawn = root.Call("SpawnPod", arguments);
            var answers = 0;
            while (!spawn.IsCompleted)
                if ((await other.StatusAsync(room.Ct)) is { State: PodState.Running, WaitingFor: "tool:SpawnPod" }) answers++;

            var busy = await spawn;

            Assert.True(busy.IsError);
            Assert.Contains($"the scope table is busy: holder (pid {Environment.ProcessId}) has held", busy.Summary, StringComparison.Ordinal);
            Assert.InRange(Stopwatch.GetElapsedTime(began), ScopeTable.LockWait, ScopeTable.LockWait + TimeSpan.FromSeconds(55)); // The case holds it for sixty.
            Assert.True(answers > 1, $"it answered {answers} times while its tool waited");
            Assert.Equal([root.Document.PodId], room.Rows.Select(row => row.PodId));
        }
        Assert.False((await root.Call("SpawnPod", arguments)).IsError); // The control.
    }
}
