using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>What a path may be used for.</summary>
internal enum Access { None, Read, Write }

/// <summary>
/// A scope as it is at one moment: rules and what is lent out. Immutable; knows no file system, no back end.
/// The same object feeds file tools, lending and sandboxes.
/// </summary>
/// <param name="Generation">Of the scope table when this was computed.</param>
internal sealed record ScopePolicy(ScopeRules Rules, IReadOnlyList<LentRules> Lent, long Generation)
{
    /// <summary>What may be done at a resolved, absolute path: highest allow, capped strictly below the lowest deny, no write where lent.</summary>
    internal Access AccessAt(string path) => throw new NotImplementedException(path);

    /// <summary>The same with the reason: the rule that decides, or the child that holds the path.</summary>
    internal AccessDecision Decide(string path) => throw new NotImplementedException(path);

    /// <summary>Null if every rule may be lent from this scope, else the words that say which rule may not and why.</summary>
    internal string? WhyNotLendable(IReadOnlyList<ScopeRule> rules) => throw new NotImplementedException();

    /// <summary>The denies that hold for a child with these rules.</summary>
    internal IReadOnlyList<ScopeRule> InheritedDenies(IReadOnlyList<ScopeRule> rules) => throw new NotImplementedException();

    /// <summary>"Readable:\n  - …\nWritable:\n  - …", as the greeting and the prompt show it; what is lent is marked.</summary>
    internal string Summary() => throw new NotImplementedException();
}

/// <summary>Why a path may be used as it may.</summary>
/// <param name="DeniedBy">The deny rule that caps it.</param>
/// <param name="Holder">The Pod it is lent to.</param>
internal sealed record AccessDecision(Access Access, ScopeRule? AllowedBy, ScopeRule? DeniedBy, LentRules? Holder);
