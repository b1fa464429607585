using System.Text;
using Yoi.Runtime.Tools;

namespace Yoi.Runtime.Turns;

/// <summary>A file of instructions that was found on the way from the working directory up.</summary>
internal sealed record Instructions(string Path, string Text);

/// <summary>Renders the system prompt, once in a Pod's life; the journal keeps the result.</summary>
internal static class SystemPrompt
{
    private const string NoShell = "There is no shell.";
    private const string Shell = "Bash runs commands in a sandbox that holds your scope: what is not in it does not exist there. Build and test with it; for reading and changing files prefer the file tools.";

    internal static string Render(string name, string cwd, string scope, string? role, IReadOnlyList<Instructions> agents, bool shell = false)
    {
        var files = new StringBuilder();
        foreach (var file in agents) files.Append($"\nInstructions of the project, from {file.Path}:\n\n{file.Text.Trim()}\n");
        // In one pass, so that what is filled in is never taken for a placeholder itself.
        var parts = Resources.Text("Turns/SystemPrompt").Split("{{");
        var prompt = new StringBuilder(parts[0]);
        foreach (var part in parts[1..])
        {
            var end = part.IndexOf("}}", StringComparison.Ordinal);
            prompt.Append(part[..end] switch
            {
                "name" => name,
                "cwd" => cwd,
                "scope" => scope,
                "shell" => shell ? Shell : NoShell,
                "role" => role is null ? "" : $"\nYour role:\n\n{role.Trim()}\n",
                "agents" => files.ToString(),
                var other => throw new InvalidOperationException($"SystemPrompt.md has {{{{{other}}}}}, which nothing fills in"),
            }).Append(part.AsSpan(end + 2));
        }
        return prompt.ToString().TrimEnd() + "\n";
    }
}
