using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Searches the content of files. One walk, several searching tasks, nothing started and no configuration read but the ignore files.</summary>
internal sealed class Grep(ScopedFiles files, TimeProvider time) : FileTool(files, "Grep")
{
    private const int DefaultHead = 250;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly int Searchers = Math.Clamp(Environment.ProcessorCount, 2, 8);

    protected override string PathOf(JsonElement arguments) => Arguments.Peek(arguments, "path") ?? "";

    protected override async Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct)
    {
        var mode = arguments.Choice("output_mode", "files_with_matches", "files_with_matches", "content", "count");
        var around = arguments.Number("-C", 0, 100) ?? 0;
        var pattern = SearchPattern.Compile(arguments.Text("pattern"), arguments.Flag("-i"), arguments.Flag("multiline"));
        var search = new FileSearch(pattern, arguments.Number("-B", 0, 100) ?? around, arguments.Number("-A", 0, 100) ?? around, mode switch
        {
            "content" => Wanted.Lines,
            "count" => Wanted.Count,
            _ => Wanted.Existence,
        });
        var names = new NameFilter(arguments.TextOrNull("glob"), arguments.TextOrNull("type"));
        var report = new GrepReport(Files, mode, arguments.Flag("-n", true), arguments.Number("offset") ?? 0, arguments.Number("head_limit") ?? DefaultHead);

        var path = arguments.TextOrNull("path") is { Length: > 0 } given ? given : ".";
        if (Files.KindOf(path) != NodeKind.Directory)
        {
            using var file = Files.OpenRead(path);
            return report.Outcome(search.Search(file) is { } only ? [only] : [], search, null);
        }

        var started = time.GetTimestamp();
        var walk = new TreeWalk(Files, ignore: true, () => time.GetElapsedTime(started) > Limit);
        var hits = new ConcurrentBag<FileHits>();
        using (var directory = Files.OpenDirectory(path))
            await Parallel.ForEachAsync(
                Choose(walk, directory, names, ct),
                new ParallelOptions { MaxDegreeOfParallelism = Searchers, CancellationToken = ct },
                (found, _) =>
                {
                    try
                    {
                        using var file = found.In.OpenFile(found.Name);
                        if (file is not null && search.Search(file) is { } hit) hits.Add(hit);
                    }
                    finally
                    {
                        found.In.LetGo();
                    }
                    return ValueTask.CompletedTask;
                });
        return report.Outcome(hits, search, walk);
    }

    /// <summary>One by one as the searching tasks, which open them, ask for them. The directory of each is held for the one who gets it.</summary>
    private static IEnumerable<FoundFile> Choose(TreeWalk walk, OpenedDirectory directory, NameFilter names, CancellationToken ct)
    {
        var below = directory.Path.Length == 1 ? 1 : directory.Path.Length + 1;
        foreach (var found in walk.Below(directory, ct))
        {
            if (found.Kind != NodeKind.File || !(names.TakesAll || names.Accepts(found.Path.AsSpan(below)))) continue;
            found.In.Hold();
            yield return found;
        }
    }
}

/// <summary>Which files are searched, by <c>glob</c> (several with commas or spaces; <c>!</c> leaves out) and <c>type</c>.</summary>
internal sealed class NameFilter
{
    private readonly List<GlobPattern> _wanted = [], _unwanted = [];
    private readonly GlobPattern? _type;

    internal NameFilter(string? globs, string? type)
    {
        foreach (var glob in Split(globs ?? ""))
            if (glob[0] == '!') _unwanted.Add(GlobPattern.Parse(glob[1..]));
            else _wanted.Add(GlobPattern.Parse(glob));
        _type = string.IsNullOrEmpty(type) ? null : FileTypes.Pattern(type);
    }

    internal bool TakesAll => _type is null && _wanted.Count == 0 && _unwanted.Count == 0;

    internal bool Accepts(ReadOnlySpan<char> path)
    {
        if (_type is not null && !_type.Matches(path)) return false;
        foreach (var glob in _unwanted)
            if (glob.Matches(path)) return false;
        if (_wanted.Count == 0) return true;
        foreach (var glob in _wanted)
            if (glob.Matches(path)) return true;
        return false;
    }

    private static IEnumerable<string> Split(string globs)
    {
        var depth = 0;
        var part = new StringBuilder();
        foreach (var c in globs + " ")
        {
            depth += c == '{' ? 1 : c == '}' ? -1 : 0;
            if (depth > 0 || c is not (' ' or ',')) part.Append(c);
            else
            {
                if (part.Length > 0 && part.ToString() != "!") yield return part.ToString();
                part.Clear();
            }
        }
        if (part.Length > 0) yield return part.ToString().Trim();
    }
}
