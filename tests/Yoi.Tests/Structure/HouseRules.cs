using System.Text.RegularExpressions;

namespace Yoi.Tests.Structure;

/// <summary>Rules about one C# file, each a function from the file to what is wrong with it.</summary>
internal static partial class HouseRules
{
    internal const int MaxLines = 400;

    /// <summary>The three boundaries where any exception becomes a result, an ended run or an exit code.</summary>
    private static readonly string[] Boundaries = ["ToolRunner", "PodController", "PodServer", "Program"];

    internal static IEnumerable<string> TooLong(SourceFile file)
    {
        var lines = file.Text.AsSpan().TrimEnd('\n').Count('\n') + 1;
        if (lines > MaxLines) yield return $"{file.Path}: {lines} lines; at most {MaxLines}";
    }

    /// <summary>A file's namespace is its folder. Top-level statements have none.</summary>
    internal static IEnumerable<string> WrongNamespace(SourceFile file)
    {
        if (file.FileName is "Program.cs" && !file.Code.Contains("namespace ", StringComparison.Ordinal)) yield break;
        var folder = file.Path.Split('/')[1..^1];
        if (folder[0] == "Shared") folder[0] = "Yoi.Shared";
        var expected = string.Join('.', folder);
        var found = Namespace().Matches(file.Code).Select(match => match.Groups["name"].Value).ToList();
        if (found.Count != 1 || found[0] != expected) yield return $"{file.Path}: namespace is {string.Join(", ", found.DefaultIfEmpty("missing"))}; the folder says {expected}";
    }

    internal static IEnumerable<string> EmptyNames(SourceFile file) =>
        Rooms.DeclaredTypes(file).Append(file.FileName.Split('.')[0])
            .Where(name => EmptyName().IsMatch(name))
            .Distinct()
            .Select(name => $"{file.Path}: {name} says nothing about its job");

    /// <summary>Path APIs of System.IO, and ways to the kernel and to other programs that need none; what only computes with strings is allowed, and so is everything on handles.</summary>
    internal static IEnumerable<string> PathApis(SourceFile file) => Hits(file, PathApi(), "goes around the one door (ScopedFiles)");

    internal static IEnumerable<string> Sleeps(SourceFile file) => Hits(file, Sleep(), "sleeps; wait for a signal");

    internal static IEnumerable<string> Skips(SourceFile file) => Hits(file, Skip(), "skips");

    /// <summary>Blocks that hide what went wrong: catch-alls outside the boundaries, and empty blocks that do not even say why.</summary>
    internal static IEnumerable<string> Swallowed(SourceFile file)
    {
        foreach (Match match in Catch().Matches(file.Code))
        {
            var where = $"{file.Path}:{file.LineOf(match.Index)}";
            var (start, end) = Block(file.Code, match.Index + match.Length - 1);
            var body = file.Code[start..end].Trim();
            var all = match.Groups["type"].Value is "" or "Exception" or "System.Exception" && !Narrowing().IsMatch(match.Groups["when"].Value);
            if (body.Length == 0 && (all || string.IsNullOrWhiteSpace(file.Text[start..end]))) yield return $"{where}: an exception is swallowed";
            else if (all && !body.EndsWith("throw;", StringComparison.Ordinal) && !Boundaries.Contains(file.FileName.Split('.')[0]))
                yield return $"{where}: a catch-all outside {string.Join(", ", Boundaries)}";
        }
    }

    private static IEnumerable<string> Hits(SourceFile file, Regex what, string why) =>
        what.Matches(file.Code).Select(match => $"{file.Path}:{file.LineOf(match.Index)}: {match.Value} {why}");

    private static (int Start, int End) Block(string code, int brace)
    {
        var depth = 0;
        for (var i = brace; i < code.Length; i++)
        {
            if (code[i] == '{') depth++;
            else if (code[i] == '}' && --depth == 0) return (brace + 1, i);
        }
        return (brace + 1, code.Length);
    }

    [GeneratedRegex(@"^\s*namespace\s+(?<name>[\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"(?:Manager|Helpers?|Util(?:s|ity|ities)?|Service|Impl)$")]
    private static partial Regex EmptyName();

    [GeneratedRegex(@"(?<![\w.])(?:(?:System\.)?IO\.)?(?:(?:File|Directory)\.[A-Z]\w*|(?:FileStream|FileInfo|DirectoryInfo|DriveInfo|FileSystemWatcher|FileSystemEnumerable|StreamReader|StreamWriter)\b|Path\.(?:GetFullPath|GetTempPath|GetTempFileName|Exists|GetRelativePath)\b|Environment\.CurrentDirectory|Libc\.|Process\.Start\b)|\busing\s+(?:static\s+|\w+\s*=\s*)(?:global::)?System\.IO\b")]
    private static partial Regex PathApi();

    [GeneratedRegex(@"\bThread\s*\.\s*Sleep\b|\bTask\s*\.\s*Delay\b|\bSpinWait\b")]
    private static partial Regex Sleep();

    [GeneratedRegex(@"\bSkip\s*=|\bSkipWhen\b|\bSkipUnless\b|\bAssert\s*\.\s*Skip\w*")]
    private static partial Regex Skip();

    [GeneratedRegex(@"\bcatch\s*(?:\(\s*(?<type>[\w.]+)[^)]*\))?\s*(?<when>when\s*\((?>[^()]+|\((?<d>)|\)(?<-d>))*(?(d)(?!))\))?\s*\{")]
    private static partial Regex Catch();

    [GeneratedRegex(@"^when\s*\(\s*(?:\w+ is (?!not\b)|\w+\()")]
    private static partial Regex Narrowing();
}
