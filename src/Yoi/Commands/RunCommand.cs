using System.CommandLine;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi run TASK</c>: starts a Pod, shows what it does, and stops the tree when nothing in it runs any more.</summary>
internal static class RunCommand
{
    private enum Format { Text, Answer, Json, StreamJson }

    internal static Command Create(Surroundings s)
    {
        var task = new Argument<string?>("TASK") { Description = "What to do. `-`, or nothing with a piped stdin, reads it from there.", Arity = ArgumentArity.ZeroOrOne };
        var detach = new Option<bool>("--detach", "-d") { Description = "Leave the Pod running and return as soon as it has its task." };
        var print = new Option<bool>("--print", "-p") { Description = "Print only the answer." };
        var format = new Option<string>("--output-format") { Description = "text, json (one object at the end) or stream-json (one object a line).", DefaultValueFactory = _ => "text" };
        format.AcceptOnlyFromAmong("text", "json", "stream-json");
        var explain = new Option<bool>("--explain-scope") { Description = "Start nothing: print what the Pod could and could not do." };
        var json = new Option<bool>("--json") { Description = "With --explain-scope: print an object." };
        var command = new Command("run", "Start a Pod on a task, stream what it does, and stop it when it is done.") { task, detach, print, format, explain, json };
        var flags = new LaunchFlags(command);
        command.SetAction(async (parsed, ct) =>
        {
            if (parsed.GetValue(explain)) return await ScopeExplanation.PrintAsync(s, flags.Read(parsed), parsed.GetValue(json) || parsed.GetValue(format) != "text", ct);
            if (parsed.GetValue(json)) throw new CommandException(ExitCode.Usage, "--json goes with --explain-scope; the output of a run is chosen with --output-format");
            var text = await TaskText.ReadAsync(s, parsed.GetValue(task), "task", ct);
            var how = parsed.GetValue(format) switch { "json" => Format.Json, "stream-json" => Format.StreamJson, _ => parsed.GetValue(print) ? Format.Answer : Format.Text };
            return await RunAsync(s, flags.Read(parsed), text, how, parsed.GetValue(detach), ct);
        });
        return command;
    }

    private static async Task<int> RunAsync(Surroundings s, LaunchWishes wishes, string task, Format format, bool detach, CancellationToken ct)
    {
        using var interrupts = new Interrupts();
        var began = s.Time.GetTimestamp();
        if (await RootLauncher.StartAsync(s, wishes, interrupts, ct) is not { } started)
        {
            s.Screen.Remark("stopped before the Pod was ready; nothing of it is left");
            return interrupts.EndCode ?? ExitCode.Interrupted;
        }
        var (name, id) = (started.Pod.Name, started.Pod.PodId);
        var owned = true;
        try
        {
            await using var client = await RootLauncher.ConnectAsync(started, ct);
            if (format == Format.Text && !detach) s.Screen.Line($"{name} · {started.Plan.ModelName} · {EntryText.Rules(started.Plan.Document.Scope.Allow)}", Tone.Dim);
            var accepted = await client.RunAsync(task, ct: ct);
            if (detach)
            {
                owned = false;
                StartCommand.Print(s, new StartedRow(name, id, started.Process.Pid, started.Process.Socket, accepted.Seq), format is Format.Json or Format.StreamJson);
                return ExitCode.Ok;
            }
            var view = new PodView(s.Screen, quiet: true);
            var waiting = new WaitingLine(s.Screen, s.Time, started.Plan.ModelName);
            var watch = new TreeWatch(s, started.Pod, client, message => Show(s, view, waiting, format, message));
            using (waiting) await watch.RunAsync(interrupts, ct);
            s.Screen.EndLine();
            owned = false;
            foreach (var (command, line) in watch.Tally.Background)
                s.Screen.Remark($"the background command {SafeText.Of(command)} (`{SafeText.Of(line)}`) was still running and ends with {name}; with --detach it goes on");
            await s.Stopper.StopAsync(started.Pod, "human", force: false, ct);
            watch.TakeRest();
            var result = Result(watch.Tally, name, id, s.Time.GetElapsedTime(began));
            PrintResult(s, result, watch.Tally, format);
            if (watch.Tally.LastRun is { Reason: RunEnd.ProviderError, Detail: { } why }) HintAtKey(s, started.Pod, why);
            return Code(watch.Tally, interrupts);
        }
        finally
        {
            // A failure on the way must not leave a Pod behind that nobody knows of.
            if (owned) await s.Stopper.StopAsync(started.Pod, "human", force: false, CancellationToken.None);
        }
    }

