using System.Globalization;
using System.Text;

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
            await pod.CallAsync("StopPod", """{"name":"talker"}""");
        }
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
