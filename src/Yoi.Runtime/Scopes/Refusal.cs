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
            { Guarded: true } when wanted == Access.Write => Guarded(shown),
            { DeniedBy: { } deny, Access: Access.None } => $"{shown} is denied by the scope (deny {PathText.Shown(deny.ToString())}). {Allowed(policy, wanted)}",
            { DeniedBy: { } deny } => $"{shown} may be read, not written (deny {PathText.Shown(deny.ToString())}). {Allowed(policy, wanted)}",
            { Access: Access.Read } => $"{shown} may be read, not written, in this scope. {Allowed(policy, wanted)}",
            _ => $"path is outside allowed scope: {shown}. {Allowed(policy, wanted)}",
        });
    }

    /// <summary>A file may not be written where git would take it for a hook, a setting or a repository, though no rule names it.</summary>
    /// <param name="path">The resolved path; where it ends, a file will be.</param>
    /// <exception cref="PathException">It may not.</exception>
    internal static void RequireNoGit(ScopePolicy policy, string path, string asked)
    {
        if (policy.Rules.UnguardedGit) return;
        var name = Door.NameOf(path);
        if (name == ".git" || (name == "HEAD" && !path.Contains("/.git/", StringComparison.Ordinal))) throw new PathException(Guarded(PathText.Shown(asked)));
        for (var above = Door.DirectoryOf(path); policy.AccessAt(above) == Access.Write; above = Door.DirectoryOf(above))
        {
            foreach (var git in new[] { above, ScopePath.Join(above, ".git") })
                if (IsGit(git) && GitNames.Of(git, null).Concat(GitUnfinished.Names.Select(name => ScopePath.Join(git, name))).Any(denied => ScopePath.IsAtOrBelow(path, denied))) throw new PathException(Guarded(PathText.Shown(asked)));
            if (above == "/") return;
        }
    }

    /// <summary>What has a HEAD, or what its worktrees lead git to: that needs none.</summary>
    private static bool IsGit(string path) =>
        File.Exists(ScopePath.Join(path, "HEAD")) || (Directory.Exists(ScopePath.Join(path, "worktrees")) && Directory.Exists(ScopePath.Join(path, "objects")));

    private static string Guarded(string shown) =>
        $"{shown} may be read, not written: git on the host would run what is there, or look for it there. Tell the user what to change (`git config …`), or let a command make a new repository with `git init` or `git clone`.";

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
