using System.Diagnostics;
using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Benchmarks.Figures;

/// <summary>Lending and return in a table with many Pods, all alive; in this process, without a child process.</summary>
internal static class TableFigures
{
    private const string Section = "The scope table";

    internal static async Task MeasureAsync(Report report)
    {
        foreach (var (entries, original) in new[] { (10, "45 µs"), (100, "342 µs"), (1_000, "3,038 µs") })
        {
            using var place = Place.InMemory();
            using var table = new ScopeTable(place.Directories, TimeProvider.System);
            table.Open();
            List<PodLock> living = [];
            for (var i = 0; i < entries; i++)
            {
                var row = Row(place, $"pod{i}", null, place.Folder($"pod{i}"));
                living.Add(PodLock.TryTake(row.Directory) ?? throw new InvalidOperationException("held"));
                await table.AcquireAsync(row, CancellationToken.None);
            }
            Claim.AtLeast(entries, table.Read().Pods.Count, "entries");
            var spawner = table.Read().Pods[0];
            var (lend, give) = (new Samples(), new Samples());
            for (var i = 0; i < 50; i++)
            {
                var child = Row(place, $"child{i}", spawner, spawner.Scope.Allow[0].Target + "/part");
                var began = Stopwatch.GetTimestamp();
                await table.LendAsync(spawner.PodId, child, CancellationToken.None);
                lend.Add(Stopwatch.GetElapsedTime(began));
                began = Stopwatch.GetTimestamp();
                await table.ReleaseAsync(child.PodId, CancellationToken.None);
                give.Add(Stopwatch.GetElapsedTime(began));
            }
            var number = entries.ToString("#,0", CultureInfo.InvariantCulture);
            report.Add(Section, $"lend, {number} entries", null, lend, original, entries == 1_000 ? "2 ms" : "");
            report.Add(Section, $"return, {number} entries", null, give);
            living.ForEach(held => held.Dispose());
        }
    }

    private static TableRow Row(Place place, string name, TableRow? spawner, string folder)
    {
        var id = PodName.NewId(TimeProvider.System);
        return new TableRow(
            id, name, place.Directories.Pod(name, id), spawner?.PodId, spawner?.RootId ?? id, spawner is null ? 0 : 1, Pending: spawner is not null, 0,
            new ScopeRules([new ScopeRule(folder, Permission.Write)], []), new PodLimits(), Environment.ProcessId);
    }
}
