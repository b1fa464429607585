using System.Text;
using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>What a path may be used for.</summary>
internal enum Access { None, Read, Write }

/// <summary>
/// A scope as it is at one moment: rules and what is lent out. Immutable; knows no file system, no back end.
/// The same object feeds file tools, lending and sandboxes.
/// </summary>
/// <param name="Lent">The write rules that children hold: read there, and not written.</param>
/// <param name="Generation">Of the scope table when this was computed.</param>
internal sealed record ScopePolicy(ScopeRules Rules, IReadOnlyList<LentRules> Lent, long Generation)
{
    private const string PlatformWords = "the platform set (this machine's programs, headers, toolchains and package caches)";

    /// <summary>
    /// The platform set: what every Pod may read besides its scope, and the denies that hold there. Never written, never lent, and told by
    /// its name only.
    /// </summary>
    internal ScopeRules Platform { get; init; } = ScopeRules.None;

    /// <summary>Every allow rule that counts at a path.</summary>
    internal IEnumerable<ScopeRule> Allow => Rules.Allow.Concat(Platform.Allow);

    /// <summary>Every deny rule that counts at a path.</summary>
    internal IEnumerable<ScopeRule> Deny => Rules.Deny.Concat(Platform.Deny);

    /// <summary>No access at all: a Pod without a row.</summary>
    internal static ScopePolicy Nothing(long generation) => new(ScopeRules.None, [], generation);

    /// <summary>What may be done at a resolved, absolute path: highest allow, capped strictly below the lowest deny, no write where lent.</summary>
    internal Access AccessAt(string path)
    {
        var access = Access.None;
        foreach (var rule in Rules.Allow)
            if ((Access)rule.Permission > access && rule.Covers(path)) access = (Access)rule.Permission;
        if (access == Access.None && IsOfPlatform(path)) access = Access.Read;
        access = Capped(Platform.Deny, path, Capped(Rules.Deny, path, access));
        return access == Access.Write && (IsGuarded(path) || HolderOf(path) is not null) ? Access.Read : access;
    }

    private bool IsOfPlatform(string path)
    {
        foreach (var rule in Platform.Allow)
            if (rule.Covers(path)) return true;
        return false;
    }

    private static Access Capped(IReadOnlyList<ScopeRule> deny, string path, Access access)
    {
        if (access == Access.None) return access;
        foreach (var rule in deny)
            if ((Access)rule.Permission <= access && rule.Covers(path)) access = (Access)rule.Permission - 1;
        return access;
    }

    /// <summary>The same with the reason: the rule that decides, or the child that holds the path.</summary>
    internal AccessDecision Decide(string path)
    {
        var allowed = Allow.Where(rule => rule.Covers(path))
            .OrderByDescending(rule => rule.Permission).ThenByDescending(rule => rule.Target.Length).FirstOrDefault();
        if (allowed is null) return new(Access.None, null, null, null);
        var access = (Access)allowed.Permission;
        var denied = Deny.Where(rule => (Access)rule.Permission <= access && rule.Covers(path))
            .OrderBy(rule => rule.Permission).ThenByDescending(rule => rule.Target.Length).FirstOrDefault();
        if (denied is not null) access = (Access)denied.Permission - 1;
        var holder = access == Access.Write ? HolderOf(path) : null;
        var guarded = access == Access.Write && IsGuarded(path);
        return new(holder is null && !guarded ? access : Access.Read, allowed, denied, holder, guarded);
    }

    /// <summary>True for what git would run, in any repository.</summary>
    private bool IsGuarded(string path) => !Rules.UnguardedGit && GitNames.IsGuarded(path);

    /// <summary>Null if every rule may be lent from this scope, else the words that say which rule may not and why.</summary>
    /// <param name="denied">What is denied to the borrower: what another holds need not come back if it is.</param>
    internal string? WhyNotLendable(IReadOnlyList<ScopeRule> rules, IReadOnlyList<ScopeRule>? denied = null)
    {
        foreach (var rule in rules)
            if (WhyNotLendable(rule, denied ?? []) is { } why) return $"`{rule}` cannot be lent: {why}";
        return null;
    }

    /// <summary>The denies that hold for a child with these rules.</summary>
    internal IReadOnlyList<ScopeRule> InheritedDenies(IReadOnlyList<ScopeRule> rules) =>
        [.. Rules.Deny.Where(deny => rules.Any(rule => deny.Permission <= rule.Permission && RuleSpace.Overlap(deny, rule))).Distinct()];

