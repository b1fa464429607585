using System.Text;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Instructions found in an <c>AGENTS.md</c>, and what should be said about them.</summary>
internal sealed record AgentsFile(string Path, string Text, string? Warning);

/// <summary>
/// Finds the project's instructions: <c>AGENTS.md</c> in the working directory and its parents, through the same door as every
/// path a model names, so only within the scope. Outermost first, so that the nearest has the last word.
/// </summary>
internal static class AgentsMd
{
    /// <summary>Most bytes of one file that are used.</summary>
    internal const int MaxBytes = 65_536;

    internal static IReadOnlyList<AgentsFile> Find(ScopedFiles files, string cwd)
    {
        var found = new List<AgentsFile>();
        for (var directory = cwd; ; directory = Parent(directory))
        {
            if (Read(files, (directory == "/" ? "" : directory) + "/AGENTS.md") is { } file) found.Insert(0, file);
            if (directory is "/" or "") return found;
        }
    }

    private static AgentsFile? Read(ScopedFiles files, string path)
    {
        try
        {
            using var opened = files.OpenRead(path);
            var bytes = ScopedFiles.ReadAll(opened, MaxBytes + 1);
            var text = Encoding.UTF8.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, MaxBytes)));
            return new AgentsFile(opened.Path, text, bytes.Length <= MaxBytes
                ? null : $"AGENTS.md ({path}) exceeded {MaxBytes} bytes; the tail was truncated");
        }
        catch (PathException)
        {
            return null; // Not there, or not the Pod's to read: a project without instructions is no failure.
        }
    }

    private static string Parent(string directory) => directory[..Math.Max(directory.LastIndexOf('/'), 0)] is { Length: > 0 } parent ? parent : "/";
}
