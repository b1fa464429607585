using System.Text;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>What was found, as the model reads it: a window of lines, and a summary that says what is outside of it.</summary>
/// <param name="head">Most lines shown; 0 means all.</param>
internal sealed class GrepReport(ScopedFiles files, string mode, bool numbers, int offset, int head)
{
    internal ToolOutcome Outcome(IEnumerable<FileHits> found, FileSearch search, TreeWalk? walk)
    {
        var hits = mode == "files_with_matches"
            ? found.OrderByDescending(file => file.Modified).ThenBy(file => file.Path, StringComparer.Ordinal).ToList()
            : found.OrderBy(file => file.Path, StringComparer.Ordinal).ToList();
        var text = new CappedText();
        var (line, shown, total, full) = (0, 0, 0, false);
        foreach (var one in Lines(hits))
        {
            total++;
            if (full || line++ < offset || (head > 0 && shown == head)) continue;
            if (text.TryAdd(one)) shown++;
            else full = true;
        }
        var summary = new StringBuilder(Found(hits));
        if (shown < total) summary.Append(shown == 0 ? $"; offset {offset} is past the end ({total} lines)" : $"; lines {offset + 1}-{offset + shown} of {total} are shown{More(offset + shown, total)}");
        if (search.Overflowed) summary.Append("; there are too many lines to show all: narrow the pattern");
        if (walk?.Cut is { } cut) summary.Append($"; {cut}: the result is partial, narrow path, glob or type");
        if (walk is { TooDeep: > 0 }) summary.Append($"; {walk.TooDeep} very deep directories were left out");
        if (walk is { Hidden: > 0 }) summary.Append($"; {walk.Hidden} name(s) left out that the scope does not show");
        if (search.TooLarge > 0) summary.Append($"; {search.TooLarge} very large file(s) were not searched");
        if (search.Binary > 0 && (hits.Count == 0 || walk is null)) summary.Append($"; {search.Binary} binary file(s) were not searched");
        return new(summary.ToString(), text.IsEmpty ? null : text.ToString());
    }

    private static string More(int next, int total) => next < total ? $", continue with offset {next}" : "";

    private string Found(List<FileHits> hits)
    {
        if (hits.Count == 0) return "No matches found";
        var lines = hits.Sum(file => (long)file.Count);
        return mode == "files_with_matches" ? $"Found {hits.Count} file(s)" : $"Found {lines} matching line(s) in {hits.Count} file(s)";
    }

    private IEnumerable<string> Lines(List<FileHits> hits)
    {
        var separated = hits.Any(file => file.Lines.Any(line => !line.IsMatch));
        foreach (var file in hits)
        {
            var path = files.Shown(file.Path);
            if (mode == "files_with_matches") yield return path;
            else if (mode == "count") yield return $"{path}:{file.Count}";
            else
                for (var i = 0; i < file.Lines.Count; i++)
                {
                    var line = file.Lines[i];
                    var gap = i > 0 ? line.Number > file.Lines[i - 1].Number + 1 : file != hits[0];
                    if (gap && separated) yield return "--";
                    var mark = line.IsMatch ? ':' : '-';
                    yield return numbers ? $"{path}{mark}{line.Number}{mark}{line.Text}" : $"{path}{mark}{line.Text}";
                }
        }
    }
}