    /// <summary>"Readable:\n  - …\nWritable:\n  - …", as the greeting and the prompt show it; what is lent is marked.</summary>
    internal string Summary()
    {
        var text = new StringBuilder("Readable:");
        List(text, [.. Rules.Allow.Select(Shown), .. Platform.Allow.Count > 0 ? [PlatformWords] : Array.Empty<string>()]);
        text.Append("\nWritable:");
        List(text, Rules.Allow.Where(rule => rule.Permission == Permission.Write).Select(Shown));
        var lent = Lent.SelectMany(lent => lent.Rules.Select(rule => $"{Escaped(rule)} to {lent.Child}")).ToList();
        if (lent.Count > 0) List(text.Append("\nLent out:"), lent);
        var denied = InheritedDenies(Rules.Allow);
        if (denied.Count > 0) List(text.Append("\nDenied:"), denied.Select(rule => Escaped(rule).ToString()));
        return text.ToString();
    }

    private LentRules? HolderOf(string path)
    {
        foreach (var lent in Lent)
            foreach (var rule in lent.Rules)
                if (rule.Permission == Permission.Write && rule.Covers(path)) return lent;
        return null;
    }

    private string? WhyNotLendable(ScopeRule rule, IReadOnlyList<ScopeRule> denied)
    {
        if (ScopePath.Problem(rule.Target) is { } problem) return problem;
        var wanted = (Access)rule.Permission;
        // Denies and guarded names go with what is lent; they are no reason not to lend what is around them.
        var undenied = new ScopePolicy(new(Rules.Allow, [], UnguardedGit: true), [], Generation);
        var points = RuleSpace.Points(RuleSpace.Targets(this).Prepend(rule.Target)).Where(rule.Covers).ToList();
        if (points.FirstOrDefault(point => undenied.AccessAt(point) < wanted) is { } outside)
            return (wanted == Access.Read && Platform.Allow.Any(known => known.Covers(outside))
                ? $"{rule.Target} is in the platform set, which every Pod may read: leave it out" : Outside(rule, undenied, outside)) + "\n" + Summary();
        var here = Decide(rule.Target);
        if (here.DeniedBy is { } deny && here.Access < wanted) return $"{rule.Target} is denied by `{deny}`";
        if (wanted != Access.Write) return null;
        if (IsGuarded(rule.Target)) return $"{rule.Target} may only be read here, not written: git would run what is there";
        var held = points.Where(point => !denied.Any(deny => deny.Covers(point))).Select(point => (point, Decide(point).Holder)).FirstOrDefault(found => found.Holder is not null);
        return held.Holder is { } holder
            ? $"{RuleSpace.Show(held.point).Path} is lent to {holder.Child}; it comes back when {holder.Child} is stopped (StopPod)"
            : null;
    }

    private static string Outside(ScopeRule rule, ScopePolicy undenied, string point)
    {
        var (path, below) = RuleSpace.Show(point);
        var access = undenied.AccessAt(point);
        if (access == Access.Read) return $"{path} may only be read here, not written";
        return below && undenied.AccessAt(rule.Target) != Access.None
            ? $"what lies deeper below {path} is not within your scope; ask with recursive=false or for what you hold"
            : $"{path} is not within your scope";
    }

    private static string Shown(ScopeRule rule) => PathText.Shown(rule.Target) + (rule.Recursive ? "" : " [non-recursive]");

    private static ScopeRule Escaped(ScopeRule rule) => rule with { Target = PathText.Shown(rule.Target) };

    private static void List(StringBuilder text, IEnumerable<string> lines)
    {
        var any = false;
        foreach (var line in lines.Distinct(StringComparer.Ordinal))
        {
            text.Append("\n  - ").Append(PathText.Shown(line));
            any = true;
        }
        if (!any) text.Append("\n  (none)");
    }
}

/// <summary>Why a path may be used as it may.</summary>
/// <param name="DeniedBy">The deny rule that caps it.</param>
/// <param name="Holder">The Pod it is lent to.</param>
/// <param name="Guarded">True if it is what git would run.</param>
internal sealed record AccessDecision(Access Access, ScopeRule? AllowedBy, ScopeRule? DeniedBy, LentRules? Holder, bool Guarded = false);
