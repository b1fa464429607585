using System.Diagnostics;

namespace Yoi.Benchmarks.Figures;

/// <summary>The same on a disk, beside what one fsync costs there.</summary>
internal static class DiskFigures
{
    private const string Section = "On disk";

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        using var place = Place.OnDisk();
        report.Add(Section, "append of 200 bytes and fsync", binary, await Samples.OfAsync(50, _ => Task.FromResult(Sync(place))));
        report.Add(Section, "connect and run to turn_start, disk", binary, await StartFigures.RunAsync(binary, place, 30));
        report.Add(Section, "SpawnPod to task acknowledged, disk", binary, await StartFigures.SpawnAsync(binary, place, 10));
    }

    private static TimeSpan Sync(Place place)
    {
        using var file = new FileStream(Path.Combine(place.Work, "synced"), FileMode.Append);
        var began = Stopwatch.GetTimestamp();
        file.Write(new byte[200]);
        file.Flush(flushToDisk: true);
        return Stopwatch.GetElapsedTime(began);
    }
}
