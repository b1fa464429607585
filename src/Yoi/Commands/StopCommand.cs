using System.CommandLine;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi stop NAME…</c>: ends Pods with all below them, leaf first; returns when nothing of them can write any more.</summary>
internal static class StopCommand
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(3), StartPause = TimeSpan.FromMilliseconds(10);

    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods.", ArgumentArity.ZeroOrMore, pod => pod.IsAlive);
        var all = new Option<bool>("--all", "-a") { Description = "Every Pod that lives." };
        var force = new Option<bool>("--force", "-f") { Description = "Kill at once instead of asking." };
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("stop", "Stop Pods and all below them; their scope comes back.") { names, all, force, json };
        command.Validators.Add(result =>
        {
            if (result.GetValue(all) == (result.GetValue(names) is { Length: > 0 })) result.AddError("name the Pods to stop, or give --all");
        });
        command.SetAction(async (parsed, ct) =>
        {
            var pods = parsed.GetValue(all) ? Tops(s) : [.. parsed.GetValue(names)!.Select(name => PodFinder.Find(s, name))];
            if (pods.Count == 0) s.Screen.Remark("no Pod lives");
            // All at once; told in the order in which they were named.
            var stops = pods.Select(pod => StopAsync(s, pod, parsed.GetValue(force), ct)).ToList();
            List<StopRow> rows = [];
            var code = ExitCode.Ok;
            foreach (var (pod, stop) in pods.Zip(stops))
            {
                var (outcome, failed) = await OutcomeAsync(s, pod, stop);
                if (outcome is null)
                {
                    code = failed;
                    continue;
                }
                rows.Add(new StopRow(outcome.Name, outcome.PodId, outcome.Reason, outcome.By, outcome.Detail, outcome.Returned, outcome.Below));
                if (parsed.GetValue(json)) continue;
                s.Screen.Line($"{outcome.Name}: {(outcome.WasEnded ? "had ended already: " : "")}{EntryText.EndText(outcome.Reason, outcome.By, outcome.Detail)}"
                    + (outcome.Below.Count > 0 ? $"; with it: {string.Join(", ", outcome.Below)}" : "")
                    + (outcome.Returned.Count > 0 ? $"; back: {EntryText.Rules(outcome.Returned)}" : ""));
            }
            if (parsed.GetValue(json)) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListStopRow);
            return code;
        });
        return command;
    }

    /// <summary>Those with no living Pod above: with them goes all that is below.</summary>
    private static List<KnownPod> Tops(Surroundings s)
    {
        var tree = new PodTree(s.Registry, s.Table);
        return [.. s.Registry.All().Where(pod => (pod.IsAlive || pod.IsStarting) && tree.LivingAbove(pod) is null)];
    }

    /// <summary>
    /// A root that does not hold its life-lock yet is waited for: nobody knows its process, and without its files it would begin all the same. A child that
    /// is being started has a row, and ends by itself when that is withdrawn.
    /// </summary>
    private static async Task<StopOutcome> StopAsync(Surroundings s, KnownPod pod, bool force, CancellationToken ct)
    {
        for (var began = s.Time.GetTimestamp(); pod.IsStarting && !new PodTree(s.Registry, s.Table).Rows().Any(row => row.PodId == pod.PodId); await Task.Delay(StartPause, s.Time, ct))
            if (s.Time.GetElapsedTime(began) > StartLimit) throw new StopException($"pod `{pod.Name}` is being started this moment and does not hold its life-lock yet; stop it again when it does");
        return await s.Stopper.StopAsync(pod, "human", force, ct);
    }

    private static async Task<(StopOutcome? Outcome, int Code)> OutcomeAsync(Surroundings s, KnownPod pod, Task<StopOutcome> stop)
    {
        try
        {
            return (await stop, ExitCode.Ok);
        }
        catch (StopException e)
        {
            s.Screen.Error(e.Message);
            return (null, ExitCode.Refused);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            // One whose end cannot be recorded leaves no other half stopped.
            s.Screen.Error(pod.IsAlive ? e.Message
                : $"{pod.Name} has ended, and nothing of it can write any more; its end could not be recorded: {e.Message} `yoi stop {pod.Name}` again does it once that is mended; who starts or comes back meanwhile takes over what it held");
            return (null, e is { InnerException: IOException } ? ExitCode.Disk : FrontDoor.Code(e));
        }
    }

    private static bool IsRefusal(Exception e) => FrontDoor.IsRefusal(e);
}
