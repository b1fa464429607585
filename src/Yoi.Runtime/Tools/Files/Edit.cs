using System.Text;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// Replaces a passage of a file that was read before and has not changed since. Works on bytes: what is not replaced stays as it
/// is, byte order mark, line ends and broken characters included.
/// </summary>
internal sealed class Edit(ScopedFiles files, FilesSeen seen) : FileTool(files, "Edit")
{
    private const int LargestFile = 64 << 20, ContextLines = 3, MostShown = 40;

    protected override bool Writes => true;

    protected override async Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct)
    {
        var path = arguments.Text("file_path");
        var (old, replacement, all) = (arguments.Text("old_string"), arguments.Text("new_string"), arguments.Flag("replace_all"));
        if (old.Length == 0) throw new ToolFailure("old_string is empty; give the text to replace, or make a new file with Write.");
        if (old == replacement) throw new ToolFailure("old_string and new_string are the same; nothing would change.");

        Edited? edited = null;
        var written = await Files.WriteAsync(
            path,
            existing =>
            {
                if (existing is null) throw new ToolFailure($"{PathText.Shown(Files.Absolute(path))} does not exist; Write makes new files.");
                var content = Content(existing, ct);
                edited = new PassageEdit(content, PathText.Shown(existing.Path)).Apply(old, replacement, all);
                return edited.Content;
            },
            ct);
        seen.Saw(written.Path, FilesSeen.MarkOf(edited!.Content));
        var times = edited.Lines.Count == 1 ? "1 replacement" : $"{edited.Lines.Count} replacements";
        return new($"Edited {PathText.Shown(written.Path)} ({times}, {(edited.Lines.Count == 1 ? "line" : "first at line")} {edited.Lines[0]})", Snippet(edited));
    }

    private byte[] Content(OpenedFile existing, CancellationToken ct)
    {
        seen.RequireCurrent(existing, "edit", ct);
        var shown = PathText.Shown(existing.Path);
        if (existing.Size > LargestFile) throw new ToolFailure($"{shown} is too large to edit ({TextFormat.Bytes(existing.Size)}; at most {TextFormat.Bytes(LargestFile)}).");
        var content = ScopedFiles.ReadAll(existing, LargestFile);
        if (TextFormat.Utf16(content) is not null) throw new ToolFailure($"{shown} is UTF-16; Edit changes UTF-8 files only. Write would replace it with UTF-8.");
        return content;
    }

    /// <summary>The changed lines with a few around them, as they are now.</summary>
    private static string Snippet(Edited edited)
    {
        var text = new CappedText(8 * 1024);
        var from = Math.Max(1, edited.Lines[0] - ContextLines);
        var to = Math.Min(edited.Lines[0] + edited.LinesOfNew - 1 + ContextLines, from + MostShown - 1);
        var number = 1;
        foreach (var range in MemoryExtensions.Split(edited.Content.AsSpan(), (byte)'\n'))
        {
            if (number > to || (range.Start.Value == edited.Content.Length && number > 1)) break;
            if (number >= from)
            {
                var line = Encoding.UTF8.GetString(edited.Content.AsSpan(range).TrimEnd((byte)'\r')).Replace('\0', '\u2400');
                if (!text.TryAdd($"{number,6}\t{CappedText.Cut(line, 500)}")) break;
            }
            number++;
        }
        return text.ToString();
    }
}

/// <summary>A file's content after an edit.</summary>
/// <param name="Lines">Line numbers, in the new content, at which a replacement begins.</param>
/// <param name="LinesOfNew">Lines that one replacement spans.</param>
internal sealed record Edited(byte[] Content, IReadOnlyList<int> Lines, int LinesOfNew);
