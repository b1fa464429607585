using System.Text.RegularExpressions;

namespace Yoi.Tests.Structure;

/// <summary>Who may name whom: the house rules of ARCHITECTURE.md, as data and as a check of one file.</summary>
internal static partial class Rooms
{
    /// <summary>Every room may also name itself, Linux and Yoi.Protocol. Files at the root (PodHost) may name everything.</summary>
    internal static readonly IReadOnlyDictionary<string, string[]> MayName = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["Socket"] = ["Control", "Journal"],
        ["Control"] = ["Turns", "Delivery", "Journal"],
        ["Turns"] = ["Models", "Tools", "Journal"],
        ["Tools"] = ["Scopes", "Sandbox", "Spawning", "Delivery", "Journal"],
        ["Spawning"] = ["Scopes", "Sandbox", "Configuration", "Journal"],
        ["Delivery"] = ["Journal"],
        ["Sandbox"] = ["Scopes"],
        ["Configuration"] = ["Scopes"],
        ["Scopes"] = ["Journal"],
        ["Journal"] = [],
        ["Models"] = [],
        ["Linux"] = [],
    };

    private const string Root = "src/Yoi.Runtime/";

    /// <summary>The room of a file of Yoi.Runtime; null for the root, which composes everything.</summary>
    internal static string? Of(string path) =>
        path.IndexOf('/', Root.Length) is > 0 and var slash ? path[Root.Length..slash] : null;

    /// <summary>Types declared in each room, so that a half-qualified name (<c>Scopes.ScopeTable</c>) is seen, too.</summary>
    internal static ILookup<string, string> Types(IEnumerable<SourceFile> runtime) => runtime
        .Where(file => Of(file.Path) is not null)
        .SelectMany(file => DeclaredTypes(file).Select(type => (Room: Of(file.Path)!, type)))
        .ToLookup(pair => pair.Room, pair => pair.type, StringComparer.Ordinal);

    internal static IEnumerable<string> DeclaredTypes(SourceFile file) => Declaration().Matches(file.Code).Select(match => match.Groups["name"].Value);

    /// <summary>What a file of Yoi.Runtime names and may not.</summary>
    internal static IEnumerable<string> Trespasses(SourceFile file, ILookup<string, string> types)
    {
        if (Of(file.Path) is not { } room) yield break;
        var allowed = MayName.TryGetValue(room, out var rooms) ? rooms : [];
        foreach (var (named, index) in Named(file, types))
            if (named != room && named != "Linux" && !allowed.Contains(named))
                yield return $"{file.Path}:{file.LineOf(index)}: {room} names {named}; it may name {string.Join(", ", allowed.DefaultIfEmpty("nothing"))}";
    }

    private static IEnumerable<(string Room, int Index)> Named(SourceFile file, ILookup<string, string> types)
    {
        foreach (Match match in Qualified().Matches(file.Code))
            yield return (match.Groups["room"].Value, match.Index);
        foreach (Match match in HalfQualified().Matches(file.Code))
            if (match.Groups["name"].Captures.Any(name => types[match.Groups["room"].Value].Contains(name.Value))) yield return (match.Groups["room"].Value, match.Index);
    }

    [GeneratedRegex(@"\bYoi\.Runtime\.(?<room>\w+)")]
    private static partial Regex Qualified();

    [GeneratedRegex(@"(?<![\w.])(?:Runtime\.)?(?<room>[A-Z]\w+)(?:\.(?<name>[A-Z]\w+)){1,2}")]
    private static partial Regex HalfQualified();

    [GeneratedRegex(@"\b(?:class|struct|interface|enum|record(?:\s+(?:class|struct))?)\s+(?<name>[A-Z]\w*)")]
    private static partial Regex Declaration();
}
