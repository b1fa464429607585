using System.CommandLine;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary>
/// <c>yoi repair NAME…</c>: restores what can be proven of a dead Pod's damaged files and says what is lost. What it replaces is kept
/// beside it.
/// </summary>
internal static class RepairCommand
{
    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods.", ArgumentArity.OneOrMore, pod => !pod.IsAlive);
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("repair", "Restore what can be restored of damaged files of Pods; a copy of each is kept.") { names, json };
        command.SetAction(parsed =>
        {
            List<RepairRow> rows = [];
            foreach (var pod in parsed.GetRequiredValue(names).Select(name => PodFinder.Find(s, name)).ToList())
            {
                var report = PodRepair.Run(pod, s.Time);
                rows.Add(new(pod.Name, pod.PodId, [.. report.Places.Select(place => new RepairPlace(
                    place.Damage.File, place.Damage.Line, place.Damage.Offset, place.Damage.What, place.Restored, place.Outcome))], [.. report.Kept.Select(name => $"{pod.Directory}/{name}")]));
                if (!parsed.GetValue(json)) Show(s.Screen, rows[^1]);
            }
            if (parsed.GetValue(json)) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListRepairRow);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Show(Screen screen, RepairRow row)
    {
        if (row.Places.Count == 0)
        {
            screen.Line($"{row.Name}: nothing is damaged");
            return;
        }
        foreach (var place in row.Places)
        {
            var where = place.Line == 0 ? place.File : $"{place.File} line {place.Line} (byte {place.Offset})";
            screen.Line(SafeText.Of($"{row.Name}: {where}: {place.What}; {place.Outcome}"), place.Restored ? Tone.Good : Tone.Warning);
        }
        foreach (var file in row.Kept) screen.Line($"{row.Name}: what was there before is kept as {SafeText.Of(file)}");
    }
}
