using FsCheck.Fluent;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

public sealed class ScopePolicyTests
{
    private static ScopePolicy Policy(params string[] rules) => new(ScopeRoom.Rules(rules), [], 0);

    [Fact, Trait("case", "T29"), Trait("case", "P21")]
    public void Access_equals_the_reference_for_a_thousand_random_rule_sets_in_any_order() =>
        Seeded.Check(Seeded.Rules, 1000, rules =>
        {
            var policy = new ScopePolicy(rules, [], 0);
            var turned = new ScopePolicy(new([.. rules.Allow.Reverse()], [.. rules.Deny.Reverse()]), [], 0);
            foreach (var path in Seeded.Paths)
            {
                var expected = (Access)Reference.Access(rules, path);
                Assert.True(expected == policy.AccessAt(path), $"{path}: {policy.AccessAt(path)}, not {expected}, by {Seeded.Show(rules)}");
                Assert.Equal(expected, turned.AccessAt(path));
                var decision = policy.Decide(path);
                Assert.Equal(expected, decision.Access);
                Assert.Equal(decision.AllowedBy is not null && decision.Access < (Access)decision.AllowedBy.Permission, decision.DeniedBy is not null);
            }
        });

    [Fact, Trait("case", "T29")]
    public void Overlap_of_two_rules_equals_the_reference() =>
        Seeded.Check(Seeded.OneRule.Two(), 1000, pair => Assert.Equal(
            Seeded.Paths.Any(path => Reference.Covers(pair.Item1, path) && Reference.Covers(pair.Item2, path)),
            RuleSpace.Overlap(pair.Item1, pair.Item2)));

    [Fact, Trait("case", "T29")]
    public void A_path_that_two_scopes_may_write_is_found_exactly_if_there_is_one() =>
        Seeded.Check(Seeded.Rules.Two(), 1000, pair =>
        {
            var shared = RuleSpace.SharedWrite(new(pair.Item1, [], 0), new(pair.Item2, [], 0));
            var expected = Seeded.Paths.Any(path => Reference.Access(pair.Item1, path) == 2 && Reference.Access(pair.Item2, path) == 2);
            Assert.True(expected == shared is not null, $"{shared} for {Seeded.Show(pair.Item1)} and {Seeded.Show(pair.Item2)}");
        });

    [Fact, Trait("case", "T29")]
    public void Containment_of_scopes_equals_the_reference() =>
        Seeded.Check(Seeded.Rules.Two(), 1000, pair =>
        {
            var excess = RuleSpace.Excess(new(pair.Item1, [], 0), new(pair.Item2, [], 0));
            Assert.Equal(Seeded.Paths.Any(path => Reference.Access(pair.Item1, path) > Reference.Access(pair.Item2, path)), excess is not null);
        });

    [Fact, Trait("case", "P23")]
    public void What_may_be_lent_is_with_the_inherited_denies_never_more_than_the_lender_has_now() =>
        Seeded.Check(Seeded.Rules.Zip(Seeded.OneRule.ListOf(2)).Zip(Seeded.OneRule), 1000, made =>
        {
            var ((rules, asked), lentRule) = made;
            IReadOnlyList<LentRules> lent = lentRule.Permission == Permission.Write ? [new("first", "1", [lentRule], 1)] : [];
            var lender = new ScopePolicy(rules, lent, 0);
            var why = lender.WhyNotLendable([.. asked]);
            var child = new ScopeRules([.. asked], lender.InheritedDenies([.. asked]));
            var inside = Seeded.Paths.All(path => Reference.Access(child, path) <= (int)lender.AccessAt(path));
            if (why is null) Assert.True(inside, $"{Seeded.Show(child)} from {Seeded.Show(rules)}");
            // Without denies the answer is exact; with them a rule that is denied at its own target is refused as well.
            else if (rules.Deny.Count == 0) Assert.False(inside, why);
        });

