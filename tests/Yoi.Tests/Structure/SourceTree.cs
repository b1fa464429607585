using System.Reflection;

namespace Yoi.Tests.Structure;

/// <summary>One C# file: its path below the repository's root, its text, and its code (text without comments and literals).</summary>
internal sealed record SourceFile(string Path, string Text)
{
    private string? _code;

    /// <summary>Same length and lines as <see cref="Text"/>; comments and the insides of literals are blanks.</summary>
    internal string Code => _code ??= CodeText.Strip(Text);

    internal string FileName => System.IO.Path.GetFileName(Path);

    internal int LineOf(int index) => Text.AsSpan(0, index).Count('\n') + 1;

    internal bool IsBelow(string folder) => Path.StartsWith(folder + "/", StringComparison.Ordinal);
}

/// <summary>The files of this repository, as the structure tests read them.</summary>
internal static class SourceTree
{
    private static readonly string[] NotOurs = ["artifacts", "dist", "bin", "obj", ".git", "node_modules", "BenchmarkDotNet.Artifacts"];

    internal static string Root { get; } = FindRoot();

    /// <summary>All C# files of src, tests and bench.</summary>
    internal static IReadOnlyList<SourceFile> CSharp { get; } =
        [.. Files().Where(path => path.EndsWith(".cs", StringComparison.Ordinal)).Select(path => new SourceFile(path, Read(path)))];

    internal static IEnumerable<SourceFile> Below(string folder) => CSharp.Where(file => file.IsBelow(folder));

    internal static string Read(string path) => File.ReadAllText(System.IO.Path.Combine(Root, path));

    /// <summary>Paths below the root of every file that belongs to the project, whatever its kind.</summary>
    internal static IEnumerable<string> Files() => Walk(new DirectoryInfo(Root)).Select(file => System.IO.Path.GetRelativePath(Root, file.FullName));

    private static IEnumerable<FileInfo> Walk(DirectoryInfo directory) =>
        directory.EnumerateDirectories()
            .Where(below => !NotOurs.Contains(below.Name))
            .OrderBy(below => below.Name, StringComparer.Ordinal)
            .SelectMany(Walk)
            .Concat(directory.EnumerateFiles().Where(file => file.Name != ".git").OrderBy(file => file.Name, StringComparer.Ordinal));

    private static string FindRoot()
    {
        var start = System.IO.Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location)!;
        for (var at = new DirectoryInfo(start); at is not null; at = at.Parent)
            if (File.Exists(System.IO.Path.Combine(at.FullName, "Yoi.slnx"))) return at.FullName;
        throw new InvalidOperationException($"no Yoi.slnx above {start}");
    }
}
