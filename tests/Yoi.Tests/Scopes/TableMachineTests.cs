using FsCheck;
using FsCheck.Fluent;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>L18: every change of the table against a model that only knows who owns which path.</summary>
[Trait("case", "L18")]
public sealed class TableMachineTests
{
    private sealed record Step(string Do, int Who, ScopeRules Rules, string Below);

    private static readonly Gen<Step[]> Steps =
        (from act in Gen.Elements("acquire", "acquire", "lend", "lend", "lend", "lend", "lend", "lend", "adopt", "release", "release twice", "die", "die with children")
         from who in Gen.Choose(0, 99)
         from rules in Seeded.Rules
         from one in Seeded.OneRule
         from plain in Gen.Elements(true, true, true, true, false)
         from below in Gen.Elements("", "/a", "/b")
         select new Step(act, who, plain ? new([one with { Permission = Permission.Write }], []) : rules, plain ? below : "-")).ArrayOf(24);

    private sealed class Pod(string id, string? above)
    {
        internal string Id { get; } = id;
        internal string? Above { get; set; } = above;
        internal bool Alive { get; set; } = true;
    }

    /// <summary>Paths to owners, and who is below whom.</summary>
    private sealed class Model
    {
        internal Dictionary<string, string> Owner { get; } = [];
        internal Dictionary<string, Pod> Pods { get; } = [];

        internal void Remove(string id)
        {
            var above = Pods[id].Above;
            Pods.Remove(id);
            foreach (var pod in Pods.Values) if (pod.Above == id) pod.Above = above;
            foreach (var path in Owner.Where(pair => pair.Value == id).Select(pair => pair.Key).ToList())
                if (above is null) Owner.Remove(path);
                else Owner[path] = above;
        }
    }

    private static TableRow Row(string id, ScopeRules rules) =>
        new(id, "p" + id, "/pods/" + id, null, id, 0, false, 0, rules, new PodLimits(200, 99, 99, 99), null);

    [Fact]
    public void Nobody_ever_shares_a_path_and_everything_goes_back_where_it_came_from()
    {
        var counts = new Dictionary<string, int>();
        Seeded.Check(Steps, 300, steps => Run(steps, counts));
        foreach (var (what, count) in counts) TestContext.Current.TestOutputHelper?.WriteLine($"{what}: {count}");
        foreach (var what in (string[])["acquired", "acquire refused", "lent", "lent on", "lend refused", "moved up"])
            Assert.True(counts.GetValueOrDefault(what) > 20, $"{what}: {counts.GetValueOrDefault(what)} times only");
    }

