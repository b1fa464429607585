using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>The file tools of one Pod. They share one door and one memory of what was read.</summary>
internal static class FileTools
{
    internal static IReadOnlyList<Tool> All(ScopedFiles files, TimeProvider time)
    {
        var seen = new FilesSeen();
        return [new Read(files, seen), new Write(files, seen), new Edit(files, seen), new Glob(files, time), new Grep(files, time)];
    }
}

/// <summary>What the file tools have in common: schema beside the code, strict arguments, refusals of the door as results, work off the caller's thread.</summary>
internal abstract class FileTool(ScopedFiles files, string name) : Tool
{
    internal sealed override ToolSchema Schema { get; } = Resources.Schema(name, "Tools/Files/" + name);

    protected ScopedFiles Files => files;

    /// <summary>Read, Write and Edit of one file happen in call order, so that a Read sees the Write before it.</summary>
    internal override ToolOrder Order(JsonElement arguments) =>
        Arguments.Peek(arguments, "file_path") is { } path
            ? new ToolOrder.SamePath(files.Lexical(path))
            : ToolOrder.Beside;

    internal sealed override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        try
        {
            return await Task.Run(() => RunAsync(new Arguments(call.Arguments, Schema), ct), ct);
        }
        catch (PathException e)
        {
            throw new ToolFailure(e.Message);
        }
        catch (IOException e)
        {
            throw new ToolFailure($"the file system refused: {e.Message}");
        }
    }

    protected abstract Task<ToolOutcome> RunAsync(Arguments arguments, CancellationToken ct);
}