    [Theory, Trait("case", "P10")]
    [InlineData("/w/app", Access.Write)]
    [InlineData("/w/app/x", Access.Write)]
    [InlineData("/w/app-secret", Access.None)]
    [InlineData("/w/app2", Access.None)]
    [InlineData("/w/app2/x", Access.None)]
    [InlineData("/w/ap", Access.None)]
    [InlineData("/w", Access.None)]
    [InlineData("/w/App", Access.None)]
    [InlineData("/", Access.None)]
    internal void A_name_that_only_begins_like_the_target_is_another_name(string path, Access access) =>
        Assert.Equal(access, Policy("write:/w/app").AccessAt(path));

    [Fact, Trait("case", "P10")]
    public void Dots_are_no_way_around_a_name() =>
        Assert.Equal("/w/app-secret", ScopePath.Normalize("/w/app/../app-secret"));

    [Theory]
    [InlineData("/", null)]
    [InlineData("/w/a b", null)]
    [InlineData("/w/", "plain form")]
    [InlineData("//w", "plain form")]
    [InlineData("/w/./a", "plain form")]
    [InlineData("/w/../a", "plain form")]
    [InlineData("w", "not absolute")]
    [InlineData("", "empty")]
    [InlineData("/w\0x", "NUL")]
    public void A_target_has_one_form(string target, string? problem)
    {
        if (problem is null) Assert.Null(ScopePath.Problem(target));
        else Assert.Contains(problem, ScopePath.Problem(target), StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_character_is_no_name() =>
        Assert.Contains("Unicode", ScopePath.Problem("/w/" + (char)0xd800), StringComparison.Ordinal);

    [Fact]
    public void The_summary_has_the_shape_of_the_greeting() =>
        Assert.Equal("Readable:\n  - /w/w1\nWritable:\n  - /w/w1", Policy("write:/w/w1").Summary());

    [Fact]
    public void The_summary_marks_what_is_flat_lent_and_denied()
    {
        var policy = new ScopePolicy(
            ScopeRoom.Rules("read:/r [non-recursive]", "write:/w", "-write:/w/.git/hooks", "-read:/elsewhere"),
            [new("scout", "1", [new("/w/a", Permission.Write)], 3)], 4);
        Assert.Equal("Readable:\n  - /r [non-recursive]\n  - /w\nWritable:\n  - /w\nLent out:\n  - write:/w/a to scout\nDenied:\n  - write:/w/.git/hooks", policy.Summary());
        Assert.Equal("Readable:\n  (none)\nWritable:\n  (none)", ScopePolicy.Nothing(1).Summary());
    }

    [Fact]
    public void A_decision_names_the_rule_or_the_holder()
    {
        var policy = new ScopePolicy(
            ScopeRoom.Rules("write:/w", "read:/w/x", "-write:/w/d", "-read:/w/d/s"), [new("scout", "1", [new("/w/a", Permission.Write)], 3)], 4);
        Assert.Equal(new(Access.Write, new("/w", Permission.Write), null, null), policy.Decide("/w/x/y"));
        Assert.Equal("scout", policy.Decide("/w/a/b").Holder?.Child);
        Assert.Equal((Access.Read, new ScopeRule("/w/d", Permission.Write)), (policy.Decide("/w/d/f").Access, policy.Decide("/w/d/f").DeniedBy));
        Assert.Equal((Access.None, new ScopeRule("/w/d/s", Permission.Read)), (policy.Decide("/w/d/s").Access, policy.Decide("/w/d/s").DeniedBy));
        Assert.Equal(new(Access.None, null, null, null), policy.Decide("/v"));
    }

    [Fact]
    public void A_whole_root_may_be_lent_with_what_is_denied_and_guarded_in_it()
    {
        var policy = new ScopePolicy(new([new("/w", Permission.Write)], [new("/w/.git/hooks", Permission.Write)]), [], 1);
        Assert.Null(policy.WhyNotLendable([new("/w", Permission.Write)]));
        Assert.NotNull(policy.WhyNotLendable([new("/w/.git/hooks", Permission.Write)]));
    }
}