    private static void Run(Step[] steps, Dictionary<string, int> counts)
    {
        void Count(string what) => counts[what] = counts.GetValueOrDefault(what) + 1;
        var table = TableDocument.Empty(0);
        var model = new Model();
        var dead = new HashSet<string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var step in steps)
        {
            var someone = model.Pods.Count == 0 ? null : model.Pods.Values.ElementAt(step.Who % model.Pods.Count).Id;
            switch (step.Do)
            {
                case "acquire":
                    var acquired = Acquire(table, model, $"{++number}", step.Rules);
                    Count(ReferenceEquals(acquired, table) ? "acquire refused" : "acquired");
                    table = acquired;
                    break;
                case "lend" when someone is not null:
                    var some = table.Find(someone)!.Scope.Allow.FirstOrDefault(rule => rule.Permission == Permission.Write);
                    var asked = step.Below == "-" || some is null || some.Target.Length > 5 ? step.Rules : new([some with { Target = ScopePath.Normalize(some.Target + step.Below) }], []);
                    var lent = Lend(table, model, someone, $"{++number}", asked);
                    Count(ReferenceEquals(lent, table) ? "lend refused" : lent.Pods[^1].Depth > 1 ? "lent on" : "lent");
                    table = lent;
                    break;
                case "adopt" when someone is not null && table.Find(someone)!.Pid is null:
                    table = TableChange.Adopt(table, someone, table.Find(someone)!.Generation, 7);
                    break;
                case "release" or "release twice" when someone is not null:
                    table = TableChange.Without(table, new HashSet<string> { someone });
                    model.Remove(someone);
                    if (step.Do == "release twice") Assert.Same(table, TableChange.Without(table, new HashSet<string> { someone }));
                    break;
                case "die" or "die with children" when someone is not null:
                    string[] dying = step.Do == "die" ? [someone] : [someone, .. model.Pods.Values.Where(pod => pod.Above == someone).Select(pod => pod.Id)];
                    // A pending grant lives as long as its lender.
                    foreach (var id in dying) dead.Add("/pods/" + id);
                    var held = dying.Where(id => table.Find(id) is { Pending: true, SpawnerId: { } lender } && !dead.Contains("/pods/" + lender)).ToList();
                    table = TableChange.WithoutDead(table, directory => !dead.Contains(directory), _ => true);
                    foreach (var id in dying.Except(held).Reverse()) model.Remove(id);
                    foreach (var id in held) dead.Remove("/pods/" + id);
                    break;
            }
            if (table.Pods.Any(row => row is { Depth: > 1 } && model.Pods[row.PodId].Above is { } above && table.Find(above)!.Depth < row.Depth - 1)) Count("moved up");
            Compare(table, model, step);
        }
    }

    private static TableDocument Acquire(TableDocument table, Model model, string id, ScopeRules rules)
    {
        var wanted = Seeded.FewPaths.Where(path => Reference.Access(rules, path) == 2).ToList();
        var free = !wanted.Any(model.Owner.ContainsKey);
        try
        {
            var after = TableChange.Acquire(table, Row(id, rules));
            Assert.True(free, $"{Seeded.Show(rules)} was given though somebody holds it");
            model.Pods[id] = new(id, null);
            foreach (var path in wanted) model.Owner[path] = id;
            return after;
        }
        catch (ScopeException e)
        {
            Assert.False(free, e.Message);
            Assert.Contains(e.Holder![1..], model.Pods.Keys);
            return table;
        }
    }

    private static TableDocument Lend(TableDocument table, Model model, string lender, string id, ScopeRules asked)
    {
        var policy = table.PolicyOf(lender);
        var rules = new ScopeRules(asked.Allow, [.. asked.Deny, .. policy.InheritedDenies(asked.Allow)]);
        var wanted = Seeded.FewPaths.Where(path => Reference.Access(rules, path) == 2).ToList();
        var inside = wanted.All(path => model.Owner.GetValueOrDefault(path) == lender && !HoleOf(table, lender, path))
            && Seeded.FewPaths.All(path => Reference.Access(rules, path) < 1 || policy.AccessAt(path) >= Access.Read);
        try
        {
            var after = TableChange.Lend(table, lender, Row(id, rules));
            Assert.True(inside, $"{Seeded.Show(rules)} was lent from {Seeded.Show(policy.Rules)}");
            model.Pods[id] = new(id, lender);
            foreach (var path in wanted) model.Owner[path] = id;
            return after;
        }
        catch (ScopeException e)
        {
            if (policy.Rules.Deny.Count == 0 && asked.Deny.Count == 0) Assert.False(inside, e.Message);
            return table;
        }
    }

    private static void Compare(TableDocument table, Model model, Step step)
    {
        Assert.Null(table.Problem());
        Assert.Equal(model.Pods.Keys.Order(), table.Pods.Select(row => row.PodId).Order());
        foreach (var row in table.Pods) Assert.Equal(model.Pods[row.PodId].Above, row.SpawnerId);
        var policies = table.Pods.ToDictionary(row => row.PodId, row => table.PolicyOf(row.PodId));
        foreach (var path in Seeded.FewPaths)
        {
            var writers = policies.Where(pair => pair.Value.AccessAt(path) == Access.Write).Select(pair => pair.Key).ToList();
            Assert.True(writers.Count <= 1, $"{path} has the writers {string.Join(", ", writers)} after {step.Do}");
            // What a child denies itself nobody writes while it lives: the spawner lent its rules, not their holes.
            if (writers.Count == 1 || !model.Owner.TryGetValue(path, out var owner) || !HoleOf(table, owner, path))
                Assert.True(model.Owner.GetValueOrDefault(path) == writers.SingleOrDefault(), $"{path}: {writers.SingleOrDefault()}, model {model.Owner.GetValueOrDefault(path)} after {step.Do}");
        }
    }

    private static bool HoleOf(TableDocument table, string owner, string path) =>
        table.Pods.Any(row => row.SpawnerId == owner && row.Scope.Allow.Any(rule => rule.Permission == Permission.Write && Reference.Covers(rule, path)));
}
