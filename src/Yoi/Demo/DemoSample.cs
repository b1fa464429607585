namespace Yoi.Demo;

/// <summary>
/// The demo's files, embedded from this folder: the repository as it begins (<c>textkit</c>), what is different in it at the end
/// (<c>finished</c>), and what the models say (<c>script.jsonc</c>).
/// </summary>
internal static class DemoSample
{
    private const string Begin = "Demo/textkit/", End = "Demo/finished/", Script = "Demo/script.jsonc";

    /// <summary>Paths in the repository and texts, as it begins.</summary>
    internal static IReadOnlyDictionary<string, string> AtFirst { get; } = Below(Begin);

    /// <summary>The same, as it is when the job is done.</summary>
    internal static IReadOnlyDictionary<string, string> AtLast { get; } =
        AtFirst.Concat(Below(End)).GroupBy(file => file.Key).ToDictionary(file => file.Key, file => file.Last().Value, StringComparer.Ordinal);

    /// <summary>Writes the repository and the script, which lies outside of it.</summary>
    internal static void CopyTo(string repository, string script)
    {
        foreach (var (path, text) in AtFirst)
        {
            var file = Path.Combine(repository, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, text);
        }
        File.WriteAllText(script, Text(Script));
    }

    private static Dictionary<string, string> Below(string folder) => typeof(DemoSample).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(folder, StringComparison.Ordinal))
        .ToDictionary(name => name[folder.Length..], Text, StringComparer.Ordinal);

    private static string Text(string resource)
    {
        using var reader = new StreamReader(typeof(DemoSample).Assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
