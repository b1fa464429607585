using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// The ignore files that hold in a directory: its own and those above it, the nearest first. Of one file the last line that matches
/// decides; <c>!</c> takes a path back in.
/// </summary>
/// <param name="Directory">That the lines are relative to.</param>
internal sealed record IgnoreRules(IgnoreRules? Above, string Directory, IReadOnlyList<IgnoreRules.Line> Lines)
{
    /// <summary>Read in this order: the later one is stronger.</summary>
    internal static readonly string[] FileNames = [".gitignore", ".ignore"];

    private const int LargestFile = 1 << 20;

    internal sealed record Line(GlobPattern Pattern, bool TakesBack, bool DirectoriesOnly);

    /// <summary>With the lines of a directory's own ignore files, if it has any.</summary>
    internal static IgnoreRules? In(IgnoreRules? above, OpenedDirectory directory)
    {
        var lines = new List<Line>();
        foreach (var name in FileNames)
        {
            using var file = directory.OpenFile(name);
            if (file is not null) lines.AddRange(Parse(file));
        }
        return lines.Count == 0 ? above : new(above, directory.Path, lines);
    }

    internal static IEnumerable<Line> Parse(OpenedFile file) => Parse(System.Text.Encoding.UTF8.GetString(ScopedFiles.ReadAll(file, LargestFile)));

    internal static IEnumerable<Line> Parse(string text)
    {
        foreach (var raw in text.TrimStart('\ufeff').Split('\n'))
        {
            var line = TrimEnd(raw.TrimEnd('\r'));
            if (line.Length == 0 || line[0] == '#') continue;
            var takesBack = line[0] == '!';
            if (takesBack) line = line[1..];
            else if (line.StartsWith("\\!", StringComparison.Ordinal) || line.StartsWith("\\#", StringComparison.Ordinal)) line = line[1..];
            var directoriesOnly = line.EndsWith('/');
            line = line.TrimEnd('/');
            if (line.Length == 0) continue;
            yield return new(GlobPattern.ForIgnore(line, anchored: line.Contains('/')), takesBack, directoriesOnly);
        }
    }

    /// <summary>True if the path, which lies below <see cref="Directory"/>, is ignored by itself (its parents were asked before).</summary>
    internal bool Ignores(string path, bool isDirectory)
    {
        for (var rules = this; rules is not null; rules = rules.Above)
        {
            var relative = path.AsSpan(rules.Directory.Length == 1 ? 1 : rules.Directory.Length + 1);
            for (var i = rules.Lines.Count - 1; i >= 0; i--)
            {
                var line = rules.Lines[i];
                if ((isDirectory || !line.DirectoriesOnly) && line.Pattern.Matches(relative)) return !line.TakesBack;
            }
        }
        return false;
    }

    /// <summary>Spaces at the end do not count unless the last one is escaped.</summary>
    private static string TrimEnd(string line)
    {
        var end = line.Length;
        while (end > 0 && line[end - 1] is ' ' or '\t' && !(end > 1 && line[end - 2] == '\\')) end--;
        return line[..end];
    }
}
