using System.Diagnostics;
using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Benchmarks.Figures;

/// <summary>A Pod with a million entries behind it that was killed: until it is there again, until it works, and what it holds in memory.</summary>
internal static class LongLifeFigures
{
    private const string Section = "A long life";
    private const string Pod = "old";
    private const int Entries = 1_000_000;

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        using var place = Place.InMemory();
        var pods = new PodRegistry(YoiDirectories.Find(name => name == "YOI_HOME" ? place.Home : null, 0));
        await CallAsync(binary, place, "start", Pod, "--read", ".", "--model", "scripted:" + place.Script("""{ "pods": { "*": { "commands": true } } }"""));
        await KillAsync(pods);
        LongJournal.Append(Path.Combine(pods.Newest(Pod)!.Directory, PodFiles.Journal), Entries);
        Claim.AtLeast(Entries, pods.Newest(Pod)!.Journal.Each().LongCount(), "entries");
        var back = new Samples();
        for (var i = 0; i < 5; i++)
        {
            if (i > 0) await KillAsync(pods);
            back.Add(await CallAsync(binary, place, "restore", Pod));
        }
        report.Add(Section, "killed, to `yoi restore` told of its status, 1,000,000 entries", binary, back, "", "2 s");
        report.Add(Section, "private memory, idle, 1,000,000 entries", binary, Held(pods));
        report.Add(Section, "its first turn then, the whole conversation in the request", binary, await Samples.OfAsync(1, _ => TurnAsync(pods, place)));
        await CallAsync(binary, place, "stop", Pod);
    }

    private static async Task<TimeSpan> CallAsync(Binary binary, Place place, params string[] args)
    {
        var began = Stopwatch.GetTimestamp();
        var info = new ProcessStartInfo(binary.Path, args) { WorkingDirectory = place.Work, RedirectStandardOutput = true, RedirectStandardError = true };
        info.Environment["YOI_HOME"] = place.Home;
        using var process = Process.Start(info)!;
        var said = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        var taken = Stopwatch.GetElapsedTime(began);
        if (process.ExitCode != 0) throw new InvalidOperationException($"yoi {string.Join(' ', args)}: {await said.Item1}{await said.Item2}");
        return taken;
    }

    private static async Task<TimeSpan> TurnAsync(PodRegistry pods, Place place)
    {
        await using var client = await PodClient.ConnectAsync($"{place.Home}/run/{pods.Newest(Pod)!.PodId}.sock");
        var head = (await client.StatusAsync()).HeadSeq;
        var began = Stopwatch.GetTimestamp();
        await client.RunAsync("hello");
        await foreach (var message in client.AttachAsync(head + 1))
            if (message is PodMessage.Entered { Entry: Entry.Assistant }) return Stopwatch.GetElapsedTime(began);
        throw new IOException("the Pod ended in its turn");
    }

    private static async Task KillAsync(PodRegistry pods)
    {
        using var process = pods.Newest(Pod)!.FindProcess() ?? throw new InvalidOperationException("it does not live");
        process.Signal(Libc.SigKill);
        await process.Exited;
    }

    private static string Held(PodRegistry pods)
    {
        using var process = pods.Newest(Pod)!.FindProcess() ?? throw new InvalidOperationException("it does not live");
        var kib = File.ReadLines($"/proc/{process.Pid}/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1];
        return string.Create(CultureInfo.InvariantCulture, $"{long.Parse(kib, CultureInfo.InvariantCulture) / 1024.0:0.0} MB");
    }
}
