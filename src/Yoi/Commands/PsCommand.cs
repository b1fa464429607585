using System.CommandLine;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi ps</c>: the tree of all Pods, living and ended.</summary>
internal static class PsCommand
{
    internal static Command Create(Surroundings s)
    {
        var living = new Option<bool>("--living", "-l") { Description = "Only Pods that are alive." };
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("ps", "List Pods as a tree: state, scope, model, turns, tokens, last activity.") { living, json };
        command.SetAction(async (parsed, ct) =>
        {
            // Of those that do not live, journals would be opened, and read as a whole if they have changed.
            var pods = s.Registry.All();
            var rows = await PodListing.CollectAsync(s, pods.Where(pod => !parsed.GetValue(living) || pod.IsStarting || pod.IsAlive), ct);
            if (parsed.GetValue(living)) rows = [.. rows.Where(row => row.State is not ("ended" or "dead" or "damaged"))];
            if (parsed.GetValue(json)) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListPodRow);
            else if (rows.Count == 0 && pods.Count > 0) s.Screen.Line("no living Pods; `yoi ps` shows those that have ended, `yoi restore NAME` brings one back", Tone.Dim);
            else Listings.Pods(s.Screen, rows, s.Time.GetUtcNow());
            return ExitCode.Ok;
        });
        return command;
    }
}
