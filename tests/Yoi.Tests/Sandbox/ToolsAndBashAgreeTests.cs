using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// Random rules on a small tree: what commands can really open is what the tools allow where all rules are recursive, and never more
/// elsewhere. The seed is in the message of a failure.
/// </summary>
[Collection("sandbox")]
public sealed class ToolsAndBashAgreeTests
{
    private static readonly string[] Directories = ["", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/g"];

    [Theory, Trait("case", "P21"), Trait("case", "P20")]
    [InlineData(1, 40), InlineData(2, 40)]
    public async Task Commands_open_what_the_tools_allow(int seed, int sets)
    {
        await using var room = await SandboxRoom.MakeAsync();
        var top = room.Root + "/T";
        foreach (var directory in Directories)
        {
            Directory.CreateDirectory(top + directory);
            File.WriteAllText($"{top}{directory}/f", "x");
        }
        await room.Run("true");
        var random = new Random(seed);
        string[] files = [.. Directories.Select(directory => $"{top}{directory}/f")];
        for (var set = 0; set < sets; set++)
        {
            var recursive = random.Next(2) == 0;
            ScopeRule[] Rules(int most) => [.. Enumerable.Range(0, random.Next(1, most)).Select(_ => new ScopeRule(
                top + Directories[random.Next(Directories.Length)] + (random.Next(4) == 0 ? "/f" : ""), random.Next(2) == 0 ? Permission.Read : Permission.Write, recursive || random.Next(2) == 0))];
            var lent = random.Next(3) == 0 ? [new LentRules("child", "id", Rules(2), 2)] : Array.Empty<LentRules>();
            var scope = new ScopePolicy(new ScopeRules(Rules(4), [.. Rules(4).Skip(1)]), lent, 1);
            var said = await OpenAll(room, scope, files);
            foreach (var (file, index) in files.Select((file, index) => (file, index)))
            {
                var tools = scope.AccessAt(file);
                var bash = said[index] switch { "rw" => Access.Write, "r-" => Access.Read, "--" => Access.None, var odd => throw new InvalidOperationException($"{file}: {odd}") };
                var which = $"seed {seed}, set {set}: {file}: tools {tools}, Bash {bash}\nallow {string.Join(", ", scope.Rules.Allow)}\ndeny {string.Join(", ", scope.Rules.Deny)}\nlent {string.Join(", ", lent.SelectMany(l => l.Rules))}";
                if (recursive) Assert.True(tools == bash, which);
                else Assert.True(bash <= tools, which);
            }
        }
    }

    private static async Task<string[]> OpenAll(SandboxRoom room, ScopePolicy scope, string[] files)
    {
        var policy = SandboxPolicy.Of(scope, PlatformSet.Find(room.Home, "/usr/bin", false), room.Document.Directories, room.Home, false);
        var view = SandboxView.Of(policy, []);
        var places = PrivatePlaces.Of(room.PodDirectory);
        var script = string.Concat(files.Select(file => $"r=-; w=-; {{ : < {file}; }} 2>/dev/null && r=r; {{ : >> {file}; }} 2>/dev/null && w=w; echo $r$w\n"));
        var command = Bubblewrap.Compose(Bubblewrap.Find(), policy, view, places, new(), "/yoi/home", script, _ => null);
        await using var running = await BubblewrapHold.StartAsync(room.PodDirectory, command, $"{places.Output}/{Guid.NewGuid():n}", new(OutputMb: 1), TimeProvider.System, SandboxRoom.Ct);
        Assert.Null(view.Mismatch(running.Process.Pid));
        running.Go();
        await running.Ended;
        var text = running.Output.Text(0, 1 << 16);
        running.Output.Delete();
        return text.TrimEnd('\n').Split('\n');
    }
}
