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

    /// <summary>True if it changes files.</summary>
    protected virtual bool Writes => false;

    /// <summary>In call order where one of two calls writes what the other sees, whatever the spelling: a Read sees the Write before it.</summary>
    internal sealed override ToolOrder Order(JsonElement arguments) => new ToolOrder.OnPath(files.Place(PathOf(arguments)), Writes);

    /// <summary>The file or the top of the tree that a call is about, as far as that can be told without checking anything.</summary>
    protected virtual string PathOf(JsonElement arguments) => Arguments.Peek(arguments, "file_path") ?? "";

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
