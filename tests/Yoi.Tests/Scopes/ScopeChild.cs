using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Tests.Journal;

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
        else if (words[0] == "share") Share(words[1]);
        else if (words[0] == "hold-bytes") OtherProcess.Hold(words[1], words[2..]);
        else if (words[0] == "probe-byte") OtherProcess.Probe(words[1], words[2]);
        else if (words[0] == "count") Count(words[^2], int.Parse(words[^1], CultureInfo.InvariantCulture), fileAlone: words.Length > 3);
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

    // Counts on in a file, under the table's lock or only under one on the lock file: two at once lose a count.
    private static void Count(string root, int times, bool fileAlone)
    {
        var directories = DirectoriesOf(root);
        for (var time = 0; time < times; time++)
        {
            using IDisposable held = fileAlone ? FileAlone(directories.ScopeLock)
                : TableLock.TakeAsync(directories, PodLock.MayLive, TimeProvider.System, "count", TimeSpan.FromSeconds(120), default).GetAwaiter().GetResult();
            var counted = File.Exists(root + "/counter") ? int.Parse(File.ReadAllText(root + "/counter"), CultureInfo.InvariantCulture) : 0;
            var aside = string.Create(CultureInfo.InvariantCulture, $"{root}/counter.{Environment.ProcessId}");
            File.WriteAllText(aside, (counted + 1).ToString(CultureInfo.InvariantCulture));
            for (var turn = 0; turn < 50; turn++) Thread.Yield(); // Time for another to come in, if one can.
            File.Move(aside, root + "/counter", overwrite: true);
        }
    }

    private static Microsoft.Win32.SafeHandles.SafeFileHandle FileAlone(string path)
    {
        while (true)
        {
            var file = PrivateFile.OpenToWrite(path);
            if (Libc.TryFlock(file)) return file;
            file.Dispose();
            Thread.Yield();
        }
    }

    // Opens a file twice as the runtime does for one who wants it alone, and says whether that worked.
    private static void Share(string path)
    {
        using var first = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        try
        {
            using var second = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            Console.WriteLine("shared");
        }
        catch (IOException)
        {
            Console.WriteLine("held");
        }
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
