using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Pods;

namespace Yoi.Benchmarks.Figures;

/// <summary>ReadPodOutput must not cost more when the child's journal is long.</summary>
internal static class ReadFigures
{
    private const string Section = "Reading a child with a long journal";
    private const int CallsInTurn = 8, EntriesInTurn = CallsInTurn + 2;

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        using (var place = Place.InMemory())
        {
            await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead"));
            report.Add(Section, "for comparison: a call of Glob in an empty folder", binary, await Samples.OfAsync(30, _ => pod.CallAsync("Glob", """{"pattern":"*"}""")));
        }
        foreach (var (entries, nothing) in new[] { (10, "0.13 ms"), (1_000, "2.1 ms"), (20_000, "71 ms") })
        {
            using var place = Place.InMemory();
            var script = place.Script(Talker(Math.Max(1, entries / EntriesInTurn)));
            await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead", script));
            await pod.CallAsync("SpawnPod", StartFigures.Spawning("talker", place.Folder("talker")));
            await pod.CallAsync("WaitForPods", """{"names":["talker"]}""");
            var number = entries.ToString("#,0", CultureInfo.InvariantCulture);
            var all = new Samples();
            all.Add(await pod.CallAsync("ReadPodOutput", """{"name":"talker"}"""));
            report.Add(Section, $"all new, {number} entries", binary, all);
            await pod.CallAsync("ReadPodOutput", """{"name":"talker","max_bytes":40000}"""); // To the end.
            report.Add(
                Section, $"nothing new, {number} entries", binary, await Samples.OfAsync(30, _ => pod.CallAsync("ReadPodOutput", """{"name":"talker"}""")), nothing, "0.3 ms");
            report.Add(Section, $"the tool alone, nothing new, {number} entries", binary, await AloneAsync(pod, place, living: true), target: "0.3 ms");
            await pod.CallAsync("StopPod", """{"name":"talker"}""");
            report.Add(Section, $"the tool alone, nothing new, {number} entries of a dead child", binary, await AloneAsync(pod, place, living: false), target: "0.3 ms");
        }
    }

    /// <summary>
    /// Without a round trip, a run and a model: the tool in this process, called as ToolRunner calls it, over the journal of a real child. What is
    /// compared between the columns is the child, which a living one is asked what it does.
    /// </summary>
    private static async Task<Samples> AloneAsync(BenchPod spawner, Place place, bool living)
    {
        var name = living ? "reader" : "reader-of-the-dead";
        var directory = place.Directories.Pod(name, PodName.NewId(TimeProvider.System));
        using var podLock = PodLock.TryTake(directory) ?? throw new InvalidOperationException($"{directory} is taken");
        await using var desk = new NewsDesk(place.Directories);
        await using var journal = JournalWriter.Open(directory, podLock, [desk], TimeProvider.System);
        await journal.AppendAsync(Durability.Written, await spawner.SeeFirstAsync<Entry.ChildSpawned>());
        desk.Start(journal);
        var tool = new ReadPodOutputTool(new Children(place.Directories, desk, TimeProvider.System), TimeProvider.System);
        using var arguments = JsonDocument.Parse("""{"name":"talker","max_bytes":40000}""");
        var call = new ToolCall("call", "ReadPodOutput", arguments.RootElement);
        ToolOutcome read;
        for (var warm = 0; warm < 100; warm++)
        {
            do read = await tool.RunAsync(call, CancellationToken.None);
            while (read.Summary.Contains("has_more", StringComparison.Ordinal));
        }
        return await Samples.OfAsync(100, async _ =>
        {
            var began = Stopwatch.GetTimestamp();
            var outcome = await tool.RunAsync(call, CancellationToken.None);
            var taken = Stopwatch.GetElapsedTime(began);
            return outcome.Content is null ? taken : throw new InvalidOperationException($"there was something new: {outcome.Content}");
        });
    }

    /// <summary>Ten entries a turn: its start, a message with a line of text and eight calls, their results.</summary>
    private static string Talker(int turns)
    {
        var calls = string.Join(',', Enumerable.Repeat("""{"name":"ListPods","arguments":{}}""", CallsInTurn));
        var replies = new StringBuilder();
        for (var i = 1; i < turns; i++) replies.Append($$$"""{"text":"line {{{i}}}","calls":[{{{calls}}}]},""");
        return """{"pods":{"*":{"commands":true},"talker":{"replies":[""" + replies + """{"text":"done"}]}}}""";
    }
}
