using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The denies that every scope has unless the human takes them away: Yoi's own directories and credential stores are not read;
/// what would execute later outside a sandbox is not written. Rules, like all others: exact paths, no patterns.
/// </summary>
internal static class BuiltInDenies
{
    private static readonly string[] Credentials =
    [
        ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".oci", ".password-store", ".netrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc",
        ".git-credentials", ".pgpass", ".my.cnf", ".vault-token", ".terraform.d/credentials.tfrc.json", ".docker/config.json",
        ".config/gh", ".config/git/credentials", ".config/gcloud", ".config/pip", ".config/hub", ".config/op", ".config/rclone", ".config/NuGet",
        ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".nuget/NuGet/NuGet.Config", ".m2/settings.xml",
        ".gradle/gradle.properties", ".local/share/keyrings", ".mozilla", ".config/google-chrome", ".config/chromium",
        ".claude/.credentials.json", ".codex/auth.json", ".gemini/oauth_creds.json", ".dotnet/corefx", ".local/share/uv/credentials", ".config/pnpm",
        ".config/containers", ".config/composer/auth.json", ".composer/auth.json", ".bundle/config", ".cache/huggingface/token", ".huggingface",
    ];

    private static readonly string[] RunLater =
    [
        ".git/hooks", ".git/config", ".git/config.worktree", ".git/commondir", ".yoi", ".vscode", ".idea", ".claude", ".codex", ".cursor",
        ".gemini", ".mcp.json", ".envrc", ".husky", ".devcontainer", "yoi.jsonc",
    ];

    // What a shell, a login or a desktop runs by itself. Denied where it lies below what may be written, not where it was named.
    private static readonly string[] RunAtHome =
    [
        ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout",
        ".config/fish", ".config/autostart", ".config/systemd", ".config/environment.d", ".local/share/systemd", ".local/bin", "bin", ".cargo/bin",
        ".xprofile", ".xsession", ".xsessionrc", ".xinitrc", ".pam_environment", ".gitconfig", ".config/git", ".vimrc", ".vim", ".config/nvim", ".emacs",
        ".emacs.d", ".tmux.conf", ".config/tmux", ".inputrc", ".cargo/config.toml", ".config/yoi",
    ];

    /// <summary>The denies for a scope with these allow rules (resolved).</summary>
    /// <param name="home">The user's home; null if there is none.</param>
    internal static IReadOnlyList<ScopeRule> For(YoiDirectories directories, string? home, IReadOnlyList<ScopeRule> allow)
    {
        List<ScopeRule> denies = [.. Secrets(directories, home, allow)];
        foreach (var root in allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target))
            denies.AddRange(Below(root, home).Concat(AtHome(home, root)).SelectMany(BothSpellings).Select(path => new ScopeRule(path, Permission.Write)));
        return [.. denies.Distinct()];
    }

    /// <summary>
    /// The program that every child Pod and keeper is started from, outside any sandbox: not written, whatever the human allows. Where it
    /// is no single file, all that lies beside it.
    /// </summary>
    internal static IReadOnlyList<ScopeRule> OwnProgram(IReadOnlyList<ScopeRule> allow) => Program(Environment.ProcessPath, AppContext.BaseDirectory, allow);

    internal static IReadOnlyList<ScopeRule> Program(string? executable, string directory, IReadOnlyList<ScopeRule> allow)
    {
        IEnumerable<string> places = [.. executable is null ? [] : (string[])[executable], .. File.Exists(ScopePath.Join(directory, "yoi.dll")) ? (string[])[ScopePath.Normalize(directory)] : []];
        return [.. places.SelectMany(BothSpellings).Select(path => new ScopeRule(path, Permission.Write)).Where(deny => allow.Any(rule => RuleSpace.Overlap(deny, rule))).Distinct()];
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

    private static IEnumerable<string> Below(string root, string? home)
    {
        foreach (var name in RunLater) yield return ScopePath.Join(root, name);
        var git = Path.GetFileName(root) == ".git" ? root : ScopePath.Join(root, ".git");
        // A root within a repository may hold what the settings or hooks of that one lead to.
        foreach (var path in new[] { git, GitNames.Around(root) ?? git }.Distinct().SelectMany(one => GitNames.Of(one, home)).Where(path => path != root && ScopePath.IsAtOrBelow(path, root))) yield return path;
    }

    private static IEnumerable<string> AtHome(string? home, string root) => home is null ? []
        : RunAtHome.Select(name => ScopePath.Join(ScopePath.Normalize(home), name)).Where(path => path != root && ScopePath.IsAtOrBelow(path, root));

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