    private static void Show(Surroundings s, PodView view, WaitingLine waiting, Format format, PodMessage message)
    {
        if (format is Format.Text or Format.Answer) waiting.Take(message);
        if (format == Format.Text) view.Take(message);
        else if (message is PodMessage.Entered { Entry: Entry.Notification { Level: not "info" } notice } && format == Format.Answer)
            s.Screen.Warn($"{notice.Source}: {notice.Message}");
        else if (message is PodMessage.Entered entered && format == Format.StreamJson) s.Screen.Json(entered.Seq, entered.Time, entered.Entry);
    }

    private static RunResult Result(RunTally tally, string name, string id, TimeSpan time) => new(
        tally.Answer, name, id, tally.LastRun is { } run ? Amounts.Name(run.Reason) : null, tally.LastRun?.Detail,
        tally.Runs, tally.Turns, tally.InputTokens, tally.OutputTokens, Math.Round(time.TotalSeconds, 3));

    private static void PrintResult(Surroundings s, RunResult result, RunTally tally, Format format)
    {
        var good = tally.LastRun?.Reason == RunEnd.Completed;
        switch (format)
        {
            case Format.Json:
                s.Screen.Json(result, TerminalJson.Default.RunResult);
                break;
            case Format.StreamJson:
                s.Screen.Json(new ResultLine("result", result), TerminalJson.Default.ResultLine);
                break;
            case Format.Answer:
                if (result.Result is { } answer) s.Screen.Line(SafeText.Of(answer).TrimEnd('\n'));
                if (!good) s.Screen.Error(EndWords(result, tally));
                break;
            default:
                if (tally.LastRun is null) s.Screen.Error($"{result.Name} ended in its run");
                s.Screen.Line(
                    $"{result.End ?? "gone"} · {Amounts.Count(result.Turns, "turn")} · {Amounts.Tokens(result.InputTokens)} tokens in, {Amounts.Tokens(result.OutputTokens)} out · {Amounts.Span(TimeSpan.FromSeconds(result.Seconds))} · `yoi log {result.Name}`",
                    Tone.Dim);
                break;
        }
    }

    private static void HintAtKey(Surroundings s, KnownPod pod, string why)
    {
        if (why.StartsWith("authentication:", StringComparison.Ordinal) && pod.Created is { KeySource: { } source })
            s.Screen.Remark(source == "none" ? "no key was sent: `yoi doctor` shows which are found" : $"the key came from {SafeText.Line(source)}: see that it is one of this provider");
    }

    private static string EndWords(RunResult result, RunTally tally) =>
        (tally.LastRun is { } run ? EntryText.RunEndText(run) : $"{result.Name} ended in its run") + $"; `yoi log {result.Name}` shows what it did";

    /// <summary>The exit code of how the last run ended; a signal's own code if one ended it.</summary>
    internal static int Code(RunTally tally, Interrupts? interrupts) => interrupts?.EndCode ?? tally.LastRun?.Reason switch
    {
        _ when tally.Running => ExitCode.RunFailed,
        RunEnd.Completed => ExitCode.Ok,
        RunEnd.Cancelled => interrupts?.Count > 0 ? ExitCode.Interrupted : ExitCode.Cancelled,
        RunEnd.ProviderError => ExitCode.Provider,
        RunEnd.DiskError => ExitCode.Disk,
        _ => ExitCode.RunFailed,
    };
}
