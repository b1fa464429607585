using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Where git finds what it runs: hooks, and settings that name programs. Two views of the same thing: by a path's letters alone, for every
/// repository that there is or may be, and what one repository that is there names.
/// </summary>
internal static class GitNames
{
    private const int MostSettings = 1 << 20, DeepestModules = 8;

    /// <summary>What lies in a repository's own directory, besides its hooks, and says what git runs or where it looks further.</summary>
    internal static readonly IReadOnlyList<string> Settings = ["config", "config.worktree", "commondir"];

    /// <summary>
    /// True for hooks and settings of any repository by its name <c>.git</c>, its worktrees and submodules: <c>…/.git/hooks/…</c>,
    /// <c>…/.git/config</c>, <c>…/.git/modules/…/config</c>. Knows no file system.
    /// </summary>
    internal static bool IsGuarded(string path)
    {
        for (var at = path.IndexOf("/.git/", StringComparison.Ordinal); at >= 0; at = path.IndexOf("/.git/", at + 1, StringComparison.Ordinal))
            if (IsGuarded(path[(at + 6)..].Split('/'))) return true;
        return false;
    }

    private static bool IsGuarded(ReadOnlySpan<string> below)
    {
        if (below is [] || below[0] == "hooks") return below is not [];
        if (below is [var only]) return Settings.Contains(only);
        if (below[0] == "worktrees") return below is [_, _, var last] && Settings.Contains(last);
        if (below[0] != "modules") return false;
        // A submodule's name may have slashes. Branches are called as anybody likes.
        for (var i = 2; i < below.Length; i++)
        {
            if (below[i] is "refs" or "logs" or "objects") return false;
            if (below[i] == "hooks" || (i == below.Length - 1 && Settings.Contains(below[i]))) return true;
        }
        return false;
    }

    /// <summary>
    /// What may not be written in one repository: its hooks and settings, there or not, what its settings name as hooks or as more settings, and
    /// the same of its submodules and worktrees that are there.
    /// </summary>
    /// <param name="git">Its own directory, or the file that leads there: then that file.</param>
    internal static IEnumerable<string> Of(string git)
    {
        // Of a worktree and a submodule it is a file that says which repository, and so which settings and hooks, git takes.
        if (File.Exists(git)) yield return git;
        yield return ScopePath.Join(git, "hooks");
        foreach (var name in Settings) yield return ScopePath.Join(git, name);
        foreach (var path in NamedInSettings(git)) yield return path;
        foreach (var path in Submodules(ScopePath.Join(git, "modules"))) yield return path;
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

    /// <summary>Null if it is no regular file that we may read: a pipe would hold us up for ever.</summary>
    internal static string? Text(string path)
    {
        using var found = Libc.RealPath(path) is { } real ? Door.LookAt(real, out _) : null;
        if (found is null || Door.StatusOf(found) is not { IsFile: true, Size: <= MostSettings } status) return null;
        try
        {
            using var file = Door.Reopen(found, path);
            var bytes = new byte[status.Size];
            return PathText.Decode(bytes.AsSpan(0, RandomAccess.Read(file, bytes, 0)));
        }
        catch (Exception e) when (e is PathException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string[] Lines(string path) => Text(path)?.Split('\n') ?? [];

    // A submodule's name may have slashes, and submodules have submodules: every directory with a HEAD is a repository.
    private static IEnumerable<string> Submodules(string modules, int depth = 0)
    {
        if (depth > DeepestModules) yield break;
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
}
