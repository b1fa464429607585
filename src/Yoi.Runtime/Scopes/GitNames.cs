using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Where git finds what it runs: hooks, and settings that name programs. Two views of the same thing: by a path's letters alone, for every
/// repository that there is or may be, and what one repository that is there names.
/// </summary>
internal static class GitNames
{
    private const int MostSettings = 1 << 20, MostIncludes = 64, MostNamed = 8, MostLinks = 32, MostModules = 32, MostLooked = 256, MostEntries = 4_096;
    private const byte DirectoryKind = 4, LinkKind = 10;

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
    /// What may not be written in one repository: its hooks and settings, there or not, what its settings name as hooks or as more settings, where
    /// a hook that is a link leads, and the same of its submodules and worktrees that are there: as many as mounts may lie on. All of them are
    /// found as repositories of their own, see <see cref="RepositoryIndex"/>.
    /// </summary>
    /// <param name="git">Its own directory, or the file that leads there: then that file.</param>
    /// <param name="home">The user's home, for settings that begin with <c>~/</c>; null if it is not known.</param>
    internal static IEnumerable<string> Of(string git, string? home)
    {
        // Of a worktree and a submodule it is a file that says which repository, and so which settings and hooks, git takes.
        if (File.Exists(git)) yield return git;
        foreach (var path in WithLinks(ScopePath.Join(git, "hooks"))) yield return path;
        foreach (var name in Settings) yield return ScopePath.Join(git, name);
        foreach (var path in NamedInSettings(git, home)) yield return path;
        foreach (var path in Submodules(ScopePath.Join(git, "modules"))) yield return path;
        foreach (var worktree in Children(ScopePath.Join(git, "worktrees")).Take(MostModules)) foreach (var name in new[] { "config.worktree", "commondir" }) yield return ScopePath.Join(worktree, name);
    }

    /// <summary>The repository that a directory is in; null if it is in none.</summary>
    internal static string? Around(string path)
    {
        for (var at = path; ; at = Door.DirectoryOf(at))
        {
            if (Path.Exists(ScopePath.Join(at, ".git"))) return ScopePath.Join(at, ".git");
            if (at == "/") return null;
        }
    }

    /// <summary>Where git runs what is named by a relative path.</summary>
    internal static string TreeOf(string git) => Door.NameOf(git) == ".git" ? Door.DirectoryOf(git) : git;

    /// <summary>The files of a repository's settings; of a worktree and a submodule those of the repository that its file leads to.</summary>
    internal static IEnumerable<string> SettingsOf(string git)
    {
        if (Text(git) is { } link && link.StartsWith("gitdir:", StringComparison.Ordinal)) git = From(Door.DirectoryOf(git), link[7..].Trim());
        if (Text(ScopePath.Join(git, "commondir")) is { } common) yield return ScopePath.Join(From(git, common.Trim()), "config");
        yield return ScopePath.Join(git, "config");
        yield return ScopePath.Join(git, "config.worktree");
    }

    internal static string From(string directory, string path) => ScopePath.Normalize(path.StartsWith('/') ? path : ScopePath.Join(directory, path));

    /// <summary>Where the repository's own settings, and those that they include, have git look for hooks and for more settings.</summary>
    private static IEnumerable<string> NamedInSettings(string git, string? home)
    {
        var (files, seen) = (new Queue<string>(SettingsOf(git)), new HashSet<string>(StringComparer.Ordinal));
        List<string> trees = [TreeOf(git)], hooks = [];
        while (seen.Count < MostIncludes && files.TryDequeue(out var file))
        {
            if (!seen.Add(file) || Text(file) is not { } text) continue;
            foreach (var (name, written) in GitSettings.Read(text).Where(setting => setting.Value.Length > 0))
            {
                var value = home is not null && written.StartsWith("~/", StringComparison.Ordinal) ? ScopePath.Join(home, written[2..]) : written;
                if (name == "core.worktree") trees.Add(From(git, value));
                else if (name == "core.hookspath") hooks.Add(value);
                else if (files.Count < MostIncludes && (name == "include.path" || (name.StartsWith("includeif.", StringComparison.Ordinal) && name.EndsWith(".path", StringComparison.Ordinal))))
                {
                    files.Enqueue(From(Door.DirectoryOf(file), value));
                    foreach (var path in Steps(From(Door.DirectoryOf(file), value))) yield return path;
                }
            }
        }
        // Git takes the last that it reads; which that is, a condition of an include may decide.
        var places = trees.Take(1).Concat(trees.Skip(1).TakeLast(MostNamed)).ToList();
        foreach (var path in hooks.TakeLast(MostNamed).SelectMany(hook => places.Select(tree => From(tree, hook))).Distinct().SelectMany(WithLinks)) yield return path;
    }

