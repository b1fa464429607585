using System.CommandLine;
using Yoi.Demo;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary>
/// <c>yoi demo</c>: a scripted lead and two children at work on a sample repository, in a root of their own that is removed at the end.
/// Shows what journals and scope table say, then judges by them: whatever is not as promised is named and makes the exit code 1.
/// </summary>
internal static class DemoCommand
{
    private const string Job = "Fix both open issues, each in its folder, then release 1.0.1.";
    private static readonly TimeSpan Frame = TimeSpan.FromMilliseconds(100);

    /// <summary>A demo that is not done by then hangs; it takes about six seconds.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    internal static Command Create(Surroundings s)
    {
        var keep = new Option<bool>("--keep") { Description = "Leave repository, journals and scope table, and say where." };
        var json = new Option<bool>("--json") { Description = "Print one object at the end and nothing else." };
        var command = new Command("demo", "Watch a scripted Pod spawn two others, lend, wait and take back. No key, no network.") { keep, json };
        command.SetAction(async (parsed, ct) => await RunAsync(s, parsed.GetValue(keep), parsed.GetValue(json), ct));
        return command;
    }

    private static async Task<int> RunAsync(Surroundings s, bool keep, bool json, CancellationToken ct)
    {
        using var interrupts = new Interrupts();
        var place = NewPlace();
        var (root, script) = (place + "/textkit", place + "/script.jsonc");
        // Its own root: nothing of the user's Pods, scopes or settings is seen or touched. And no warning that commands cannot be held here: it runs none.
        var own = s with
        {
            Screen = new Screen(TextWriter.Null, TextWriter.Null),
            Directories = new YoiDirectories(place + "/home/state", place + "/home/run", place + "/home/config"),
            Cwd = root,
        };
        var screen = json ? new Screen(TextWriter.Null, TextWriter.Null) : s.Screen;
        try
        {
            DemoSample.CopyTo(root, script);
            screen.Line("yoi demo · the model is scripted: no key, no network. All else is real.", Tone.Strong);
            screen.Line($"A lead Pod and two children work on {root}\n", Tone.Dim);
            var began = s.Time.GetTimestamp();
            var (table, why) = await PlayAsync(own, screen, script, interrupts, ct);
            if (why is { } code)
            {
                s.Screen.Remark("stopped; no Pod of the demo is left");
                return code;
            }
            var evidence = Evidence(own, root, table);
            var result = DemoReport.Of(evidence.Stories, DemoChecks.Judge(evidence), root, s.Time.GetElapsedTime(began), keep ? place : null);
            if (json) s.Screen.Json(result, TerminalJson.Default.DemoResult);
            else DemoReport.Print(screen, result);
            foreach (var check in result.Checks.Where(check => check.Fault is not null)) s.Screen.Error($"demo: not as promised: {check.Promise}: {SafeText.Line(check.Fault!, 1200)}");
            if (!result.Ok && !keep) s.Screen.Remark("`yoi demo --keep` leaves the journals to look at");
            return result.Ok ? ExitCode.Ok : ExitCode.RunFailed;
        }
        finally
        {
            // Whatever failed above: files are not taken from under a living Pod.
            foreach (var pod in own.Registry.All().Where(pod => pod.IsAlive)) await own.Stopper.StopAsync(pod, "demo", force: true, CancellationToken.None);
            if (!keep) Directory.Delete(place, recursive: true);
        }
    }

    private static string NewPlace()
    {
        try
        {
            return ScopeRoots.Resolve(Directory.CreateTempSubdirectory("yoi-demo-").FullName, "/");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.RunFailed, $"the demo cannot make a directory in {System.IO.Path.GetTempPath()} ({e.Message}); set TMPDIR to one that can be written");
        }
    }

    /// <summary>The lead's run from start to stop, shown as it goes. The tree is gone when this returns.</summary>
    /// <returns>The table as the run left it, and the exit code of a signal that ended it early.</returns>
    private static async Task<(TableDocument? Table, int? Signal)> PlayAsync(Surroundings s, Screen screen, string script, Interrupts interrupts, CancellationToken ct)
    {
        var wishes = new LaunchWishes(DemoChecks.Lead, s.Cwd, "scripted:" + script, null, [s.Cwd], [], [], [], null, null, null, null, null, null);
        var began = s.Time.GetTimestamp();
        if (await RootLauncher.StartAsync(s, wishes, interrupts, ct) is not { Pod: var lead }) return (null, Signal(interrupts));
        using var table = s.Table;
        using var view = new DemoScreen(screen, s.Cwd);
        await using var tree = new DemoTree(s, lead);
        TableDocument? atTheEnd = null;
        int? signal = null;
        try
        {
            tree.Begin();
            await using (var client = await PodClient.ConnectAsync(s.Directories.Socket(lead.PodId), limit: PodFinder.AnswerLimit, ct: ct))
                await client.RunAsync(Job, ct: ct);
            using var frames = new PeriodicTimer(Frame, s.Time);
            while (atTheEnd is null && await frames.WaitForNextTickAsync(ct))
            {
                var over = Take(tree, view, lead);
                var now = table.Read();
                view.Hold(ScopesCommand.Rows(now));
                view.Draw(s.Time.GetElapsedTime(began));
                signal = Signal(interrupts);
                if (signal is not null || tree.Messages.Completion.IsCompleted || s.Time.GetElapsedTime(began) > Limit) break;
                if (over) atTheEnd = now;
            }
        }
        finally
        {
            await s.Stopper.StopAsync(lead, "demo", force: false, CancellationToken.None);
        }
        while (await tree.Messages.WaitToReadAsync(ct)) Take(tree, view, lead);
        view.Hold(ScopesCommand.Rows(table.Read()));
        view.Draw(s.Time.GetElapsedTime(began));
        return (atTheEnd, signal);
    }

    /// <summary>The exit code of a signal that says: end now. One Ctrl-C is enough: nothing here is worth keeping.</summary>
    private static int? Signal(Interrupts interrupts) => interrupts.EndCode ?? (interrupts.Count > 0 ? ExitCode.Interrupted : null);

    /// <summary>Shows what came. True if the lead's run has ended.</summary>
    private static bool Take(DemoTree tree, DemoScreen view, KnownPod lead)
    {
        var over = false;
        while (tree.Messages.TryRead(out var said))
        {
            view.Take(said.Pod.PodId, said.Message);
            over |= said.Pod.PodId == lead.PodId && said.Message is PodMessage.Entered { Entry: Entry.RunEnded };
        }
        return over;
    }

    /// <summary>Whole journals, files and processes, as they are when everything has ended.</summary>
    private static DemoEvidence Evidence(Surroundings s, string root, TableDocument? table)
    {
        List<PodStory> stories = [];
        List<string> left = [];
        foreach (var pod in s.Registry.All())
        {
            var story = new PodStory(pod.PodId);
            foreach (var record in pod.Journal.Each()) story.Take(record.Seq, record.Time, record.Entry);
            stories.Add(story);
            if (pod.IsAlive) left.Add($"{pod.Name} lives");
            left.AddRange(story.Processes.Where(IsRunning).Select(process => $"process {process.Pid} of {pod.Name} runs"));
        }
        var files = Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories)
            .ToDictionary(path => System.IO.Path.GetRelativePath(root, path), File.ReadAllText, StringComparer.Ordinal);
        return new DemoEvidence(root, stories, table, files, left);
    }

    private static bool IsRunning(Entry.ProcessStarted started)
    {
        using var process = PodProcess.Open(started.Pid, started.StartTime, started.BootId);
        return process is not null;
    }
}
