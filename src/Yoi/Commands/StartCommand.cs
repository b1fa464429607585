using System.CommandLine;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi start NAME</c>: a Pod in the background.</summary>
internal static class StartCommand
{
    internal static Command Create(Surroundings s)
    {
        var name = new Argument<string>("NAME") { Description = "Name of the Pod." };
        var task = new Option<string?>("--task", "-t") { Description = "First task; `-` reads it from stdin. Without one the Pod waits for `yoi send`.", HelpName = "TEXT" };
        var json = new Option<bool>("--json") { Description = "Print name, id, pid and socket as JSON." };
        var command = new Command("start", "Start a Pod in the background.") { name, task, json };
        var flags = new LaunchFlags(command, named: true);
        command.SetAction(async (parsed, ct) =>
        {
            var text = parsed.GetValue(task) is { } given ? await TaskText.ReadAsync(s, given, "task", ct) : null;
            var started = await RootLauncher.StartAsync(s, flags.Read(parsed, parsed.GetRequiredValue(name)), ct);
            var row = new StartedRow(started.Pod.Name, started.Pod.PodId, started.Process.Pid, started.Process.Socket);
            if (text is not null) row = row with { Seq = await HandOverAsync(s, started, text, ct) };
            Print(s, row, parsed.GetValue(json));
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>A Pod that did not get its task must not stay behind: its human was told that nothing was started.</summary>
    private static async Task<long> HandOverAsync(Surroundings s, StartedPod started, string task, CancellationToken ct)
    {
        try
        {
            await using var client = await RootLauncher.ConnectAsync(started, ct);
            return (await client.RunAsync(task, ct: ct)).Seq;
        }
        catch (Exception e) when (e is IOException or TimeoutException or PodRefusedException)
        {
            await s.Stopper.StopAsync(started.Pod, "human", force: false, CancellationToken.None);
            var name = started.Pod.Name;
            if (!started.Pod.Journal.Each(typeof(Entry.Input)).Any()) throw;
            throw new CommandException(ExitCode.RunFailed, $"{name} ended before it had acknowledged its task ({e.Message}); its journal holds it: `yoi restore {name}` and `yoi resume {name}` go on with it");
        }
    }

    internal static void Print(Surroundings s, StartedRow row, bool json)
    {
        if (json) s.Screen.Json(row, TerminalJson.Default.StartedRow);
        else s.Screen.Line(row.Name);
        if (!json) s.Screen.Remark($"`yoi attach {row.Name}` follows it, `yoi stop {row.Name}` ends it");
    }
}
