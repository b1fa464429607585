using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Tools;

/// <summary>Text that the model reads, embedded from the <c>.md</c> and <c>.schema.json</c> files beside the code.</summary>
internal static class Resources
{
    /// <summary>The text of <c>FOLDER/NAME.md</c>; <paramref name="path"/> is <c>Tools/Files/Read</c>, say.</summary>
    internal static string Text(string path) => Load(path + ".md").Trim();

    /// <summary>A tool's schema from <c>PATH.md</c> (description) and <c>PATH.schema.json</c> (parameters).</summary>
    internal static ToolSchema Schema(string name, string path)
    {
        using var parameters = JsonDocument.Parse(Load(path + ".schema.json"));
        return new ToolSchema(name, Text(path), parameters.RootElement.Clone());
    }

    private static string Load(string path)
    {
        var name = path.Replace('/', '.');
        using var stream = typeof(Resources).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"no embedded resource {name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
