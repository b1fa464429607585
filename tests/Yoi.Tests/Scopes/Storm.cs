using System.Diagnostics;
using System.Globalization;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>
/// L07: one process that takes, lends and returns scopes at random, and writes down from when to when it held what. A line says
/// "held" only after the table did, and "no longer" before the table is asked to: so the lines of all processes, by time, may
/// never give one path to two Pods.
/// </summary>
internal static class Storm
{
    /// <summary>51 paths that overlap: a root, five directories, nine names in each.</summary>
    internal static IReadOnlyList<string> Paths { get; } = MakePaths();

    internal static string HistoryOf(string root, int number) => $"{root}/history.{number}";

    internal static void Run(string root, int number, int seed, int rounds)
    {
        var random = new Random(seed);
        var directories = ScopeChild.DirectoriesOf(root);
        using var table = new ScopeTable(directories, TimeProvider.System) { Wait = TimeSpan.FromSeconds(120) };
        table.Open();
        using var history = new FileStream(HistoryOf(root, number), FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        var name = string.Create(CultureInfo.InvariantCulture, $"s{number}");
        for (var round = 0; round < rounds; round++)
        {
            var path = Paths[random.Next(Paths.Count)];
            var row = ScopeChild.RowOf(directories, name, "write:" + path);
            using var life = PodLock.TryTake(row.Directory)!;
            try
            {
                table.AcquireAsync(row, default).GetAwaiter().GetResult();
            }
            catch (ScopeException e) when (e.Holder is not null)
            {
                Say(history, row.PodId, '!', path);
                continue;
            }
            Say(history, row.PodId, '+', path);
            if (random.Next(2) == 0) Lend(directories, table, history, random, row, path);
            Say(history, row.PodId, '-', path);
            table.ReleaseAsync(row.PodId, default).GetAwaiter().GetResult();
        }
        Say(history, "end", '.', "/");
    }

    private static void Lend(YoiDirectories directories, ScopeTable table, FileStream history, Random random, TableRow row, string path)
    {
        var part = path;
        for (var tries = 0; tries < 20; tries++)
            if (Paths[random.Next(Paths.Count)] is var found && found.StartsWith(path, StringComparison.Ordinal)) part = found;
        var child = ScopeChild.RowOf(directories, row.Name + "c", "write:" + part);
        using var life = PodLock.TryTake(child.Directory)!;
        Say(history, row.PodId, '-', part);
        var generation = table.LendAsync(row.PodId, child, default).GetAwaiter().GetResult();
        table.AdoptAsync(child.PodId, generation, Environment.ProcessId, default).GetAwaiter().GetResult();
        Say(history, child.PodId, '+', part);
        Say(history, child.PodId, '-', part);
        table.ReleaseAsync(child.PodId, default).GetAwaiter().GetResult();
        Say(history, row.PodId, '+', part);
    }

    private static void Say(FileStream history, string pod, char what, string path)
    {
        history.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetTimestamp()} {pod} {what} {path}\n")));
        Console.WriteLine(what); // For who waits for a moment to kill.
    }

    private static List<string> MakePaths()
    {
        var paths = new List<string> { "/storm" };
        foreach (var directory in "abcde")
        {
            paths.Add($"/storm/{directory}");
            for (var number = 1; number <= 9; number++) paths.Add(string.Create(CultureInfo.InvariantCulture, $"/storm/{directory}/{number}"));
        }
        return paths;
    }
}
