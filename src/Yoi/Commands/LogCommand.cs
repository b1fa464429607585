using System.CommandLine;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi log NAME</c>: the journal as a readable transcript; damage is counted and shown. Works on ended Pods.</summary>
internal static class LogCommand
{
    internal static Command Create(Surroundings s)
    {
        var name = PodFinder.Argument<string>(s, "NAME", "The Pod.", ArgumentArity.ExactlyOne);
        var json = new Option<bool>("--json") { Description = "Print each entry as the event line that an attached client gets." };
        var results = new Option<bool>("--results") { Description = "Show below each call what it gave the model: what a command wrote, what was read." };
        var command = new Command("log", "Show what a Pod did, from its journal.") { name, results, json };
        command.SetAction(parsed =>
        {
            var pod = PodFinder.Find(s, parsed.GetRequiredValue(name));
            var view = new PodView(s.Screen, times: true, results: parsed.GetValue(results));
            var (cursor, damaged, unfinished, any) = (Cursor.Start, 0, 0L, false);
            for (var more = true; more;)
            {
                var page = pod.Journal.ReadAfter(cursor, out var health, 4 << 20);
                (more, damaged, unfinished) = (health.More, damaged + health.DamagedLines, health.UnfinishedBytes);
                if (page.Count == 0) break;
                any = true;
                foreach (var record in page)
                {
                    if (parsed.GetValue(json)) s.Screen.Json(record.Seq, record.Time, record.Entry);
                    else view.Take(new PodMessage.Entered(record.Seq, record.Time, record.Entry));
                }
                cursor = page[^1].End;
            }
            foreach (var damage in damaged == 0 ? [] : PodRepair.Look(pod)) s.Screen.Warn(damage.ToString());
            if (damaged > 0) s.Screen.Warn($"{Amounts.Count(damaged, "damaged line")} in the journal of {pod.Name} left out; the file is {pod.Directory}/{PodFiles.Journal}; `yoi repair {pod.Name}` restores what can be restored");
            if (unfinished > 0 && !pod.IsAlive) s.Screen.Warn($"the last record was cut off in the middle ({unfinished} bytes)");
            if (!any) throw new CommandException(ExitCode.NotFound, $"the journal of {pod.Name} holds no readable entry; the file is {pod.Directory}/{PodFiles.Journal}");
            return ExitCode.Ok;
        });
        return command;
    }
}
