namespace Yoi.Terminal;

/// <summary>What <c>yoi demo --json</c> prints.</summary>
/// <param name="Model">Always <c>scripted</c>: no model was asked.</param>
/// <param name="Processes">How many Pod processes ran.</param>
/// <param name="Kept">Where the files are; null if they were removed.</param>
internal sealed record DemoResult(
    bool Ok, string Model, double Seconds, int Processes, IReadOnlyList<DemoPod> Pods, IReadOnlyList<DemoRefusal> Refusals,
    IReadOnlyList<DemoCheck> Checks, string? Kept);

/// <summary>One Pod of the demo.</summary>
internal sealed record DemoPod(string Name, string Id, string? Spawner, IReadOnlyList<int> Pids, IReadOnlyList<string> Wrote, int Turns, double Seconds, string? End);

/// <summary>A write that was refused, and why.</summary>
internal sealed record DemoRefusal(string Pod, string Path, string Why);

/// <summary>One thing that the demo promises.</summary>
/// <param name="Fault">What was found instead; null if it is so.</param>
internal sealed record DemoCheck(string Promise, string? Fault);

/// <summary>The end of the demo: who wrote what, times, processes, and each promise with what became of it.</summary>
internal static class DemoReport
{
    internal static DemoResult Of(IReadOnlyList<PodStory> stories, IReadOnlyList<DemoCheck> checks, string root, TimeSpan elapsed, string? kept)
    {
        var names = stories.ToDictionary(story => story.Id, story => story.Name, StringComparer.Ordinal);
        string Short(string path) => path.StartsWith(root + "/", StringComparison.Ordinal) ? path[(root.Length + 1)..] : path;
        return new DemoResult(
            checks.All(check => check.Fault is null), "scripted", Math.Round(elapsed.TotalSeconds, 3), stories.Sum(story => story.Processes.Count),
            [.. stories.Select(story => new DemoPod(
                story.Name, story.Id, story.Created?.Spawner is { } spawner ? names.GetValueOrDefault(spawner.PodId, spawner.Name) : null,
                [.. story.Processes.Select(process => process.Pid)], [.. story.Wrote.Select(file => Short(file.Path)).Distinct()], story.Turns,
                Math.Round((story.Last - story.Began).TotalSeconds, 3), story.End is { } end ? EntryText.EndText(end.Reason, end.By, end.Detail) : null))],
            [.. stories.SelectMany(story => story.Refused.Select(file => new DemoRefusal(story.Name, Short(file.Path), file.Words.Replace(root + "/", "", StringComparison.Ordinal))))],
            checks, kept);
    }

    internal static void Print(Screen screen, DemoResult result)
    {
        screen.Line();
        var table = Listings.Columns("POD", "PROCESS", "WROTE", "TURNS", "TIME", "END");
        var rows = result.Pods.Select(pod => new PodRow(pod.Id, pod.Name, "ended", Spawner: result.Pods.FirstOrDefault(other => other.Name == pod.Spawner)?.Id)).ToList();
        foreach (var (row, prefix) in Listings.Tree(rows))
        {
            var pod = result.Pods.First(pod => pod.Id == row.Id);
            // One file a line, so that the table fits a narrow terminal.
            var files = pod.Wrote.Count == 0 ? ["nothing"] : pod.Wrote;
            for (var i = 0; i < files.Count; i++)
                Listings.Row(table, Spectre.Console.Style.Plain, i > 0 ? ["", "", files[i], "", "", ""] :
                    [prefix + pod.Name, string.Join(", ", pod.Pids), files[i], $"{pod.Turns}", Amounts.Span(TimeSpan.FromSeconds(pod.Seconds)), pod.End ?? "not recorded"]);
        }
        screen.Draw(table);
        screen.Line();
        foreach (var check in result.Checks)
        {
            screen.Write(check.Fault is null ? "ok     " : "FAULT  ", check.Fault is null ? Tone.Good : Tone.Bad);
            screen.Line(check.Promise);
        }
        screen.Line();
        screen.Line($"{Amounts.Count(result.Pods.Count, "Pod")}, {Amounts.Count(result.Processes, "process", "processes")}, {Amounts.Span(TimeSpan.FromSeconds(result.Seconds))}.", Tone.Strong);
        screen.Line("The model was scripted; processes, journals, scopes and files were real.");
        if (result.Kept is not { } kept)
        {
            screen.Line("`yoi demo --keep` leaves them; `yoi run TASK` does the same with a model.", Tone.Dim);
            return;
        }
        screen.Line($"Kept in {kept}; look with:");
        foreach (var verb in new[] { "ps", "log lead", "log words" }) screen.Line($"  YOI_HOME={kept}/home yoi {verb}", Tone.Dim);
    }
}
