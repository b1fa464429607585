using System.Text;

namespace Yoi.Benchmarks;

/// <summary>
/// The page: a row a figure, a column a binary, all measured in one run. Sections that were measured in the benchmark's own process have one column, which says so.
/// All of docs/performance.md is written here.
/// </summary>
internal sealed class Report(IReadOnlyList<Binary> binaries)
{
    private const string Here = "in the benchmark's own process, compiled just in time";

    private readonly List<(string Section, string Figure, string Original, string Target)> _rows = [];
    private readonly Dictionary<(string Figure, string Binary), string> _cells = [];

    /// <param name="binary">Null for what was measured in this process: that is none of the binaries.</param>
    /// <param name="original">What the Rust original took, on tmpfs, without syncing its session.</param>
    /// <param name="target">What the AOT proof binary should reach.</param>
    internal void Add(string section, string figure, Binary? binary, object value, string original = "", string target = "")
    {
        if (!_rows.Exists(row => row.Figure == figure)) _rows.Add((section, figure, original, target));
        _cells[(figure, binary?.Name ?? Here)] = value.ToString() ?? "";
        Console.Error.WriteLine($"{binary?.Name ?? "here",-14} {figure}: {value}");
    }

    internal string Markdown(string machine)
    {
        var text = new StringBuilder(Heading(machine));
        foreach (var section in _rows.GroupBy(row => row.Section))
        {
            string[] columns = section.Any(row => _cells.ContainsKey((row.Figure, Here))) ? [Here] : [.. binaries.Select(binary => binary.Name)];
            text.Append($"\n## {section.Key}\n\n| Figure |");
            foreach (var column in columns) text.Append($" {column} |");
            text.Append(" original | target |\n|---|").Append(string.Concat(Enumerable.Repeat("---|", columns.Length + 2))).Append('\n');
            foreach (var row in section)
            {
                text.Append($"| {row.Figure} |");
                foreach (var column in columns) text.Append($" {_cells.GetValueOrDefault((row.Figure, column), "–")} |");
                text.Append($" {row.Original} | {row.Target} |\n");
            }
        }
        return text.ToString();
    }

    private static string Heading(string machine) => $"""
        # Performance

        Written by `make bench`; do not edit. {machine}
        Medians, with the slowest tenth in brackets where there were ten samples or more. State on tmpfs unless a row says disk: there, fsync costs nothing
        and the figure is Yoi's own. All columns were measured in one run. "original" is the Rust system whose design this is, on a similar machine, on tmpfs and
        without syncing its session; "target" is what the AOT proof binary should reach. A figure of a tool is a whole call as a client sees it, from its line to
        the result in its hands: a round trip, three entries on disk and a scripted message are in it (what that comes to is in a row of its own). From
        figures of commands and of Grep that is taken off. A table with one column that says "in the benchmark's own process" is of no published binary: our code, called
        in the program that measures. A size that a row names was counted.

        """;
}

/// <summary>A built yoi. <paramref name="Name"/> is the table's column.</summary>
/// <param name="Empty">A program that does nothing, built in the same way; null if there is none.</param>
internal sealed record Binary(string Name, string Path, string? Empty = null);
