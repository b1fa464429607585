using System.Globalization;
using System.Text;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks.Figures;

/// <summary>ReadPodOutput must not cost more when the child's journal is long.</summary>
internal static class ReadFigures
{
    private const string Section = "Reading a child with a long journal";
    private const string Read = "ReadPodOutput", Name = """{"name":"talker"}""";
    private const int CallsInTurn = 8, EntriesInTurn = CallsInTurn + 2, Further = 40;

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
            var folder = place.Folder("talker");
            var script = place.Script(Talker((entries / EntriesInTurn) + 1, folder));
            await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead", script));
            await pod.CallAsync("SpawnPod", StartFigures.Spawning("talker", folder));
            await pod.CallAsync("WaitForPods", """{"names":["talker"]}""");
            var child = (await pod.StatusAsync()).Children.Single();
            Claim.AtLeast(entries, new KnownPod(child.Name, child.PodId, place.Directories.Pod(child.Name, child.PodId)).Journal.Each().Count(), "entries");
            var number = entries.ToString("#,0", CultureInfo.InvariantCulture);
            var all = new Samples();
            all.Add(await pod.CallAsync(Read, Name));
            report.Add(Section, $"all new, {number} entries", binary, all);
            await pod.CallAsync(Read, """{"name":"talker","max_bytes":40000}"""); // To the end.
            report.Add(Section, $"a run with one call, nothing new, {number} entries", binary, await Samples.OfAsync(30, _ => pod.CallAsync(Read, Name)));
            report.Add(Section, $"for comparison: a run of that Pod with one call of Glob in an empty folder, {number} entries", binary, await Samples.OfAsync(30, _ => pod.EmptyCallAsync()));
            report.Add(Section, $"the read: a further call in the same turn, nothing new, {number} entries", binary, await FurtherAsync(pod), nothing, "0.3 ms");
            await pod.CallAsync("StopPod", Name);
            await pod.CallAsync(Read, Name);
            report.Add(Section, $"the read: a further call in the same turn, nothing new, {number} entries of a dead child", binary, await FurtherAsync(pod), target: "0.3 ms");
        }
    }

    /// <summary>
    /// The tool in the Pod that is measured, without a round trip, a run and a model: what a turn of many calls takes longer than one of a
    /// single call, for each of them. To write the result's entry is in it.
    /// </summary>
    private static async Task<Samples> FurtherAsync(BenchPod pod)
    {
        var single = await Samples.OfAsync(30, _ => pod.CallAsync(Read, Name));
        var many = await Samples.OfAsync(30, _ => pod.CallsAsync(Read, Name, 1 + Further));
        return many.Less(single.Median).Over(Further);
    }

    /// <summary>
    /// Ten entries a turn: its start, a message with a line of text and eight calls, their results. One of the calls is another in each turn:
    /// a run that goes in circles is ended.
    /// </summary>
    private static string Talker(int turns, string folder)
    {
        var same = string.Join(',', Enumerable.Repeat("""{"name":"ListPods","arguments":{}}""", CallsInTurn - 1));
        var replies = new StringBuilder();
        for (var i = 1; i < turns; i++)
            replies.Append($$$"""{"text":"line {{{i}}}","calls":[{"name":"Glob","arguments":{"pattern":"{{{i}}}","path":"{{{folder}}}"}},{{{same}}}]},""");
        return """{"pods":{"*":{"commands":true},"talker":{"replies":[""" + replies + """{"text":"done"}]}}}""";
    }
}
