using System.Globalization;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks.Figures;

/// <summary>What Pods cost that do nothing: memory, processor time, wake-ups.</summary>
internal static class IdleFigures
{
    private const string Section = "Idle Pods";
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(3), Watching = TimeSpan.FromSeconds(10);

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        foreach (var count in new[] { 1, 20, 50 })
        {
            using var place = Place.InMemory();
            List<LaunchedPod> pods = [];
            for (var i = 0; i < count; i++) pods.Add(await BenchPod.LaunchAsync(binary.Path, place.Document($"solo{i}")));
            await Task.Delay(Settling, TimeProvider.System);
            var (cpu, wakes) = (pods.Sum(pod => Ticks(pod.Pid)), pods.ConvertAll(pod => Switches(pod.Pid)));
            await Task.Delay(Watching, TimeProvider.System);
            cpu = pods.Sum(pod => Ticks(pod.Pid)) - cpu;
            // Thread by thread: one that ended meanwhile would take its count away from the sum.
            var woken = pods.Zip(wakes).Sum(pair => Switches(pair.First.Pid).Sum(thread => thread.Value - pair.Second.GetValueOrDefault(thread.Key)));
            var (pss, own) = (pods.Average(pod => Memory(pod.Pid, "Pss:")), pods.Average(pod => Memory(pod.Pid, "Private_Clean:", "Private_Dirty:")));
            var (all, who) = count == 1 ? ("1 Pod", "1 Pod") : ($"{count} Pods", $"{count} Pods, each");
            Claim.Exactly(count, pods.Count(pod => !pod.Process.Exited.IsCompleted), "Pods that live");
            report.Add(Section, $"PSS, {who}", binary, Mib(pss), count == 50 ? "3.6 MB" : "", count == 1 ? "" : "2.5 MB");
            report.Add(Section, $"private memory, {who}", binary, Mib(own));
            report.Add(Section, $"processor time in 10 s, {all}", binary, $"{cpu * 10} ms", "0", "0");
            report.Add(Section, $"wake-ups in 10 s, {all}", binary, woken, "0", "0");
            await BenchPod.EndAsync(pods);
        }
    }

    /// <summary>Memory that a process shares with no other.</summary>
    internal static string Private(int pid) => Mib(Memory(pid, "Private_Clean:", "Private_Dirty:"));

    private static string Mib(double kib) => string.Create(CultureInfo.InvariantCulture, $"{kib / 1024:0.0} MB");

    private static double Memory(int pid, params string[] fields) => File.ReadLines($"/proc/{pid}/smaps_rollup")
        .Where(line => fields.Any(field => line.StartsWith(field, StringComparison.Ordinal)))
        .Sum(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));

    /// <summary>Hundredths of a second in user and kernel mode.</summary>
    private static long Ticks(int pid)
    {
        var fields = File.ReadAllText($"/proc/{pid}/stat").Split(") ")[1].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }

    private static Dictionary<string, long> Switches(int pid) => Directory.EnumerateDirectories($"/proc/{pid}/task")
        .ToDictionary(task => task, task => File.ReadLines(task + "/status")
            .Where(line => line.StartsWith("voluntary_ctxt_switches:", StringComparison.Ordinal))
            .Sum(line => long.Parse(line.Split('\t')[1], CultureInfo.InvariantCulture)));
}
