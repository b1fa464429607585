using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>
/// A process that uses the door once: this test program itself, started with a variable that keeps it from running tests. For
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
        ScopeRule[] deny = what == "read-denied" ? [new(directory + "/hidden", Permission.Read)] : [];
        var policy = new ScopePolicy(new([new(directory, Permission.Write)], deny), [], 1);
        using var files = new ScopedFiles(() => policy, ct => new LeaseGate().EnterAsync(exclusive: false, ct), directory);
        try
        {
            if (what == "write") files.WriteAsync(path, _ => "written by a worker"u8.ToArray(), CancellationToken.None).GetAwaiter().GetResult();
            else
            {
                using var file = files.OpenRead(path);
                Console.Write(Encoding.UTF8.GetString(ScopedFiles.ReadAll(file, 1000)));
            }
            return 0;
        }
        catch (PathException e)
        {
            Console.Write("refused: " + e.Message);
            return 3;
        }
    }
}
