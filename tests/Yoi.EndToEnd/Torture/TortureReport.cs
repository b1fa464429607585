using System.Globalization;
using System.Text;

namespace Yoi.EndToEnd.Torture;

/// <summary>What a run of the driver did, as the table in docs/reliability.md, between its two marks.</summary>
internal static class TortureReport
{
    private const string Begin = "<!-- written by make torture -->", End = "<!-- end -->";

    internal static string Table(int seed, int seconds, IReadOnlyCollection<Outcome> outcomes)
    {
        var struck = outcomes.SelectMany(outcome => outcome.Struck).ToList();
        var points = struck.Select(fault => fault.Split(':')[0]).Where(Plan.Points.Contains).Distinct().Count();
        var pairs = struck.Where(fault => Plan.Points.Contains(fault.Split(':')[0])).Distinct().Count();
        var text = new StringBuilder("| | |\n|---|---|\n");
        void Row(string what, object count) => text.Append(CultureInfo.InvariantCulture, $"| {what} | {count} |\n");
        Row("command", $"`make torture SECONDS={seconds} SEED={seed}`");
        Row("scenarios", outcomes.Count);
        Row("with two faults, the second while the first was mended", outcomes.Count(outcome => outcome.Scenario.Faults.Count > 1));
        foreach (var action in new[] { "kill", "stop", "eio", "enospc", "fill" })
            Row($"faults struck: `{action}`", struck.Count(fault => fault.EndsWith(":" + action, StringComparison.Ordinal) || fault.StartsWith(action + ":", StringComparison.Ordinal)));
        Row("failpoints at which a fault struck", $"{points} of {Plan.Points.Count}");
        Row("pairs of a failpoint and an action that struck", $"{pairs} of {Plan.Points.Count * Plan.Actions.Count}");
        Row("versions of the scope table judged", outcomes.Sum(outcome => outcome.Tables));
        Row("journal entries judged", outcomes.Sum(outcome => outcome.Entries));
        Row("violations", outcomes.Sum(outcome => outcome.Violations.Count));
        return text.ToString();
    }

    internal static void Put(string path, string table)
    {
        var page = File.ReadAllText(path);
        var (begin, end) = (page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, page.IndexOf(End, StringComparison.Ordinal));
        File.WriteAllText(path, $"{page[..begin]}\n{table}{page[end..]}");
    }
}
