using System.Diagnostics;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Benchmarks.Figures;

/// <summary>Opening a long journal, and reading near its end; in this process.</summary>
internal static class JournalFigures
{
    private const string Section = "Journals";
    private const int Entries = 20_000;

    internal static async Task MeasureAsync(Report report)
    {
        using var place = Place.InMemory();
        var directory = place.Directories.Pod("long", PodName.NewId(TimeProvider.System));
        Cursor nearEnd;
        using (var held = PodLock.TryTake(directory) ?? throw new InvalidOperationException("held"))
        await using (var journal = JournalWriter.Open(directory, held, [], TimeProvider.System))
        {
            for (var i = 0; i < Entries; i += 100)
                await journal.AppendAsync(Durability.Written, [.. Enumerable.Range(i, 100).Select(n => new Entry.Input($"entry {n} with some text in it, as long as a line is"))]);
        }
        var path = Path.Combine(directory, PodFiles.Journal);
        var all = new JournalReader(path).ReadAfter(Cursor.Start, out _);
        Claim.AtLeast(Entries, all.Count, "entries");
        nearEnd = all[^10].End;
        Claim.Exactly(9, new JournalReader(path).ReadAfter(nearEnd, out _).Count, "entries behind the cursor");
        report.Add(Section, "sequential read of the file, 20,000 entries", null, await Samples.OfAsync(10, _ => Timed(() => File.ReadAllBytes(path))));
        report.Add(Section, "open to write, 20,000 entries", null, await Samples.OfAsync(10, _ => OpenAsync(directory)), "", "200 ms");
        report.Add(Section, "read the last 9 of 20,000 entries from a cursor", null, await Samples.OfAsync(20, _ => Timed(() => new JournalReader(path).ReadAfter(nearEnd, out var _))));
    }

    private static async Task<TimeSpan> OpenAsync(string directory)
    {
        using var held = PodLock.TryTake(directory) ?? throw new InvalidOperationException("held");
        var began = Stopwatch.GetTimestamp();
        await using var journal = JournalWriter.Open(directory, held, [], TimeProvider.System);
        return Stopwatch.GetElapsedTime(began);
    }

    private static Task<TimeSpan> Timed<T>(Func<T> work)
    {
        var began = Stopwatch.GetTimestamp();
        _ = work();
        return Task.FromResult(Stopwatch.GetElapsedTime(began));
    }
}
