using System.Text;
using Yoi.Runtime.Tools;

namespace Yoi.Runtime.Turns;

/// <summary>A file of instructions that was found on the way from the working directory up.</summary>
internal sealed record Instructions(string Path, string Text);

/// <summary>Renders the system prompt, once in a Pod's life; the journal keeps the result.</summary>
internal static class SystemPrompt
{
    internal static string Render(string name, string cwd, string scope, string? role, IReadOnlyList<Instructions> agents)
    {
        var files = new StringBuilder();
        foreach (var file in agents) files.Append($"\nInstructions of the project, from {file.Path}:\n\n{file.Text.Trim()}\n");
        return Resources.Text("Turns/SystemPrompt")
            .Replace("{{name}}", name, StringComparison.Ordinal)
            .Replace("{{cwd}}", cwd, StringComparison.Ordinal)
            .Replace("{{scope}}", scope, StringComparison.Ordinal)
            .Replace("{{role}}", role is null ? "" : $"\nYour role:\n\n{role.Trim()}\n", StringComparison.Ordinal)
            .Replace("{{agents}}", files.ToString(), StringComparison.Ordinal)
            .TrimEnd() + "\n";
    }
}
