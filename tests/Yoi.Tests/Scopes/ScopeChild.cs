using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>
/// The test program as another process: with <c>YOI_SCOPE_CHILD</c> in its environment it plays a part and ends before any test runs.
/// </summary>
internal static partial class ScopeChild
{
    private const string Variable = "YOI_SCOPE_CHILD";

    [ModuleInitializer]
    internal static void Play()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } part) return;
        Environment.SetEnvironmentVariable(Variable, null);
        var words = part.Split('\n');
        // No lambda and no async method of this assembly until then: other threads wait for this initializer.
        if (words[0] == "hold") Hold(words[1], words[2], words[3..]);
        else if (words[0] == "walk") Walk(words[1]);
        else Storm.Run(words[1], int.Parse(words[2], CultureInfo.InvariantCulture), int.Parse(words[3], CultureInfo.InvariantCulture), int.Parse(words[4], CultureInfo.InvariantCulture));
        Environment.Exit(0);
    }

    /// <summary>Starts it; the caller waits for its end or kills it.</summary>
    internal static Process Start(string[] words, string? failpoint = null, string[]? through = null)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "Yoi.Tests");
        string[] line = [.. through ?? [], program];
        var start = new ProcessStartInfo(line[0], line[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
            Environment = { [Variable] = string.Join('\n', words), ["DOTNET_EnableDiagnostics"] = "0", ["DOTNET_TieredPGO"] = "0" },
        };
        if (failpoint is not null) start.Environment["YOI_FAILPOINT"] = failpoint;
        return Process.Start(start)!;
    }

    /// <summary>Returns when the kernel says that a child of ours is stopped; leaves its end to be waited for by others.</summary>
    internal static async Task Stopped(Process process, CancellationToken ct)
    {
        const int byPid = 1, stopped = 2, leave = 0x01000000;
        var pid = process.Id;
        var answer = await Task.Run(
            () =>
            {
                Span<byte> info = stackalloc byte[128];
                return WaitId(byPid, pid, info, stopped | leave);
            },
            ct).WaitAsync(TimeSpan.FromSeconds(30), ct);
        Assert.Equal(0, answer);
    }

    internal static YoiDirectories DirectoriesOf(string root) => new(root + "/state", root + "/run", root + "/config");

    internal static TableRow RowOf(YoiDirectories directories, string name, params string[] rules)
    {
        var id = PodName.NewId(TimeProvider.System);
        return new(id, name, directories.Pod(name, id), null, id, 0, false, 0, ScopeRoom.Rules(rules), new(), Environment.ProcessId);
    }

    // A Pod that takes a scope, says so, and gives it back when its input ends.
    private static void Hold(string root, string name, string[] rules)
    {
        var directories = DirectoriesOf(root);
        using var table = new ScopeTable(directories, TimeProvider.System);
        table.Open();
        var row = RowOf(directories, name, rules);
        using var life = PodLock.TryTake(row.Directory);
        try
        {
            Console.WriteLine($"holds {table.AcquireAsync(row, default).GetAwaiter().GetResult()}");
        }
        catch (ScopeException e)
        {
            Console.WriteLine($"refused {e.Message}");
            return;
        }
        Console.In.ReadToEnd();
        table.ReleaseAsync(row.PodId, default).GetAwaiter().GetResult();
    }

    // A Pod that takes a scope, lends, takes back and releases, and says each step.
    private static void Walk(string root)
    {
        var directories = DirectoriesOf(root);
        using var table = new ScopeTable(directories, TimeProvider.System);
        table.Open();
        var lead = RowOf(directories, "lead", "write:/w");
        var child = RowOf(directories, "kid", "write:/w/a");
        using var life = PodLock.TryTake(lead.Directory);
        table.AcquireAsync(lead, default).GetAwaiter().GetResult();
        Console.WriteLine("taken");
        table.LendAsync(lead.PodId, child, default).GetAwaiter().GetResult();
        Console.WriteLine("lent");
        table.ReleaseAsync(child.PodId, default).GetAwaiter().GetResult();
        Console.WriteLine("back");
        table.ReleaseAsync(lead.PodId, default).GetAwaiter().GetResult();
        Console.WriteLine("done");
    }

    [LibraryImport("libc", EntryPoint = "waitid", SetLastError = true)]
    private static partial int WaitId(int kind, int pid, Span<byte> info, int options);
}
