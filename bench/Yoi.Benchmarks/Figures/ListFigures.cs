using Yoi.Runtime.Linux;

namespace Yoi.Benchmarks.Figures;

/// <summary>ListPods with many children, dead ones and one that does not answer; reading from and sending to that one.</summary>
internal static class ListFigures
{
    private const string Section = "Children";

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        using var place = Place.InMemory();
        await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead"));
        var living = 0;
        foreach (var (count, original) in new[] { (1, ""), (10, ""), (50, "3.9 ms") })
        {
            for (; living < count; living++) await pod.CallAsync("SpawnPod", StartFigures.Spawning($"c{living}", place.Folder($"c{living}")));
            var times = count == 1 ? "1 child" : $"{count} children";
            await CountAsync(pod, living: count, dead: 0);
            report.Add(Section, $"ListPods, {times}", binary, await ListAsync(pod), original);
        }
        for (var i = 0; i < 10; i++) await pod.CallAsync("StopPod", $$"""{"name":"c{{i}}"}""");
        await CountAsync(pod, living: 40, dead: 10);
        report.Add(Section, "ListPods, 40 children and 10 dead", binary, await ListAsync(pod));

        var held = (await pod.StatusAsync()).Children.Single(child => child.Name == "c49");
        using var process = new Yoi.Runtime.Spawning.KnownPod(held.Name, held.PodId, place.Directories.Pod(held.Name, held.PodId)).FindProcess()
            ?? throw new InvalidOperationException("c49 is not there");
        process.Signal(Libc.SigStop);
        report.Add(Section, "ListPods, one of 40 held by SIGSTOP", binary, await ListAsync(pod), "5.0 s", "1 s");
        report.Add(Section, "ReadPodOutput of it", binary, await Samples.OfAsync(10, _ => pod.CallAsync("ReadPodOutput", """{"name":"c49"}""")), "5.0 s", "10 ms");
        report.Add(Section, "SendToPod to it, refused", binary, await Samples.OfAsync(5, _ => pod.CallAsync("SendToPod", """{"name":"c49","message":"x"}""", mayFail: true)), "5.0 s", "1 s");
        process.Signal(Libc.SigCont);
        for (; living > 10; living--) await pod.CallAsync("StopPod", $$"""{"name":"c{{living - 1}}"}""");
    }

    /// <summary>What its journal says: of all that were spawned, those that have not ended live.</summary>
    private static async Task CountAsync(BenchPod pod, int living, int dead)
    {
        var children = (await pod.StatusAsync()).Children;
        Claim.Exactly(living, children.Count(child => !child.Ended), "children that live");
        Claim.Exactly(dead, children.Count(child => child.Ended), "children that are dead");
    }

    private static Task<Samples> ListAsync(BenchPod pod) => Samples.OfAsync(10, _ => pod.CallAsync("ListPods", "{}"));
}
