using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// Real Pods: a child whose command writes without end in what was lent to it. Its spawner writes there by tool and by command before, not meanwhile,
/// and again when nothing of that command is left.
/// </summary>
[Collection("sandbox")]
public sealed class LentWhileBusyTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static string Bash(string command) => "CALL Bash " + JsonSerializer.Serialize(new { command });

    [Theory, Trait("case", "T31"), Trait("case", "F01")]
    [InlineData("kernel", false), InlineData("kernel", true), InlineData("partial", false), InlineData("partial", true)]
    public async Task The_scope_of_a_child_is_back_only_when_nothing_of_its_command_is_left(string level, bool killed)
    {
        var (root, folder) = await RootAsync(level);
        await WritesAsync(root, folder);
        for (var round = 0; round < 3; round++)
        {
            var child = await SpawnBusyAsync(root, "busy" + round, folder);
            await IsRefusedAsync(root, folder, child.Name);

            if (killed)
            {
                await _room.Kill(child);
                await root.Until(entry => entry is Entry.ChildEnded ended && ended.Child == child.Name);
            }
            else
            {
                var stopped = await root.Call("StopPod", $$"""{"name":"{{child.Name}}"}""");
                Assert.False(stopped.IsError, stopped.Summary);
            }

            Assert.Empty(WorkingIn(folder));
            Assert.DoesNotContain(_room.Rows, row => row.PodId == child.PodId);
            await WritesAsync(root, folder);
        }
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "T27"), Trait("case", "T26")]
    public async Task A_spawner_that_comes_back_writes_nothing_by_tool_or_command_where_a_command_of_its_child_goes_on(string level)
    {
        var (root, folder) = await RootAsync(level);
        await WritesAsync(root, folder);
        var child = await SpawnBusyAsync(root, "busy", folder);
        await root.Killed();
        await root.Client.DisposeAsync();

        var back = await _room.Restore(root);

        Assert.Contains("busy [alive", await back.List(), StringComparison.Ordinal);
        for (var round = 0; round < 3; round++)
        {
            await IsRefusedAsync(back, folder, child.Name);
            await GrowsAsync(folder);
        }
        Assert.False((await back.Call("StopPod", """{"name":"busy"}""")).IsError);
        Assert.Empty(WorkingIn(folder));
        await WritesAsync(back, folder);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P22")]
    public async Task What_lies_above_a_lent_place_is_not_renamed_by_the_lender_in_one_call_nor_in_the_next(string level)
    {
        var (root, folder) = await RootAsync(level, "a/b");
        var a = $"{_room.Work}/a";
        Assert.False((await root.Calls(Bash($"mv {a} {a}2 && mkdir -p {a}/b && rmdir {a}/b {a} && mv {a}2 {a} && mkdir {a}3")))[0].IsError);
        Assert.Equal(0, Libc.Identify(folder, out var lent));
        Assert.False((await root.Spawn("child", scope: RoomPod.Write(folder))).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");
        var child = await _room.Attach("child");
        await using var client = child.Client;
        string[] ways =
        [
            $"mv {a} {a}2; mkdir -p {folder}; echo x > {folder}/mine", $"mv {folder} {a}/c; mkdir -p {folder}; echo x > {folder}/mine", $"mv {_room.Work} {_room.Work}2; mkdir -p {folder}; echo x > {folder}/mine",
            $"/usr/bin/python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).renameat2(-100, b\"{a}\", -100, b\"{a}3\", 2) != 0)'", $"rm -rf {a} && ln -s {a}3 {a}", $"rmdir {folder} && mkdir {folder}",
        ];
        foreach (var way in ways)
        {
            // In the same call, in the next of the same message, and in the one after that.
            var tried = await root.Calls(Bash(way), Bash($"echo x > {folder}/mine"), RoomPod.WriteFile(folder + "/mine"));
            Assert.All(tried, result => Assert.True(result.IsError, $"{way}: {result.Summary}"));
            Assert.True((await root.Calls(Bash($"echo x > {folder}/mine")))[0].IsError);

            Assert.Equal(0, Libc.Identify(folder, out var now));
            Assert.True(now.IsSameFile(lent), way);
            Assert.False(Path.Exists(a + "2") || Path.Exists(folder + "/mine"), way);
            Assert.Contains(new ScopeRule(folder, Permission.Write), _room.Rows.Single(row => row.Name == "child").Scope.Allow);
            foreach (var result in await child.Calls(Bash($"echo child > {folder}/theirs"), RoomPod.WriteFile(folder + "/tool"))) Assert.False(result.IsError, $"{way}: {result.Summary}");
        }
        Assert.True((await child.Calls(Bash($"mv {a} {a}2")))[0].IsError); // Nor by who has the place alone.

        Assert.False((await root.Call("StopPod", """{"name":"child"}""")).IsError);
        var after = (await root.Calls(Bash($"mv {a} {a}2 && echo x > {a}2/b/mine && cat {a}2/b/theirs")))[0];
        Assert.Equal("child", after.Content);
    }

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P22")]
    public async Task A_root_that_was_lent_whole_stays_where_it_is_while_the_lender_s_commands_go_on(string level)
    {
        SandboxRoom.SkipWithout(level);
        var (own, lent) = (_room.Folder("own"), _room.Folder("above/lent"));
        var root = await _room.Root(with: d => d with { SandboxLevel = level, Cwd = own, Scope = new([new(own, Permission.Write), new(lent, Permission.Write)], []) });
        await WritesAsync(root, lent);
        Assert.False((await root.Spawn("child", scope: RoomPod.Write(lent))).IsError);
        await root.Call("WaitForPods", """{"until":"all"}""");

        Assert.False((await root.Calls(Bash($"mkdir {own}/d && mv {own}/d {own}/e && echo x > {own}/e/f")))[0].IsError);
        // Not by mv, which copies what it cannot rename.
        static string Renames(string from, string to) => $"/usr/bin/python3 -c 'import os; os.rename(\"{from}\", \"{to}\")'";
        Assert.False((await root.Calls(Bash(Renames(own + "/e", own + "/g"))))[0].IsError);
        foreach (var way in new[]
        {
            $"{Renames(_room.Work + "/above", _room.Work + "/other")}; mkdir -p {lent}; echo x > {lent}/mine", Renames(lent, own + "/lent"), Renames(_room.Work + "/above", own + "/above"), $"echo x > {lent}/mine",
        })
            Assert.True((await root.Calls(Bash(way)))[0].IsError, way);
        Assert.Equal(["g"], Directory.GetFileSystemEntries(own).Select(Path.GetFileName));
        Assert.Equal(["above", "own"], Directory.GetDirectories(_room.Work).Select(Path.GetFileName).Order());
        Assert.False(Path.Exists(lent + "/mine"));

        Assert.False((await root.Call("StopPod", """{"name":"child"}""")).IsError);
        await WritesAsync(root, lent);
    }

    private async Task<(RoomPod Root, string Folder)> RootAsync(string level, string folder = "part")
    {
        SandboxRoom.SkipWithout(level);
        return (await _room.Root(with: d => d with { SandboxLevel = level }), _room.Folder(folder));
    }

    /// <summary>A child of which a shell takes all of a processor, writing, and another that nobody waits for writes, too; neither heeds SIGTERM.</summary>
    private static async Task<KnownPod> SpawnBusyAsync(RoomPod root, string name, string folder)
    {
        var command = $"cd {folder} && trap '' TERM && (setsid -f sh -c 'while :; do echo old >> log; sleep 0.001; done') && while :; do echo old >> log; done";
        File.Delete(folder + "/log");
        Assert.False((await root.Spawn(name, "\n" + Bash(command), RoomPod.Write(folder))).IsError);
        await GrowsAsync(folder);
        await Eventually.Holds(() => WorkingIn(folder).Count >= 2);
        return root.Child(name);
    }

    private static async Task GrowsAsync(string folder)
    {
        var log = new FileInfo(folder + "/log");
        var before = log.Exists ? log.Length : 0;
        await Eventually.Holds(() => new FileInfo(folder + "/log") is { Exists: true } now && now.Length > before);
    }

    /// <summary>By tool and by command; what is there then is its own alone.</summary>
    private async Task WritesAsync(RoomPod pod, string folder)
    {
        foreach (var result in await pod.Calls(RoomPod.WriteFile(folder + "/tool"), Bash($"echo new > {folder}/log"))) Assert.False(result.IsError, result.Summary + result.Content);
        Assert.Equal("new\n", await File.ReadAllTextAsync(folder + "/log", _room.Ct));
        File.Delete(folder + "/tool");
    }

    private static async Task IsRefusedAsync(RoomPod pod, string folder, string holder)
    {
        var results = await pod.Calls(RoomPod.WriteFile(folder + "/tool"), Bash($"echo new > {folder}/command"), Bash($"echo new >> {folder}/log"));
        Assert.All(results, result => Assert.True(result.IsError, result.Summary));
        Assert.Contains(holder, results[0].Summary, StringComparison.Ordinal);
        Assert.False(File.Exists(folder + "/tool") || File.Exists(folder + "/command"));
        Assert.Contains(pod.Document.SandboxLevel == "partial" ? "is lent to " + holder : "Read-only file system", results[1].Summary + results[1].Content, StringComparison.Ordinal);
    }

    /// <summary>Living processes whose working directory that is: what the command started, wherever it went.</summary>
    private static List<string> WorkingIn(string folder)
    {
        List<string> found = [];
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => char.IsAsciiDigit(path[^1])))
        {
            try
            {
                if (new FileInfo(process + "/cwd").LinkTarget == folder) found.Add(process);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Gone, or another user's.
            }
        }
        return found;
    }
}
