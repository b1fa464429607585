using FsCheck;
using FsCheck.Fluent;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Scopes;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// Random rules on a real tree: what the file tools do, what a command in a real sandbox can open, and what the reference model says are the
/// same for reading, writing and creating where all rules are recursive; elsewhere a command never does more. <c>YOI_RULE_SETS</c> says how many
/// sets (1,000 with <c>make agree</c>), <c>YOI_SEED</c> repeats what is in the message of a failure.
/// </summary>
[Collection("sandbox")]
public sealed class ToolsAndBashAgreeTests
{
    private const string Platform = "/e";

    private static readonly string[] Directories = ["", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/g"];

    private static readonly Gen<ScopeRule> AnyRule =
        from target in Gen.Elements([.. Directories, .. Directories.Select(directory => directory + "/f")])
        from permission in Gen.Elements(Permission.Read, Permission.Write)
        from recursive in Gen.Elements(true, false)
        select new ScopeRule(target, permission, recursive);

    private static readonly Gen<RuleSet> Sets =
        from allow in Few(AnyRule, 1, 4)
        from deny in Few(AnyRule, 0, 3)
        from lent in Few(AnyRule.Where(rule => rule.Permission == Permission.Write), 0, 1)
        from recursive in Gen.Elements(true, false)
        from platform in Gen.Elements(true, false)
        select recursive ? new RuleSet(Recursive(allow), Recursive(deny), Recursive(lent), true, platform) : new RuleSet(allow, deny, lent, false, platform);

    /// <summary>Targets begin below the tree's top.</summary>
    /// <param name="Platform">True: one of its directories is in the platform set.</param>
    private sealed record RuleSet(IReadOnlyList<ScopeRule> Allow, IReadOnlyList<ScopeRule> Deny, IReadOnlyList<ScopeRule> Lent, bool Recursive, bool Platform)
    {
        public override string ToString() =>
            $"allow {string.Join(", ", Allow)} · deny {string.Join(", ", Deny)} · lent {string.Join(", ", Lent)}{(Platform ? " · platform set read:" + ToolsAndBashAgreeTests.Platform : "")}";
    }

    /// <summary>Directories, what is and will be in them, and two levels more than there are: what a rule that is not recursive says of those is a hole, too.</summary>
    private static readonly string[] Universe = [.. Directories, .. Directories.SelectMany(directory => (string[])[directory + "/f", directory + "/n", directory + "/n/n"])];

    [Theory, InlineData("kernel"), InlineData("partial"), Trait("case", "P21"), Trait("case", "P20")]
    public async Task Tools_commands_and_the_model_agree_on_reading_writing_and_creating(string level)
    {
        await using var room = await SandboxRoom.MakeAsync(level);
        var top = await MakeTreeAsync(room);
        var tools = new Tools(room.W);
        tools.Policy = new(new([new(top, Permission.Read)], []), [], 1);
        foreach (var directory in Directories) Assert.True(await tools.Does("Read", $"{top}{directory}/f")); // Only what was read is replaced.
        // Without mounts only what has no hole can be held: of such sets, each that is recursive is.
        var (exercised, allowed, refused) = (0, 0, 0);
        await Seeded.CheckAsync(level == "kernel" ? Sets : Sets.Where(set => !HasHole(set)), Number, async set =>
        {
            var policy = PolicyOf(set, room, top);
            tools.Policy = policy.Access;
            if (level == "partial" && Landlock.Refusal(policy) is { } why)
            {
                Assert.False(set.Recursive, why);
                return;
            }
            exercised++;
            var commands = await OpenAll(room, policy, top);
            foreach (var (directory, seen) in Directories.Zip(commands))
            {
                var (old, made) = (directory + "/f", directory + "/n");
                var model = (Read: Model(set, old) >= Access.Read, Write: Model(set, old) == Access.Write, Create: Model(set, made) == Access.Write);
                var did = (Read: await tools.Does("Read", top + old), Write: await tools.Does("Write", top + old), Create: await tools.Does("Write", top + made));
                File.Delete(top + made);
                var bash = (Read: seen[0] == 'r', Write: seen[1] == 'w', Create: seen[2] == 'c');
                Assert.True(model == did, $"{old}: the model says {model}, the tools did {did}");
                if (set.Recursive) Assert.True(did == bash, $"{old}: the tools did {did}, a command {bash}");
                else Assert.True((!bash.Read || did.Read) && (!bash.Write || did.Write) && (!bash.Create || did.Create), $"{old}: the tools did {did}, a command more: {bash}");
                foreach (var one in new[] { model.Read, model.Write, model.Create }) _ = one ? allowed++ : refused++;
            }
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{exercised} of {Number} sets, {allowed} allowed, {refused} refused");
        Assert.Equal(Number, exercised);
        Assert.True(allowed > exercised && refused > exercised, $"{allowed} allowed, {refused} refused");
        room.AssertOutsideUntouched();
    }

    [Fact, Trait("case", "P21")]
    public async Task Level_partial_runs_nothing_under_rules_that_have_a_hole()
    {
        await using var room = await SandboxRoom.MakeAsync("partial");
        var top = await MakeTreeAsync(room);
        await Seeded.CheckAsync(Sets.Where(set => set.Recursive && HasHole(set)), Number, async set =>
        {
            var order = Order(room, PolicyOf(set, room, top), "true");
            Assert.Contains("level partial can", (await Assert.ThrowsAsync<SandboxException>(() => room.Launcher.StartAsync(order, SandboxRoom.Ct))).Message, StringComparison.Ordinal);
        });
    }

    private static int Number => int.TryParse(Environment.GetEnvironmentVariable("YOI_RULE_SETS"), out var given) ? given : 200;

    private static async Task<string> MakeTreeAsync(SandboxRoom room)
    {
        var top = room.Root + "/T";
        foreach (var directory in Directories)
        {
            Directory.CreateDirectory(top + directory);
            await File.WriteAllTextAsync($"{top}{directory}/f", "x", SandboxRoom.Ct);
        }
        await room.Run("true");
        return top;
    }

    /// <summary>Somewhere less may be done than in what lies around it.</summary>
    private static bool HasHole(RuleSet set) =>
        Universe.Any(path => Universe.Any(around => path.StartsWith(around + "/", StringComparison.Ordinal) && Model(set, path) < Model(set, around)));

    /// <summary>What rules mean, as plainly as can be: highest allow, strictly below the lowest deny, read where it is lent or in the platform set.</summary>
    private static Access Model(RuleSet set, string path)
    {
        ScopeRule[] allow = [.. set.Allow, .. set.Platform ? [new ScopeRule(Platform, Permission.Read)] : Array.Empty<ScopeRule>()];
        var access = Reference.Access(new(allow, set.Deny), path);
        return (Access)(set.Lent.Any(rule => Reference.Covers(rule, path)) ? Math.Min(access, 1) : access);
    }

    private static SandboxPolicy PolicyOf(RuleSet set, SandboxRoom room, string top)
    {
        ScopeRule[] Here(IReadOnlyList<ScopeRule> rules) => [.. rules.Select(rule => rule with { Target = top + rule.Target })];
        var scope = new ScopePolicy(new(Here(set.Allow), Here(set.Deny)), set.Lent.Count == 0 ? [] : [new("child", "id", Here(set.Lent), 2)], 1);
        return SandboxPolicy.Of(scope, PlatformSet.Find(room.Home, "/usr/bin", false, set.Platform ? [top + Platform] : []), room.Document.Directories, room.Home, false);
    }

    /// <summary>One sandbox tries everything; three letters for each directory.</summary>
    private static async Task<string[]> OpenAll(SandboxRoom room, SandboxPolicy policy, string top)
    {
        var script = "try() { r=-; w=-; c=-; { : < $1/f; } 2>/dev/null && r=r; { : >> $1/f; } 2>/dev/null && w=w; { : > $1/n; } 2>/dev/null && c=c && rm $1/n; echo $r$w$c; }\n"
            + string.Concat(Directories.Select(directory => $"try {top}{directory}\n"));
        await using var running = await room.Launcher.StartAsync(Order(room, policy, script), SandboxRoom.Ct);
        running.Go();
        await running.Ended;
        var lines = running.Output.Text(0, 1 << 16).TrimEnd('\n').Split('\n');
        running.Output.Delete();
        Assert.True(lines.Length == Directories.Length && lines.All(line => line.Length == 3), string.Join('\n', lines));
        return lines;
    }

    private static CommandOrder Order(SandboxRoom room, SandboxPolicy policy, string line) =>
        room.Order(line, cwd: room.Places.SeenHome) with { Policy = policy, View = SandboxView.Of(policy, []) };

    private static Gen<IReadOnlyList<T>> Few<T>(Gen<T> one, int least, int most) =>
        from count in Gen.Choose(least, most)
        from list in Gen.ListOf(one, count)
        select (IReadOnlyList<T>)[.. list];

    private static IReadOnlyList<ScopeRule> Recursive(IReadOnlyList<ScopeRule> rules) => [.. rules.Select(rule => rule with { Recursive = true })];

    /// <summary>The file tools under one rule set after another.</summary>
    private sealed class Tools
    {
        private readonly Dictionary<string, Tool> _tools;

        internal Tools(string cwd)
        {
            var leases = new LeaseGate();
            var files = new ScopedFiles(() => Policy, ct => leases.EnterAsync(exclusive: false, ct), cwd);
            _tools = FileTools.All(files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
        }

        internal ScopePolicy Policy { get; set; } = ScopePolicy.Nothing(0);

        internal async Task<bool> Does(string tool, string path)
        {
            (string, System.Text.Json.Nodes.JsonNode?)[] arguments = tool == "Write" ? [("file_path", path), ("content", "x")] : [("file_path", path)];
            try
            {
                await _tools[tool].RunAsync(new ToolCall("call", tool, FileRoom.Json(arguments)), SandboxRoom.Ct);
                return true;
            }
            catch (ToolFailure)
            {
                return false;
            }
        }
    }
}
