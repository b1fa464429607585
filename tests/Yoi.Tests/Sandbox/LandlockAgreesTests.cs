using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// Random rules on a small tree: what commands can really open is what the tools allow where all rules are recursive, and never more
/// elsewhere. The seed is in the message of a failure.
/// </summary>
[Collection("sandbox")]
public sealed class LandlockAgreesTests
{
    private static readonly string[] Directories = ["", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/g"];

    [Theory, Trait("case", "P21"), Trait("case", "P20")]
    [InlineData("partial", 3, 200)]
    public async Task Commands_open_what_the_tools_allow(string level, int seed, int sets)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var top = room.Root + "/T";
        foreach (var directory in Directories)
        {
            Directory.CreateDirectory(top + directory);
            File.WriteAllText($"{top}{directory}/f", "x");
        }
        await room.Run("true");
        var random = new Random(seed);
        var held = 0;
        string[] files = [.. Directories.Select(directory => $"{top}{directory}/f")];
        for (var set = 0; set < sets; set++)
        {
            var recursive = random.Next(2) == 0;
            ScopeRule[] Rules(int most) => [.. Enumerable.Range(0, random.Next(1, most)).Select(_ => new ScopeRule(
                top + Directories[random.Next(Directories.Length)] + (random.Next(4) == 0 ? "/f" : ""), random.Next(2) == 0 ? Permission.Read : Permission.Write, recursive || random.Next(2) == 0))];
            var lent = random.Next(3) == 0 ? [new LentRules("child", "id", Rules(2), 2)] : Array.Empty<LentRules>();
            var scope = new ScopePolicy(new ScopeRules(Rules(4), [.. Rules(4).Skip(1)]), lent, 1);
            if (await OpenAll(room, scope, files) is not { } said) continue;
            held++;
            foreach (var (file, index) in files.Select((file, index) => (file, index)))
            {
                var tools = scope.AccessAt(file);
                var bash = said[index] switch { "rw" => Access.Write, "r-" => Access.Read, "--" => Access.None, var odd => throw new InvalidOperationException($"{file}: {odd}") };
                var which = $"seed {seed}, set {set}: {file}: tools {tools}, Bash {bash}\nallow {string.Join(", ", scope.Rules.Allow)}\ndeny {string.Join(", ", scope.Rules.Deny)}\nlent {string.Join(", ", lent.SelectMany(l => l.Rules))}";
                if (recursive) Assert.True(tools == bash, which);
                else Assert.True(bash <= tools, which);
            }
        }
        Assert.True(level == "kernel" ? held == sets : held > 10, $"seed {seed}: only {held} of {sets} sets of rules could be held");
    }

    /// <summary>What a command could open; null if the level cannot hold the scope, which it may only say where there is a hole or a rule that is not recursive.</summary>
    private static async Task<string[]?> OpenAll(SandboxRoom room, ScopePolicy scope, string[] files)
    {
        var script = string.Concat(files.Select(file => $"r=-; w=-; {{ : < {file}; }} 2>/dev/null && r=r; {{ : >> {file}; }} 2>/dev/null && w=w; echo $r$w\n"));
        var order = room.Order(script, scope, cwd: room.Places.SeenHome);
        if (room.Level == "partial" && Landlock.Refusal(order.Policy) is not null)
        {
            Assert.True(scope.Rules.Deny.Count + scope.Lent.Count > 0 || scope.Rules.Allow.Any(rule => !rule.Recursive));
            return null;
        }
        await using var running = await room.Launcher.StartAsync(order, SandboxRoom.Ct);
        running.Go();
        await running.Ended;
        var text = running.Output.Text(0, 1 << 16);
        running.Output.Delete();
        return text.TrimEnd('\n').Split('\n');
    }
}