    /// <summary>A directory of hooks, and where those of them lead that are links.</summary>
    private static IEnumerable<string> WithLinks(string hooks)
    {
        foreach (var step in Steps(hooks)) yield return step;
        var real = Libc.RealPath(hooks) ?? hooks;
        foreach (var link in Entries(real).Where(entry => entry.Kind == LinkKind).Take(MostLinks))
            foreach (var step in Steps(ScopePath.Join(real, link.Name)).Skip(1)) yield return step;
    }

    /// <summary>The path, and where it leads, link by link: each of them could be made to lead elsewhere.</summary>
    private static IEnumerable<string> Steps(string path)
    {
        var real = Libc.RealPath(path);
        for (var step = 0; step < MostLinks && ScopePath.Problem(path) is null; step++)
        {
            yield return path;
            if (new FileInfo(path).LinkTarget is not { Length: > 0 } target) break;
            path = From(Libc.RealPath(Door.DirectoryOf(path)) ?? Door.DirectoryOf(path), target);
        }
        if (real is not null && real != path && ScopePath.Problem(real) is null) yield return real;
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

    // A submodule's name may have slashes, and submodules have submodules: every directory with a HEAD is a repository.
    private static IEnumerable<string> Submodules(string modules)
    {
        var (open, repositories) = (new Queue<string>([modules]), 0);
        for (var looked = 0; looked < MostLooked && repositories < MostModules && open.TryDequeue(out var above); looked++)
            foreach (var directory in Children(above))
            {
                var repository = File.Exists(ScopePath.Join(directory, "HEAD"));
                open.Enqueue(repository ? ScopePath.Join(directory, "modules") : directory);
                if (!repository || ++repositories > MostModules) continue;
                foreach (var name in new[] { "hooks", "config", "commondir" }) yield return ScopePath.Join(directory, name);
                // The file in the submodule's own directory that leads here: `git status` above follows it.
                foreach (var (name, tree) in GitSettings.Read(Text(ScopePath.Join(directory, "config")) ?? ""))
                    if (name == "core.worktree" && From(directory, tree + "/.git") is var link && ScopePath.Problem(link) is null) yield return link;
            }
    }

    // Without following a link on the way: a command can make many of them, in circles.
    private static IEnumerable<string> Children(string directory) => Entries(directory).Where(entry => entry.Kind == DirectoryKind).Select(entry => ScopePath.Join(directory, entry.Name));

    private static List<(string Name, byte Kind)> Entries(string path)
    {
        if (Libc.RealPath(Door.DirectoryOf(path)) is not { } above) return [];
        using var directory = Door.OpenBeneath(Door.Slash, Door.Below("/", ScopePath.Join(above, Door.NameOf(path))), OpenFlags.ReadOnly | OpenFlags.Directory, out _);
        if (directory is null || Door.IsNoTree(directory)) return [];
        try
        {
            return [.. Door.EntriesOf(directory).Select(entry => entry.Kind != 0 ? entry : (entry.Name, KindOf(Door.StatusOf(directory, entry.Name)))).Take(MostEntries)];
        }
        catch (LinuxException)
        {
            return []; // Gone meanwhile, or of a kind that cannot be listed.
        }
    }

    private static byte KindOf(FileStatus? status) => status is { IsDirectory: true } ? DirectoryKind : status is { IsLink: true } ? LinkKind : (byte)0;
}
