using Yoi.Runtime.Scopes;

namespace Yoi;

/// <summary>
/// Whether git in a Pod would find the repository that the human sees around the working directory: its top and its <c>.git</c> may lie
/// outside the scope, where nothing exists for commands.
/// </summary>
internal static class GitSight
{
    private const int LongestLink = 4096;

    /// <summary>What to say before the start; null if git finds it, or there is none.</summary>
    internal static string? WhyNot(string cwd, ScopePolicy policy)
    {
        for (var top = cwd; top is not null; top = System.IO.Path.GetDirectoryName(top))
        {
            var git = ScopePath.Join(top, ".git");
            if (Directory.Exists(git))
                return Sees(policy, git) ? null : $"git will not find the repository {top} from {cwd}: `--read {top}` lets it look, `--write {top}` commit";
            if (File.Exists(git)) return Linked(top, git, policy);
        }
        return null;
    }

    /// <summary>A linked worktree or a submodule: its files are here, its history is elsewhere.</summary>
    private static string? Linked(string top, string git, ScopePolicy policy)
    {
        if (new FileInfo(git).Length > LongestLink || File.ReadAllText(git).Trim() is not { } text || !text.StartsWith("gitdir: ", StringComparison.Ordinal)) return null;
        var own = System.IO.Path.GetFullPath(text[8..], top);
        var shared = System.IO.Path.Join(own, "commondir") is var link && File.Exists(link) ? System.IO.Path.GetFullPath(File.ReadAllText(link).Trim(), own) : own;
        return Sees(policy, git) && Sees(policy, own) && Sees(policy, shared) ? null
            : $"git will not find the history of {top}, which is in {shared}: `--read {shared}` lets it look, `--write {shared}` commit";
    }

    private static bool Sees(ScopePolicy policy, string path) => policy.AccessAt(ScopeRoots.Resolve(path, "/")) >= Access.Read;
}
