using System.CommandLine;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary>
/// <c>yoi rm NAME…</c>: removes the files of ended Pods and leaves a tombstone. Refused for what lives, still holds a
/// path, has no recorded end, has a spawner that lives or can come back and has not read it to its end, or living Pods below it,
/// whose place in the tree nothing else would tell.
/// </summary>
internal static class RmCommand
{
    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods.", ArgumentArity.ZeroOrMore, pod => !pod.IsAlive);
        var allEnded = new Option<bool>("--all-ended") { Description = "Every Pod that has ended." };
        var command = new Command("rm", "Remove the files of ended Pods; a tombstone stays.") { names, allEnded };
        command.Validators.Add(result =>
        {
            if (result.GetValue(allEnded) == (result.GetValue(names) is { Length: > 0 })) result.AddError("name the Pods to remove, or give --all-ended");
        });
        command.SetAction(parsed =>
        {
            var retention = new Retention(s);
            string? Remove(KnownPod pod)
            {
                var why = retention.Remove(pod);
                if (why is null) s.Screen.Line($"removed {pod.Name} ({pod.PodId})");
                return why;
            }
            if (!parsed.GetValue(allEnded))
            {
                var pods = parsed.GetValue(names)!.Select(name => PodFinder.Find(s, name)).OrderBy(pod => pod.PodId, StringComparer.Ordinal).ToList(); // Spawners first.
                foreach (var pod in pods) Refuse(retention.WhyNot(pod));
                foreach (var pod in pods) Refuse(Remove(pod));
                return ExitCode.Ok;
            }
            var ended = s.Registry.All().Where(pod => !pod.IsAlive).ToList();
            if (ended.Count == 0) s.Screen.Remark("no Pod has ended; nothing was removed");
            foreach (var pod in ended)
            {
                if (Remove(pod) is { } why) s.Screen.Remark("kept: " + SafeText.Of(why));
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Refuse(string? why)
    {
        if (why is not null) throw new CommandException(ExitCode.Refused, why);
    }
}
