using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Scopes;

/// <summary>
/// A process that uses the file tools once: this test program itself, started with a variable that keeps it from running tests. For
/// failpoints, which are a process's own, and for mounts, which need a namespace.
/// </summary>
internal static class DoorWorker
{
    private const string Variable = "YOI_TEST_DOOR_WORKER";

    internal static Process Start(string directory, string what, string path, params (string Name, string Value)[] environment) =>
        StartIn(directory, [], what, path, environment);

    internal static Process StartIn(string directory, string[] wrapper, string what, string path, params (string Name, string Value)[] environment)
    {
        string[] words = [.. wrapper, Environment.ProcessPath!];
        var start = new ProcessStartInfo(words[0], words[1..]) { WorkingDirectory = directory, RedirectStandardOutput = true };
        start.Environment[Variable] = $"{what}|{directory}|{path}";
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable)?.Split('|') is not [var what, var directory, var path]) return;
        Environment.Exit(Run(what, directory, path));
    }

    private static int Run(string what, string directory, string path)
    {
        // Real table, real lock: and no code of this assembly on other threads, which wait for this initializer.
        var root = Directory.CreateTempSubdirectory("yoi-worker-").FullName;
        var directories = ScopeChild.DirectoriesOf(root);
        using var table = new ScopeTable(directories, TimeProvider.System);
        table.Open();
        string[] deny = what == "read-denied" ? [$"-read:{directory}/hidden"] : [];
        var row = ScopeChild.RowOf(directories, "worker", [what == "write-in-place" ? $"write:{directory}/{path}" : $"write:{directory}", .. deny]);
        using var life = PodLock.TryTake(row.Directory);
        table.AcquireAsync(row, CancellationToken.None).GetAwaiter().GetResult();
        using var scope = new LiveScope(directories, row.PodId);
        using var files = new ScopedFiles(scope, directory);
        var tools = FileTools.All(files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
        try
        {
            // A file that is there must be read before it is written.
            var read = what == "create" ? null : Call(tools["Read"], ("file_path", path));
            Console.Write(what is "write" or "write-in-place" or "create" ? Call(tools["Write"], ("file_path", path), ("content", "written by a worker")).Summary : read!.Content);
            return 0;
        }
        catch (ToolFailure e)
        {
            Console.Write("refused: " + e.Message);
            return 3;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static ToolOutcome Call(Tool tool, params (string, JsonNode?)[] arguments) =>
        tool.RunAsync(new ToolCall("call", tool.Schema.Name, FileRoom.Json(arguments)), CancellationToken.None).GetAwaiter().GetResult();
}
