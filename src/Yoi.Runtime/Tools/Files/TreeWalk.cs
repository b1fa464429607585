using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>A file (or link) found below a directory. <paramref name="In"/> is open until the walk goes on.</summary>
internal readonly record struct FoundFile(OpenedDirectory In, string Name, NodeKind Kind)
{
    internal string Path => ScopePath.Join(In.Path, Name);
}

/// <summary>
/// All files below a directory, depth first and in the order of names, on handles. Enters no link, no repository's own data and
/// nothing that the scope hides; with <paramref name="ignore"/> nothing that the ignore files name.
/// </summary>
internal sealed class TreeWalk(ScopedFiles files, bool ignore, Func<bool> outOfTime)
{
    private const int MostDepth = 200, MostFiles = 500_000;

    private static readonly string[] RepositoryData = [".git", ".hg", ".svn", ".jj"];

    /// <summary>Names that the scope hides.</summary>
    internal int Hidden { get; private set; }

    /// <summary>Why the walk is not complete; null if it is.</summary>
    internal string? Cut { get; private set; }

    /// <summary>Directories that lie too deep to be entered.</summary>
    internal int TooDeep { get; private set; }

    /// <summary>Walks. The caller owns <paramref name="start"/>.</summary>
    internal IEnumerable<FoundFile> Below(OpenedDirectory start, CancellationToken ct)
    {
        var open = new Stack<Level>();
        var count = 0;
        try
        {
            open.Push(Enter(start, ignore ? RulesAbove(start.Path) : null, start.Entries()));
            while (open.TryPeek(out var level))
            {
                if (level.Entries.Count == 0)
                {
                    Leave(open.Pop(), start);
                    continue;
                }
                ct.ThrowIfCancellationRequested();
                var entry = level.Entries.Dequeue();
                if (RepositoryData.Contains(entry.Name) || entry.Kind == NodeKind.Other) continue;
                if (level.Rules?.Ignores(ScopePath.Join(level.Directory.Path, entry.Name), entry.Kind == NodeKind.Directory) == true) continue;
                if (entry.Kind != NodeKind.Directory)
                {
                    if (++count > MostFiles) Cut = $"stopped after {MostFiles} files";
                    else if (outOfTime()) Cut = "stopped for lack of time";
                    if (Cut is not null) yield break;
                    yield return new(level.Directory, entry.Name, entry.Kind);
                }
                else if (open.Count >= MostDepth) TooDeep++;
                else if (level.Directory.OpenDirectory(entry.Name) is { } below) open.Push(Enter(below, level.Rules, Listed(below)));
            }
        }
        finally
        {
            while (open.TryPop(out var level)) Leave(level, start);
        }
    }

    private Level Enter(OpenedDirectory directory, IgnoreRules? above, IReadOnlyList<DirectoryEntry> entries)
    {
        Hidden += directory.Hidden;
        var own = ignore && entries.Any(entry => IgnoreRules.FileNames.Contains(entry.Name));
        return new(directory, new(entries), own ? IgnoreRules.In(above, directory) : above);
    }

    /// <summary>A directory that its permissions close is as good as empty, as it is for every search tool.</summary>
    private static IReadOnlyList<DirectoryEntry> Listed(OpenedDirectory directory)
    {
        try
        {
            return directory.Entries();
        }
        catch (PathException)
        {
            return [];
        }
    }

    private static void Leave(Level level, OpenedDirectory start)
    {
        if (level.Directory != start) level.Directory.Dispose();
    }

    /// <summary>The ignore files between the repository's root and a directory in it; what the scope hides does not count.</summary>
    private IgnoreRules? RulesAbove(string path)
    {
        var above = new Stack<string>();
        for (var at = path; ; at = Parent(at))
        {
            if (Has(ScopePath.Join(at, ".git"))) break;
            if (at == "/") return null;
            above.Push(Parent(at));
        }
        IgnoreRules? rules = null;
        while (above.TryPop(out var directory))
            try
            {
                using var opened = files.OpenDirectory(directory);
                rules = IgnoreRules.In(rules, opened);
            }
            catch (PathException)
            {
                continue; // Outside the scope.
            }
        return rules;
    }

    private bool Has(string path)
    {
        try
        {
            return files.KindOf(path) is NodeKind.Directory or NodeKind.File;
        }
        catch (PathException)
        {
            return false; // Not there, or not to be seen.
        }
    }

    private static string Parent(string path) => path.LastIndexOf('/') is > 0 and var slash ? path[..slash] : "/";

    private sealed record Level(OpenedDirectory Directory, Queue<DirectoryEntry> Entries, IgnoreRules? Rules);
}
