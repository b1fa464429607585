using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Yoi.Protocol;

namespace Yoi.Benchmarks.Figures;

/// <summary>How long it takes until a Pod is there, has a task, begins to work.</summary>
internal static class StartFigures
{
    private const string Section = "Starting";

    internal static async Task MeasureAsync(Report report, Binary binary)
    {
        report.Add(Section, "size of the binary", binary, string.Create(CultureInfo.InvariantCulture, $"{new FileInfo(binary.Path).Length / 1_048_576.0:0.0} MiB"));
        using var place = Place.InMemory();
        if (binary.Empty is { } empty && File.Exists(empty))
            report.Add(Section, "for comparison: exec of an empty program to its first byte", binary, await Samples.OfAsync(20, _ => EmptyAsync(empty)));
        report.Add(Section, "exec to socket accepting", binary, await Samples.OfAsync(20, _ => ExecAsync(binary, place)), "77 ms", "15 ms");
        report.Add(Section, "SpawnPod to task acknowledged", binary, await SpawnAsync(binary, place, 20), "105–109 ms", "40 ms");
        report.Add(Section, "connect and run to turn_start", binary, await RunAsync(binary, place, 100), "0.15–0.8 ms");
    }

    private static async Task<TimeSpan> EmptyAsync(string program)
    {
        var began = Stopwatch.GetTimestamp();
        using var process = Process.Start(new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await process.StandardOutput.BaseStream.ReadExactlyAsync(new byte[1]);
        var taken = Stopwatch.GetElapsedTime(began);
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return taken;
    }

    private static async Task<TimeSpan> ExecAsync(Binary binary, Place place)
    {
        var document = place.Document("solo");
        var began = Stopwatch.GetTimestamp();
        var pod = await BenchPod.LaunchAsync(binary.Path, document);
        var taken = Stopwatch.GetElapsedTime(began);
        await BenchPod.EndAsync([pod]);
        return taken;
    }

    internal static async Task<Samples> SpawnAsync(Binary binary, Place place, int count)
    {
        await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead"));
        return await Samples.OfAsync(count, async i =>
        {
            var taken = await pod.CallAsync("SpawnPod", Spawning($"child{i}", place.Folder($"child{i}")));
            await pod.CallAsync("StopPod", $$"""{"name":"child{{i}}"}""");
            return taken;
        });
    }

    internal static string Spawning(string name, string folder, string task = "hello") =>
        $$"""{"name":"{{name}}","task":"{{task}}","scope":[{"target":"{{folder}}","permission":"write"}]}""";

    /// <summary>A base client: connects, sends one line, reads until the turn has begun.</summary>
    internal static async Task<Samples> RunAsync(Binary binary, Place place, int count)
    {
        await using var pod = await BenchPod.StartAsync(binary.Path, place.Document("lead"));
        return await Samples.OfAsync(count, async _ =>
        {
            var began = Stopwatch.GetTimestamp();
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(pod.Socket));
            await socket.SendAsync(Encoding.UTF8.GetBytes("""{"method":"run","params":{"input":"hello"}}""" + "\n"));
            using var reader = new StreamReader(new NetworkStream(socket));
            while (await reader.ReadLineAsync() is { } line)
                if (line.Contains("turn_start", StringComparison.Ordinal)) break;
            var taken = Stopwatch.GetElapsedTime(began);
            await pod.SeeAsync<Entry.RunEnded>(_ => true);
            return taken;
        });
    }
}
