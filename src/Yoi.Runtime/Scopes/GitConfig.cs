using System.Text;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// As much of git's settings format as it takes to tell what says who and where from what git would run. What is not on the list is taken
/// for something that runs.
/// </summary>
internal static class GitConfig
{
    private static readonly string[] Core =
        ["repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode", "symlinks", "autocrlf", "eol", "safecrlf", "quotepath", "sparsecheckout", "sparsecheckoutcone"];

    /// <summary>Section, key and value of each setting; a subsection is part of the section's name.</summary>
    internal static IEnumerable<(string Section, string Key, string Value)> Read(string text)
    {
        foreach (var line in Lines(text))
            if (line.Key is not null) yield return (line.Section, line.Key, line.Value);
    }

    /// <summary>The settings without those that run something, and the names of what was left out.</summary>
    /// <param name="worktree">Whether <c>core.worktree</c> may lead to this place: git writes there.</param>
    internal static (string Kept, IReadOnlyList<string> Left) Inert(string text, Func<string, bool> worktree)
    {
        var kept = new StringBuilder();
        var left = new List<string>();
        foreach (var line in Lines(text))
        {
            if (line.Key is null || IsInert(line.Section, line.Key, line.Value, worktree)) kept.Append(line.Raw).Append('\n');
            else left.Add($"{line.Section}.{line.Key}");
        }
        return (kept.ToString(), left);
    }

    private static bool IsInert(string section, string key, string value, Func<string, bool> worktree)
    {
        var group = section.Split('.')[0].ToLowerInvariant();
        return (group, key.ToLowerInvariant()) switch
        {
            ("core", "worktree") => value.Length > 0 && value.IndexOfAny(['"', '\\', '#', ';']) < 0 && worktree(value),
            ("core", var name) => Core.Contains(name) && !value.EndsWith('\\'),
            ("remote", "url" or "pushurl") or ("submodule", "url") => !value.Contains("::", StringComparison.Ordinal) && !value.StartsWith('-') && value.IndexOfAny(['"', '\\']) < 0,
            ("remote", "fetch" or "tagopt" or "prune") => !value.EndsWith('\\'),
            ("branch", "remote" or "merge" or "rebase") or ("submodule", "active") or ("user", "name" or "email") => !value.EndsWith('\\'),
            ("extensions", "objectformat" or "refstorage" or "partialclone") => !value.EndsWith('\\'),
            _ => false,
        };
    }

    private static IEnumerable<(string Raw, string Section, string? Key, string Value)> Lines(string text)
    {
        var section = "";
        foreach (var raw in text.Split('\n'))
        {
            var line = raw.Trim();
            if (line.StartsWith('['))
            {
                var end = line.LastIndexOf(']');
                // A setting on the line of its section, or what could be one (a comment may end with a bracket, too): taken for one that runs
                // something, with all that follows in that section.
                var inner = end > 0 ? line[1..end] : line[1..];
                var plain = end == line.Length - 1 && !inner.Contains(']');
                section = plain ? inner.Replace(" \"", ".", StringComparison.Ordinal).TrimEnd('"') : "odd";
                yield return (raw, section, plain ? null : line, "");
            }
            else if (line.Length == 0 || line[0] is '#' or ';') yield return (raw, section, null, "");
            else
            {
                var equals = line.IndexOf('=');
                yield return equals < 0 ? (raw, section, line, "") : (raw, section, line[..equals].TrimEnd(), line[(equals + 1)..].Trim());
            }
        }
    }
}
