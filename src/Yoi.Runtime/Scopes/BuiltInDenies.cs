using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The denies that every scope has unless the human takes them away: Yoi's own directories and credential stores are not read;
/// what would execute later outside a sandbox is not written. Rules, like all others: exact paths, no patterns.
/// </summary>
internal static class BuiltInDenies
{
    private const int MostSettings = 1 << 20;

    private static readonly string[] Credentials =
    [
        ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".oci", ".password-store", ".netrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc",
        ".git-credentials", ".pgpass", ".my.cnf", ".vault-token", ".terraform.d/credentials.tfrc.json", ".docker/config.json",
        ".config/gh", ".config/git/credentials", ".config/gcloud", ".config/pip", ".config/hub", ".config/op", ".config/rclone", ".config/NuGet",
        ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".nuget/NuGet/NuGet.Config", ".m2/settings.xml",
        ".gradle/gradle.properties", ".local/share/keyrings", ".mozilla", ".config/google-chrome", ".config/chromium",
        ".claude/.credentials.json", ".codex/auth.json",
    ];

    private static readonly string[] RunLater =
    [
        ".git/hooks", ".git/config", ".git/config.worktree", ".git/commondir", ".yoi", ".vscode", ".idea", ".claude", ".codex", ".cursor",
        ".gemini", ".mcp.json", ".envrc", ".husky", ".devcontainer",
    ];

    /// <summary>The denies for a scope with these allow rules (resolved).</summary>
    /// <param name="home">The user's home; null if there is none.</param>
    internal static IReadOnlyList<ScopeRule> For(YoiDirectories directories, string? home, IReadOnlyList<ScopeRule> allow)
    {
        List<ScopeRule> denies = [.. Secrets(directories, home, allow)];
        foreach (var root in allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target))
            denies.AddRange(Below(root).SelectMany(BothSpellings).Select(path => new ScopeRule(path, Permission.Write)));
        return [.. denies.Distinct()];
    }

    /// <summary>Of these, the denies of what nobody reads: Yoi's own directories and credential stores.</summary>
    internal static IReadOnlyList<ScopeRule> Secrets(YoiDirectories directories, string? home, IReadOnlyList<ScopeRule> allow) =>
        [.. SecretPlaces(directories, home).Select(path => new ScopeRule(path, Permission.Read)).Where(deny => allow.Any(rule => RuleSpace.Overlap(deny, rule))).Distinct()];

    /// <summary>Why this directory is none that every Pod may read; null if it may be one. The path is resolved.</summary>
    internal static string? WhyNotPlatform(YoiDirectories directories, string home, string path)
    {
        if (BothSpellings(ScopePath.Normalize(home)).Any(spelled => ScopePath.IsAtOrBelow(spelled, path))) return "it is the home, or holds it";
        if (path is "/etc" or "/var" or "/run" or "/proc" or "/sys" or "/dev" or "/tmp") return "it is no place of toolchains";
        return SecretPlaces(directories, home).FirstOrDefault(secret => ScopePath.IsAtOrBelow(path, secret)) is { } within ? $"{within} is never read" : null;
    }

    private static IEnumerable<string> SecretPlaces(YoiDirectories directories, string? home)
    {
        string[] own = [directories.State, directories.Runtime, directories.Config];
        return own.Concat(home is null ? [] : Credentials.Select(name => ScopePath.Join(ScopePath.Normalize(home), name))).SelectMany(BothSpellings);
    }

    private static IEnumerable<string> Below(string root)
    {
        foreach (var name in RunLater) yield return ScopePath.Join(root, name);
        var git = Path.GetFileName(root) == ".git" ? root : ScopePath.Join(root, ".git");
        // Of a worktree and a submodule it is a file that says which repository, and so which settings and hooks, git takes.
        if (File.Exists(git)) yield return git;
        if (git == root)
            foreach (var name in new[] { "hooks", "config", "config.worktree", "commondir" }) yield return ScopePath.Join(root, name);
        foreach (var path in NamedInSettings(git).Where(path => path != root && ScopePath.IsAtOrBelow(path, root))) yield return path;
        foreach (var path in Submodules(ScopePath.Join(git, "modules")).Where(path => ScopePath.IsAtOrBelow(path, root))) yield return path;
        foreach (var worktree in Children(ScopePath.Join(git, "worktrees"))) foreach (var name in new[] { "config.worktree", "commondir" }) yield return ScopePath.Join(worktree, name);
    }

    /// <summary>Where the repository's own settings have git look for hooks and for more settings.</summary>
    private static IEnumerable<string> NamedInSettings(string git)
    {
        foreach (var line in Lines(ScopePath.Join(git, "config")))
        {
            var words = line[(line.LastIndexOf(']') + 1)..].Split('=', 2, StringSplitOptions.TrimEntries);
            var from = words[0].ToLowerInvariant() switch { "hookspath" => ScopePath.Join(git, ".."), "path" => git, _ => null };
            if (from is null || words.Length < 2) continue;
            var value = words[1].Split(['#', ';'])[0].Trim().Trim('"');
            if (value.Length == 0) continue;
            var path = ScopePath.Normalize(value[0] == '/' ? value : ScopePath.Join(from, value));
            if (ScopePath.Problem(path) is null) yield return path;
        }
    }

    /// <summary>None if it is no regular file that we may read: a pipe would hold us up for ever.</summary>
    private static string[] Lines(string path)
    {
        using var found = Libc.RealPath(path) is { } real ? Door.LookAt(real, out _) : null;
        if (found is null || Door.StatusOf(found) is not { IsFile: true, Size: <= MostSettings } status) return [];
        try
        {
            using var file = Door.Reopen(found, path);
            var bytes = new byte[status.Size];
            return PathText.Decode(bytes.AsSpan(0, RandomAccess.Read(file, bytes, 0))).Split('\n');
        }
        catch (Exception e) when (e is PathException or IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    // A submodule's name may have slashes, and submodules have submodules: every directory with a HEAD is a repository.
    private static IEnumerable<string> Submodules(string modules, int depth = 0)
    {
        if (depth > 8) yield break;
        foreach (var directory in Children(modules))
        {
            var repository = File.Exists(ScopePath.Join(directory, "HEAD"));
            if (repository)
            {
                foreach (var name in new[] { "hooks", "config", "commondir" }) yield return ScopePath.Join(directory, name);
                // The file in the submodule's own directory that leads here: `git status` above follows it.
                foreach (var words in Lines(ScopePath.Join(directory, "config")).Select(line => line.Split('=', 2, StringSplitOptions.TrimEntries)))
                    if (words is ["worktree", var tree] && ScopePath.Normalize(ScopePath.Join(directory, tree + "/.git")) is var link && ScopePath.Problem(link) is null) yield return link;
            }
            foreach (var path in Submodules(repository ? ScopePath.Join(directory, "modules") : directory, depth + 1)) yield return path;
        }
    }

    private static IEnumerable<string> Children(string directory) =>
        Directory.Exists(directory) ? Directory.EnumerateDirectories(directory) : [];

    // Where a name is a link, both it and what it leads to are denied.
    private static IEnumerable<string> BothSpellings(string path)
    {
        yield return path;
        string resolved;
        try
        {
            resolved = ScopeRoots.Resolve(path, "/");
        }
        catch (ScopeException)
        {
            yield break; // A loop or a place we may not look into: its own name must do.
        }
        if (resolved != path) yield return resolved;
    }
}
