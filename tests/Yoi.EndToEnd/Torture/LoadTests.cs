using System.Diagnostics;
using System.Globalization;
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

    private static readonly int Seconds = Slice.IsFull ? Number("YOI_LOAD_SECONDS", 600) : 15, Seed = Number("YOI_LOAD_SEED", Random.Shared.Next());

    private static readonly int Middle = Slice.Of(3, 9), Leaves = Slice.Of(3, 10);

    /// <summary>Who lived for that long at the end had a turn meanwhile: many rounds of a tree at work.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(Math.Clamp(Seconds / 3, 10, 20));

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } given ? int.Parse(given, CultureInfo.InvariantCulture) : otherwise;

    private readonly Random _random = new(Seed);
    private long _until;

    private bool IsOver => Stopwatch.GetTimestamp() > _until;

    [Fact, Trait("case", "F02")]
    public async Task A_tree_of_depth_three_works_under_kills_and_nobody_starves_or_leaks()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var room = new YoiRoom();
        output.WriteLine($"SEED={Seed} SECONDS={Seconds} {room.Root}");
        await using var server = await ModelServer.StartAsync(request => AnswerFor(room, request));
        room.UseModel(server, sandbox: "auto");
        PrivateFile.CreateDirectory(room.Root + "/y");
        PrivateFile.CreateDirectory(room.Directories.State);
        using var table = new TableWatch(room.Directories);
        _until = Stopwatch.GetTimestamp() + (Seconds * Stopwatch.Frequency);
        // Who is killed leaves its children to the root.
        var started = (await room.RunAsync("start", Root, "--task", "grow", "--write", ".", "--max-children", "200", "--max-depth", "3", "--max-pods", "200", "--max-turns", "100000", "--json")).Expect(0).Json;
        var pid = started.GetProperty("pid").GetInt32();

        await RaiseTreeAsync(room, ct);
        var before = Open.Of(room);
        var killed = await KillAsync(room, pid, ct);
        var over = TimeProvider.System.GetUtcNow();
        var processes = new Processes(room, _random);
        await processes.RestAsync(ct);
        var after = Open.Of(room);

        var evidence = new Evidence(room.Directories, table.Seen, [new(started.GetProperty("id").GetString()!, started.GetProperty("seq").GetInt64(), "grow")],
            [.. server.Requests.Select(request => new SentRequest(Minds.Read(request.Body).Pod, request.Body))], Slice.IsFull ? null : new OpenAiWire());
        var journals = evidence.Journals();
        var alive = journals.Where(journal => journal.IsAlive).ToList();
        output.WriteLine($"{journals.Count} Pods in all, {alive.Count} alive at the end, {killed} killed, {server.Requests.Count} requests, {table.Seen.Count} versions of the table seen, {journals.Sum(journal => journal.Records.Count)} entries; "
            + $"{Open.Told(before)} when all had begun, {Open.Told(after)} at the end");
        List<Violation> violations = [.. table.Unreadable, .. Writers.Check(evidence.Tables), .. Histories.Check(evidence, journals), .. Present.AtRest(evidence, journals, await processes.StatusesAsync(ct))];
        room.Keep = true; // Until all holds: else what is left running would be the failure that is told.
        Assert.True(violations.Count == 0, $"{room.Root}\n{string.Join('\n', violations)}");
        Assert.InRange(killed, (journals.Count / 10) - 2 - (journals.Count / 50), (journals.Count / 10) + 2);
        Open.AssertFlat(before, after);
        AssertNobodyStarved(alive, over);

        (await room.RunAsync(["stop", .. journals.Where(journal => journal.End is null).Select(journal => journal.PodId)])).Expect(0);
        journals = evidence.Journals();
        Assert.Empty(Present.WhenStopped(evidence, journals).Concat(Present.Leftovers(room.Directories, journals)));
        room.Keep = false;
    }

    /// <summary>Whoever lived all that time was served in it.</summary>
    private void AssertNobodyStarved(IReadOnlyList<PodJournal> alive, DateTimeOffset over)
    {
        var old = alive.Where(journal => journal.Records.Last(record => record.Entry is Entry.ProcessStarted).Time < over - Patience).ToList();
        output.WriteLine($"{old.Count} lived for the last {Patience.TotalSeconds} s");
        Assert.NotEmpty(old);
        string[] starved = [.. old.Where(journal => !journal.Records.Any(record => record.Entry is Entry.TurnStart && record.Time >= over - Patience && record.Time <= over)).Select(journal => journal.ToString())];
        Assert.True(starved.Length == 0, $"without a turn in the last {Patience.TotalSeconds} s: {string.Join(", ", starved)}");
    }

    private static async Task RaiseTreeAsync(YoiRoom room, CancellationToken ct)
    {
        var all = 1 + Middle + (Middle * Leaves);
        var began = Stopwatch.GetTimestamp();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (Pods(room).Count < all && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(Seconds)) await ticks.WaitForNextTickAsync(ct);
    }

    /// <summary>The directories of all Pods that ever were, oldest first.</summary>
    private static List<string> Pods(YoiRoom room) =>
        Directory.Exists(room.Directories.Pods) ? [.. Directory.GetDirectories(room.Directories.Pods).OrderBy(path => path[(path.LastIndexOf('.') + 1)..], StringComparer.Ordinal)] : [];

    /// <summary>Kills any Pod below the root, until the time is over, so that it is one of ten of those that ever were.</summary>
    private async Task<int> KillAsync(YoiRoom room, int root, CancellationToken ct)
    {
        var killed = 0;
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        do
        {
            var pods = room.Processes().Where(process => process.Pid != root && process.CommandLine.Contains(" serve", StringComparison.Ordinal)).Select(process => process.Pid).ToList();
            for (var owed = (Pods(room).Count / 10) - killed; owed > 0 && pods.Count > 0; owed--)
            {
                var pid = pods[Next(pods.Count)];
                pods.Remove(pid);
                if (Libc.Kill(pid, Libc.SigKill) == 0) killed++;
            }
        }
        while (!IsOver && await ticks.WaitForNextTickAsync(ct));
        return killed;
    }

    private Answer AnswerFor(YoiRoom room, ReceivedRequest request)
    {
        var asked = Minds.Read(request.Body);
        if (IsOver) return Answer.Says("done");
        // p, p3, p3x7: the name says how deep it stands and where it works.
        var directory = room.Project + asked.Pod[1..].Split('x', StringSplitOptions.RemoveEmptyEntries).Aggregate("", (path, part) => $"{path}/{part}");
        Directory.CreateDirectory(directory);
        var children = asked.Pod == Root ? Middle : asked.Pod.Contains('x', StringComparison.Ordinal) ? 0 : Leaves;
        if (children == 0) return asked.Turn % 3 == 2 ? Answer.Says("written") : Write(asked.Pod, directory, asked.Turn);
        var all = Enumerable.Range(1, children).ToArray();
        if (asked.Turn == 0) return Minds.Calls([.. all.Select(number => Spawn(asked.Pod, directory, number))]);
        var number = Next(children) + 1;
        var child = Child(asked.Pod, number);
        return (asked.Turn % 7) switch
        {
            1 => Minds.Calls([.. all.Select(each => Child(asked.Pod, each)).Concat(Dead(room, asked.Pod, all).SelectMany(each => Below(asked.Pod, each))).Select(name => ("SendToPod", (object)new { name, message = "go on", mode = "queue" }))]),
            2 => Minds.Call("WaitForPods", new { until = "any", timeout_seconds = 3 }),
            3 => Minds.Call("ReadPodOutput", new { name = child }),
            4 => Minds.Calls(("StopPod", new { name = child }), Spawn(asked.Pod, directory, number)),
            // Who was killed comes again, when what it had lent is back.
            5 => Minds.Calls([("ListPods", new { }), .. Dead(room, asked.Pod, all).SelectMany(each => Below(asked.Pod, each).Select(name => ("StopPod", (object)new { name })).Append(Spawn(asked.Pod, directory, each)))]),
            6 when asked.Pod != Root => Answer.Says("one round done"),
            _ => Write(asked.Pod, directory, asked.Turn),
        };
    }

    private static IEnumerable<int> Dead(YoiRoom room, string pod, int[] children)
    {
        var newest = Pods(room).ToLookup(path => Path.GetFileName(path).Split('.')[0], StringComparer.Ordinal);
        return children.Where(number => newest[Child(pod, number)].LastOrDefault() is { } path && !PodLock.IsAlive(path));
    }

    /// <summary>The children of a child, which are its spawner's when it is gone.</summary>
    private static IEnumerable<string> Below(string pod, int number) => pod == Root ? Enumerable.Range(1, Leaves).Select(leaf => Child(Child(pod, number), leaf)) : [];

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

    /// <summary>What a Pod has open.</summary>
    private sealed record Open(string Name, int Pid, int Descriptors, int Threads)
    {
        private const int MoreDescriptors = 20, MoreThreads = 10;

        private int Depth => Name == Root ? 0 : Name.Contains('x', StringComparison.Ordinal) ? 2 : 1;

        /// <summary>Of each that lives.</summary>
        internal static List<Open> Of(YoiRoom room)
        {
            List<Open> found = [];
            foreach (var journal in Evidence.Of(room.Directories).Journals().Where(journal => journal.IsAlive))
            {
                if (journal.Records.Select(record => record.Entry).OfType<Entry.ProcessStarted>().LastOrDefault() is not { Pid: var pid }) continue;
                try
                {
                    found.Add(new Open(journal.Name, pid, Directory.GetFiles($"/proc/{pid}/fd").Length, Directory.GetDirectories($"/proc/{pid}/task").Length));
                }
                catch (DirectoryNotFoundException)
                {
                    // It ended meanwhile.
                }
            }
            return found;
        }

        internal static string Told(List<Open> all) =>
            string.Join(", ", all.GroupBy(open => open.Depth).OrderBy(depth => depth.Key).Select(depth => $"at depth {depth.Key} up to {depth.Max(open => open.Descriptors)} descriptors and {depth.Max(open => open.Threads)} threads"));

        /// <summary>None has many more than it had; one that came later, than those had that stood where it stands.</summary>
        internal static void AssertFlat(List<Open> before, List<Open> after)
        {
            Assert.NotEmpty(after);
            foreach (var open in after)
            {
                var like = before.Where(one => one.Pid == open.Pid).DefaultIfEmpty().First() is { } same ? [same] : before.Where(one => one.Depth == open.Depth).ToList();
                Assert.NotEmpty(like);
                Assert.True(open.Descriptors <= like.Max(one => one.Descriptors) + MoreDescriptors && open.Threads <= like.Max(one => one.Threads) + MoreThreads,
                    $"{open}; before: {string.Join(", ", like)}");
            }
        }
    }
}
