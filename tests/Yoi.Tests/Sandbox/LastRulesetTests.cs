using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>The ruleset of the last command is taken again for one that is to have just the same, and for no other.</summary>
[Collection("sandbox")]
public sealed class LastRulesetTests
{
    [Fact, Trait("case", "S20"), Trait("case", "T40")]
    public async Task A_directory_that_was_exchanged_between_two_commands_is_not_written_under_its_new_name_and_the_new_one_is()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["read:/W", "write:/W/a"], scene: root => Directory.CreateDirectory(root + "/W/a"));
        await room.Run("echo 1 > a/first && echo 2 > a/second");
        Directory.Move(room.W + "/a", room.W + "/before");
        Directory.CreateDirectory(room.W + "/a");

        await room.Fails("echo 3 > before/third");
        await room.Run("echo 4 > a/fourth");

        Assert.Equal(["first", "second"], Directory.GetFiles(room.W + "/before").Select(Path.GetFileName).Order());
        Assert.Equal("4\n", File.ReadAllText(room.W + "/a/fourth"));
    }

    [Fact, Trait("case", "S20")]
    public async Task A_directory_in_the_place_of_another_that_may_be_read_is_read_and_the_other_is_not_any_more()
    {
        await using var room = await SandboxRoom.MakeAsync("partial", ["write:/W", "read:/R"], scene: root => File.WriteAllText(Directory.CreateDirectory(root + "/R").FullName + "/f", "old"));
        Assert.Contains("old", await room.Run($"cat {room.Root}/R/f"), StringComparison.Ordinal);
        Directory.Move(room.Root + "/R", room.Root + "/moved");
        File.WriteAllText(Directory.CreateDirectory(room.Root + "/R").FullName + "/f", "new");

        await room.Fails($"cat {room.Root}/moved/f");
        Assert.Contains("new", await room.Run($"cat {room.Root}/R/f"), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "S20")]
    public async Task What_was_taken_from_the_scope_is_not_written_by_the_next_command()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var (line, reading) = ($"echo x >> {room.W}/written", new ScopePolicy(new ScopeRules([new(room.W, Permission.Read)], []), [], 2));
        var launcher = room.Launcher;

        Assert.Equal(0, await ExitAsync(launcher, room.Order(line)));
        Assert.NotEqual(0, await ExitAsync(launcher, room.Order(line, reading)));
        Assert.Equal(0, await ExitAsync(launcher, room.Order(line)));

        Assert.Equal("x\nx\n", File.ReadAllText(room.W + "/written"));
        Assert.Equal(3, launcher.Ruleset.Made);
    }

    [Fact, Trait("case", "S20")]
    public async Task Only_the_same_again_is_not_made_anew()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var launcher = room.Launcher;
        foreach (var line in new[] { "true", "echo x > made", "test -f made" }) Assert.Equal(0, await ExitAsync(launcher, room.Order(line)));
        Assert.Equal(1, launcher.Ruleset.Made);

        var order = room.Order("true");
        Assert.Equal(0, await ExitAsync(launcher, order with { Policy = order.Policy with { Network = true } }));
        Assert.Equal(2, launcher.Ruleset.Made);
    }

    [Fact, Trait("case", "S20")]
    public void Every_part_of_a_rule_tells_it_from_another()
    {
        var rule = new LandlockRule("/usr", LandlockRights.Read, 1, 2, 3, 4);
        LandlockRule[] others = [rule with { Path = "/opt" }, rule with { Rights = 0 }, rule with { Device = 9 }, rule with { Inode = 9 }, rule with { Born = 9 }, rule with { Mount = 9 }];
        Assert.All(others, other => Assert.NotEqual(rule, other));
    }

    private static async Task<int?> ExitAsync(CommandLauncher launcher, CommandOrder order)
    {
        await using var command = await launcher.StartAsync(order, SandboxRoom.Ct);
        command.Go();
        return (await command.Ended).Exit?.Code;
    }
}
