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
            var path = ScopePath.Join(directory, "AGENTS.md");
            if (Read(files, path) is { } file) found.Insert(0, file);
            if (directory is "/" or "") return found;
        }
    }

    private static AgentsFile? Read(ScopedFiles files, string path)
    {
        try
        {
            // Mostly there is none, and a refusal for each parent costs every start of a Pod its exceptions.
            if (!files.MayBeThere(path)) return null;
            using var opened = files.OpenRead(path);
            var shown = PathText.Shown(path);
            var bytes = ScopedFiles.ReadAll(opened, MaxBytes + 1);
            if (TextFormat.BinaryKind(bytes) is { } kind) return new AgentsFile(shown, "", $"AGENTS.md ({shown}) is a binary file ({kind}); it was left out");
            var text = Encoding.UTF8.GetString(bytes.AsSpan(0, Whole(bytes)));
            return new AgentsFile(shown, text, bytes.Length <= MaxBytes ? null : $"AGENTS.md ({shown}) exceeded {MaxBytes} bytes; the tail was truncated");
        }
        catch (PathException)
        {
            return null; // Not there, or not the Pod's to read: a project without instructions is no failure.
        }
    }

    /// <summary>As much as is used, without half a character at its end.</summary>
    private static int Whole(byte[] bytes)
    {
        if (bytes.Length <= MaxBytes) return bytes.Length;
        var end = MaxBytes;
        while (end > MaxBytes - 4 && (bytes[end] & 0xc0) == 0x80) end--;
        return end;
    }

    private static string Parent(string directory) => directory[..Math.Max(directory.LastIndexOf('/'), 0)] is { Length: > 0 } parent ? parent : "/";
}
