using System.CommandLine;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi restore NAME…</c>: brings ended Pods back with id, model, role, limits and history; what they held they take back, or are told who has it.</summary>
internal static class RestoreCommand
{
    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods: names or ids.", ArgumentArity.ZeroOrMore, pod => !pod.IsAlive);
        var all = new Option<bool>("--all", "-a") { Description = "Every Pod that did not end on purpose: killed, crashed, or gone with the machine." };
        var tree = new Option<bool>("--tree", "-t") { Description = "With each, those below it that did not end on purpose." };
        var withoutHeld = new Option<bool>("--without-held") { Description = "Come back without the right to write what others hold by now." };
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("restore", "Bring ended Pods back in the same journal; nothing starts by itself, `yoi resume` goes on.") { names, all, tree, withoutHeld, json };
        command.Validators.Add(result =>
        {
            if (result.GetValue(all) == (result.GetValue(names) is { Length: > 0 })) result.AddError("name the Pods to restore, or give --all");
        });
        command.SetAction(async (parsed, ct) =>
        {
            var selection = new RestoreSelection(s);
            List<KnownPod> named = [.. parsed.GetValue(names)!.Select(name => PodFinder.Find(s, name))];
            var pods = parsed.GetValue(all) ? selection.All() : parsed.GetValue(tree) ? [.. named.SelectMany(selection.Tree)] : named;
            if (pods.Count == 0) s.Screen.Remark("no Pod died that could be restored; `yoi ps` shows how they ended");
            return await RestoreAsync(s, pods, new PodRestorer(s, parsed.GetValue(withoutHeld)), parsed.GetValue(json), parsed.GetValue(all) || parsed.GetValue(tree), ct);
        });
        return command;
    }

    /// <param name="chosen">True if the user did not name each: then a refusal does, also of the only one.</param>
    private static async Task<int> RestoreAsync(Surroundings s, List<KnownPod> pods, PodRestorer restorer, bool json, bool chosen, CancellationToken ct)
    {
        List<RestoredRow> rows = [];
        var code = ExitCode.Ok;
        foreach (var pod in pods)
        {
            try
            {
                var row = await restorer.RestoreAsync(pod, ct);
                rows.Add(row);
                if (!json) Show(s, row);
            }
            catch (Exception e) when (IsRefusal(e) && (pods.Count > 1 || chosen))
            {
                // One that cannot come back keeps no other from it.
                code = FrontDoor.Code(e);
                s.Screen.Error($"{pod.Name}: {e.Message}");
            }
        }
        if (json) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListRestoredRow);
        return code;
    }

    private static bool IsRefusal(Exception e) => FrontDoor.IsRefusal(e);

    private static void Show(Surroundings s, RestoredRow row)
    {
        s.Screen.Line($"{row.Name}: {row.State}, process {row.Pid}");
        foreach (var lost in row.Lost) s.Screen.Warn($"{row.Name}: {SafeText.Of(lost)}");
        if (row.Damaged is { } place) s.Screen.Warn($"{row.Name} came back without what is damaged: {SafeText.Of(place)}; `yoi stop {row.Name}`, then `yoi repair {row.Name}`, restores what can be restored");
        foreach (var difference in row.Differences) s.Screen.Remark($"{row.Name}: {SafeText.Of(difference)}");
        if (row.State == "paused") s.Screen.Remark($"`yoi resume {row.Name}` goes on, `yoi log {row.Name}` shows where it was");
    }
}
