using System.Diagnostics;
using System.Globalization;
using Yoi.Runtime.Scopes;

namespace Yoi.Benchmarks.Figures;

/// <summary>What looking for repositories costs a command: once before and once after it.</summary>
internal static class RepositoryFigures
{
    private const string Section = "Looking for repositories";

    internal static void Measure(Report report)
    {
        foreach (var directories in new[] { 500, 5_000 })
        {
            using var place = Place.OnDisk();
            var top = place.Folder("tree");
            for (var i = 0; i < directories; i++)
            {
                var made = Directory.CreateDirectory($"{top}/{i % 20}/{i}").FullName;
                for (var file = 0; file < 10; file++) File.Create($"{made}/{file}").Dispose();
            }
            Claim.AtLeast(10L * directories, Directory.GetFiles(top, "*", SearchOption.AllDirectories).Length, "files");
            WritablePart part = new([top], [top], []);
            var (first, again) = (new Samples(), new Samples());
            for (var i = 0; i < 20; i++)
            {
                var index = new RepositoryIndex(new Later());
                Time(first, index, part);
                Claim.AtLeast(directories, index.Listed, "directories");
                Time(again, index, part);
            }
            var number = directories.ToString("#,0", CultureInfo.InvariantCulture);
            report.Add(Section, $"look for repositories, {number} directories of ten files, the first time", null, first);
            report.Add(Section, $"look for repositories, {number} directories, again", null, again);
        }
    }

    private static void Time(Samples samples, RepositoryIndex index, WritablePart part)
    {
        var began = Stopwatch.GetTimestamp();
        _ = index.Find(part, unlock: false);
        samples.Add(Stopwatch.GetElapsedTime(began));
    }

    /// <summary>All that is there has rested long.</summary>
    private sealed class Later : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.MaxValue;
    }
}
