using System.Text;
using System.Text.Json;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Finds files by pattern, the newest first.</summary>
internal sealed class Glob(ScopedFiles files, TimeProvider time) : FileTool(files, "Glob")
{
    private const int MostShown = 1000;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    protected override string PathOf(JsonElement arguments) =>
        Arguments.Peek(arguments, "pattern") is ['/', ..] pattern ? GlobPattern.SplitLiteral(pattern).Directory : Arguments.Peek(arguments, "path") ?? "";

    protected override Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct)
    {
        var pattern = arguments.Text("pattern");
        if (pattern.Length == 0) throw new ToolFailure("the pattern is empty; **/* finds all files.");
        var (prefix, rest) = GlobPattern.SplitLiteral(pattern);
        if (rest.Length == 0) rest = "**/*"; // "src/" means what is in it.
        if (rest.Split('/').Contains("..")) throw new ToolFailure("`..` cannot come after a wildcard in a pattern; say where to start with `path`.");
        var anchored = prefix.Length > 0 || rest.Contains('/');
        var compiled = GlobPattern.Parse(anchored ? "/" + rest : rest);
        var start = prefix.StartsWith('/') ? prefix : Join(arguments.TextOrNull("path"), prefix);

        var started = time.GetTimestamp();
        var walk = new TreeWalk(Files, ignore: false, () => time.GetElapsedTime(started) > Limit);
        var found = new List<(string Path, DateTimeOffset Modified)>();
        using (var directory = Files.OpenDirectory(start))
            foreach (var file in walk.Below(directory, ct))
            {
                var path = file.Path;
                if (compiled.Matches(path.AsSpan(directory.Path.Length == 1 ? 1 : directory.Path.Length + 1)) && file.In.ModifiedOf(file.Name) is { } modified)
                    found.Add((path, modified));
            }
        return Task.FromResult(Outcome(found, walk, pattern));
    }

    private ToolOutcome Outcome(List<(string Path, DateTimeOffset Modified)> found, TreeWalk walk, string pattern)
    {
        var notes = new StringBuilder();
        if (walk.Cut is { } cut) notes.Append($"; {cut}: give a narrower pattern or path");
        if (walk.TooDeep > 0) notes.Append($"; {walk.TooDeep} very deep directories were left out");
        if (walk.Hidden > 0) notes.Append($"; {walk.Hidden} name(s) left out that the scope does not show");
        if (found.Count == 0) return new($"No files match {PathText.Shown(pattern)}{notes}");
        var text = new CappedText();
        var shown = found.OrderByDescending(file => file.Modified).ThenBy(file => file.Path, StringComparer.Ordinal)
            .Take(MostShown).TakeWhile(file => text.TryAdd(Files.Shown(file.Path))).Count();
        if (shown < found.Count) notes.Append($"; the {shown} newest are shown: narrow the pattern for the others");
        return new($"Found {found.Count} file(s){notes}", text.ToString());
    }

    private static string Join(string? path, string prefix) =>
        string.IsNullOrEmpty(path) ? (prefix.Length == 0 ? "." : prefix) : prefix.Length == 0 ? path : path.TrimEnd('/') + "/" + prefix;
}
