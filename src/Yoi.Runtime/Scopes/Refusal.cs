namespace Yoi.Runtime.Scopes;

/// <summary>What a model is told when the scope does not allow a path: why, and what is allowed instead or who can help.</summary>
internal static class Refusal
{
    private const int MostRoots = 8;

    /// <summary>Throws unless the resolved path may be used so.</summary>
    /// <exception cref="PathException">It may not.</exception>
    internal static void Require(ScopePolicy policy, string path, Access wanted, string asked)
    {
        if (policy.AccessAt(path) < wanted) throw Of(policy, path, wanted, asked);
    }

    /// <summary>The refusal of a resolved path. Where it leads is told only if the scope lets one see the link.</summary>
    internal static PathException Of(ScopePolicy policy, string path, Access wanted, string asked)
    {
        var plain = ScopePath.Normalize(asked);
        var shown = PathText.Shown(plain);
        if (plain != path && policy.AccessAt(plain) != Access.None) shown += $" (it leads to {PathText.Shown(path)})";
        return new PathException(policy.Decide(path) switch
        {
            { Holder: { } holder } when wanted == Access.Write =>
                $"{shown} is lent to `{holder.Child}`: it can be read here, not written. Ask `{holder.Child}` with SendToPod, or take it back with StopPod.",
            { DeniedBy: { } deny, Access: Access.None } => $"{shown} is denied by the scope (deny {PathText.Shown(deny.ToString())}). {Allowed(policy, wanted)}",
            { DeniedBy: { } deny } => $"{shown} may be read, not written (deny {PathText.Shown(deny.ToString())}). {Allowed(policy, wanted)}",
            { Access: Access.Read } => $"{shown} may be read, not written, in this scope. {Allowed(policy, wanted)}",
            _ => $"path is outside allowed scope: {shown}. {Allowed(policy, wanted)}",
        });
    }

    internal static PathException Process(ScopePolicy policy, string asked) =>
        new($"path is outside allowed scope: {PathText.Shown(asked)} leads into /proc, which the file tools never open. {Allowed(policy, Access.Read)}");

    /// <summary>True if the directory may be read, or something below it may.</summary>
    internal static bool MayPass(ScopePolicy policy, string path)
    {
        if (policy.AccessAt(path) != Access.None) return true;
        foreach (var rule in policy.Allow)
            if (ScopePath.IsAtOrBelow(rule.Target, path) && policy.AccessAt(rule.Target) != Access.None) return true;
        return false;
    }

    private static string Allowed(ScopePolicy policy, Access wanted)
    {
        var rules = policy.Rules.Allow.Where(rule => (Access)rule.Permission >= wanted).Select(rule => PathText.Shown(rule.ToString())).Distinct().ToList();
        if (rules.Count == 0) return wanted == Access.Write ? "Nothing may be written in this scope." : policy.Platform.Allow.Count > 0 ? "Only the platform set may be read." : "This scope is empty.";
        var more = rules.Count > MostRoots ? $" and {rules.Count - MostRoots} more" : "";
        var platform = wanted == Access.Read && policy.Platform.Allow.Count > 0 ? ", and the platform set" : "";
        return $"Allowed: {string.Join(", ", rules.Take(MostRoots))}{more}{platform}.";
    }
}
