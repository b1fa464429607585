using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Shared;
using Yoi.Shared.Invariants;

namespace Yoi.EndToEnd.Torture;

/// <summary>
/// A tree of depth three that spawns, lends, sends, reads, waits and stops without end while one of ten is killed. A slice of it always;
/// 100 Pods for as long as asked with <c>make load SECONDS=600</c>.
/// </summary>
public sealed class LoadTests(ITestOutputHelper output)
{
    private const string Root = "p";

    private static readonly int Seconds = Slice.IsFull && Environment.GetEnvironmentVariable("YOI_LOAD_SECONDS") is { Length: > 0 } given
        ? int.Parse(given, System.Globalization.CultureInfo.InvariantCulture) : Slice.Of(15, 600);

    private static readonly int Middle = Slice.Of(3, 9), Leaves = Slice.Of(3, 10);

    private readonly Random _random = new(Random.Shared.Next());
    private long _until;

    private bool IsOver => Stopwatch.GetTimestamp() > _until;

    [Fact, Trait("case", "F02")]
    public async Task A_tree_of_depth_three_works_under_kills_and_nobody_starves_or_leaks()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var room = new YoiRoom();
        await using var server = await ModelServer.StartAsync(request => AnswerFor(room.Project, request));
        room.UseModel(server, sandbox: "auto");
        PrivateFile.CreateDirectory(room.Root + "/y");
        PrivateFile.CreateDirectory(room.Directories.State);
        using var table = new TableWatch(room.Directories);
        _until = Stopwatch.GetTimestamp() + (Seconds * Stopwatch.Frequency);
        var started = (await room.RunAsync("start", Root, "--task", "grow", "--write", ".", "--max-children", "20", "--max-depth", "3", "--max-pods", "150", "--max-turns", "100000", "--json")).Expect(0).Json;
        var pid = started.GetProperty("pid").GetInt32();

        await RaiseTreeAsync(room, ct);
        var before = (Descriptors(pid), Threads(pid));
        var killed = await KillAsync(room, pid, ct);
        var processes = new Processes(room, _random);
        await processes.RestAsync(ct);
        var after = (Descriptors(pid), Threads(pid));

        var evidence = new Evidence(room.Directories, table.Seen, [new(started.GetProperty("id").GetString()!, started.GetProperty("seq").GetInt64(), "grow")],
            [.. server.Requests.Select(request => new SentRequest(Minds.Read(request.Body).Pod, request.Body))], Slice.IsFull ? null : new OpenAiWire());
        var journals = evidence.Journals();
        output.WriteLine($"{journals.Count} Pods in all, {journals.Count(journal => journal.IsAlive)} alive at the end, {killed} killed, {server.Requests.Count} requests, {table.Seen.Count} versions of the table seen, {journals.Sum(journal => journal.Records.Count)} entries; "
            + $"the root's descriptors and threads: {before} when all had begun, {after} at the end");
        List<Violation> violations = [.. table.Unreadable, .. Writers.Check(evidence.Tables), .. Histories.Check(evidence, journals), .. Present.AtRest(evidence, journals, await processes.StatusesAsync(ct))];
        room.Keep = violations.Count > 0;
        Assert.True(violations.Count == 0, $"{room.Root}\n{string.Join('\n', violations)}");
        Assert.InRange(after.Item1, 0, before.Item1 + 20);
        Assert.InRange(after.Item2, 0, before.Item2 + 10);
        Assert.True(killed > 0, "nobody was killed");
        // Nobody starves: whoever lives was served.
        Assert.All(journals.Where(journal => journal.IsAlive), journal => Assert.Contains(journal.Records, record => record.Entry is Entry.Assistant));

        (await room.RunAsync(["stop", .. journals.Where(journal => journal.End is null).Select(journal => journal.PodId)])).Expect(0);
        journals = evidence.Journals();
        Assert.Empty(Present.WhenStopped(evidence, journals).Concat(Present.Leftovers(room.Directories, journals)));
    }

    private static async Task RaiseTreeAsync(YoiRoom room, CancellationToken ct)
    {
        var all = 1 + Middle + (Middle * Leaves);
        var began = Stopwatch.GetTimestamp();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (Evidence.Of(room.Directories).Journals().Count < all && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(Seconds)) await ticks.WaitForNextTickAsync(ct);
    }

    /// <summary>Kills a Pod below the root now and then, until the time is over: one of ten of those that were there.</summary>
    private async Task<int> KillAsync(YoiRoom room, int root, CancellationToken ct)
    {
        var killed = 0;
        using var ticks = new PeriodicTimer(TimeSpan.FromSeconds(1));
        do
        {
            var pods = room.Processes().Where(process => process.Pid != root && process.CommandLine.Contains(" serve", StringComparison.Ordinal)).ToList();
            if (pods.Count > 0 && killed < 1 + (Evidence.Of(room.Directories).Journals().Count / 10) && Libc.Kill(pods[Next(pods.Count)].Pid, Libc.SigKill) == 0) killed++;
        }
        while (!IsOver && await ticks.WaitForNextTickAsync(ct));
        return killed;
    }

    private Answer AnswerFor(string project, ReceivedRequest request)
    {
        var asked = Minds.Read(request.Body);
        if (IsOver) return Answer.Says("done");
        // p, p3, p3x7: the name says how deep it stands and where it works.
        var directory = project + asked.Pod[1..].Split('x', StringSplitOptions.RemoveEmptyEntries).Aggregate("", (path, part) => $"{path}/{part}");
        Directory.CreateDirectory(directory);
        var children = asked.Pod == Root ? Middle : asked.Pod.Contains('x', StringComparison.Ordinal) ? 0 : Leaves;
        if (children == 0) return asked.Turn % 3 == 2 ? Answer.Says("written") : Write(asked.Pod, directory, asked.Turn);
        if (asked.Turn == 0) return Minds.Calls([.. Enumerable.Range(1, children).Select(number => Spawn(asked.Pod, directory, number))]);
        var number = Next(children) + 1;
        var child = Child(asked.Pod, number);
        return (asked.Turn % 7) switch
        {
            1 => Minds.Calls([.. Enumerable.Range(1, children).Select(each => ("SendToPod", (object)new { name = Child(asked.Pod, each), message = "go on", mode = "queue" }))]),
            2 => Minds.Call("WaitForPods", new { until = "any", timeout_seconds = 3 }),
            3 => Minds.Call("ReadPodOutput", new { name = child }),
            4 => Minds.Calls(("StopPod", new { name = child }), Spawn(asked.Pod, directory, number)),
            5 => Minds.Call("ListPods", new { }),
            6 when asked.Pod != Root => Answer.Says("one round done"),
            _ => Write(asked.Pod, directory, asked.Turn),
        };
    }

    private static string Child(string pod, int number) => pod == Root ? $"p{number}" : $"{pod}x{number}";

    private static (string, object) Spawn(string pod, string directory, int number)
    {
        Directory.CreateDirectory($"{directory}/{number}");
        return ("SpawnPod", new { name = Child(pod, number), task = "work", scope = new[] { new { target = $"{directory}/{number}", permission = "write" } } });
    }

    private static Answer Write(string pod, string directory, int turn) => Minds.Call("Write", new { file_path = $"{directory}/own.txt", content = $"{pod} {turn}" });

    private int Next(int bound)
    {
        lock (_random) return _random.Next(bound);
    }

    private static int Descriptors(int pid) => Directory.GetFiles($"/proc/{pid}/fd").Length;

    private static int Threads(int pid) => Directory.GetDirectories($"/proc/{pid}/task").Length;
}
