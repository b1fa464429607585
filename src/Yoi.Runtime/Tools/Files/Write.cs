using System.Text;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>Makes a file or replaces one that was read before and has not changed since.</summary>
internal sealed class Write(ScopedFiles files, FilesSeen seen) : FileTool(files, "Write")
{
    protected override bool Writes => true;

    protected override async Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct)
    {
        var path = arguments.Text("file_path");
        var content = Encoding.UTF8.GetBytes(arguments.Text("content"));
        var written = await Files.WriteAsync(
            path,
            existing =>
            {
                if (existing is not null) seen.RequireCurrent(existing, "write", ct);
                return content;
            },
            ct);
        seen.Saw(written.Path, FilesSeen.MarkOf(content));
        return new($"{(written.Created ? "Created" : "Overwrote")} {PathText.Shown(written.Path)} ({content.Length} bytes)");
    }
}
