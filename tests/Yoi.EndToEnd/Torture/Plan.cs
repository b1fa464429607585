using Yoi.Runtime.Journal;

namespace Yoi.EndToEnd.Torture;

/// <summary>
/// All scenarios in an order that follows from the seed: each failpoint with each action, once and twice in a row, and as many
/// strikes, and half as many full disks, at random moments. When all have been, they come again with other trees.
/// </summary>
internal static class Plan
{
    private static readonly string[] Actions = ["kill", "stop", "eio", "enospc"];

    /// <summary>Every name that is declared. Kept equal to <see cref="Failpoints"/> by a test.</summary>
    internal static IReadOnlyList<string> Points { get; } =
    [
        Failpoints.JournalAppend, Failpoints.JournalAppended, Failpoints.JournalSync,
        Failpoints.TableWrite, Failpoints.TableSync, Failpoints.TableRename, Failpoints.TableDirectorySync,
        Failpoints.LendIntended, Failpoints.LendPending, Failpoints.SpawnExec, Failpoints.ChildStarted,
        Failpoints.ChildAdopt, Failpoints.ChildReady, Failpoints.ChildAccepted, Failpoints.SpawnTask, Failpoints.SpawnUndo,
        Failpoints.SpawnRecord, Failpoints.PodEnding, Failpoints.SocketBound,
        Failpoints.StopShutdown, Failpoints.StopVerified, Failpoints.StopReturned, Failpoints.StopEndEntry,
        Failpoints.DeliverRead, Failpoints.DeliverAppend, Failpoints.FileBeforeRename, Failpoints.ToolBeforeResult, Failpoints.CommandGate,
        Failpoints.QuarantineMove, Failpoints.QuarantineMoved,
    ];

    internal static IEnumerable<Scenario> Of(int seed)
    {
        var random = new Random(seed);
        while (true)
        {
            List<IReadOnlyList<Fault>> round = [[]];
            foreach (var point in Points)
            {
                foreach (var action in Actions)
                {
                    round.Add([At(point, action, random)]);
                    round.Add([At(point, action, random), Recovering(random, action)]);
                }
            }
            for (var strikes = 0; strikes < 2 * Points.Count; strikes++) round.Add([Strike(random)]);
            for (var fills = 0; SmallDisk.IsPossible && fills < Points.Count; fills++) round.Add([new Fault.Fill(random.Next(1, 30))]);
            var shuffled = round.ToArray();
            random.Shuffle(shuffled);
            foreach (var faults in shuffled) yield return new Scenario(random.Next(), faults);
        }
    }

    private static Fault.At At(string point, string action, Random random) =>
        new(point, action, random.Next(1, Passes(point) + 1), point.StartsWith("stop.", StringComparison.Ordinal) || random.Next(5) == 0 ? Phase.Stop : Phase.Work);

    /// <summary>A fault while the one before is mended: in what a restore or a stop passes.</summary>
    private static Fault.At Recovering(Random random, string action)
    {
        string[] points = [.. Points.Where(point => point.StartsWith("stop.", StringComparison.Ordinal) || point.StartsWith("table.", StringComparison.Ordinal) || point.StartsWith("journal.", StringComparison.Ordinal))];
        var point = points[random.Next(points.Length)];
        return new(point, action, random.Next(1, 4), !point.StartsWith("stop.", StringComparison.Ordinal) && random.Next(3) > 0 ? Phase.Restore : Phase.Stop);
    }

    private static Fault.Strike Strike(Random random) => new(random.Next(3) == 0 ? "stop" : "kill", random.Next(1, 30));

    /// <summary>How often a process passes it in a scenario, roughly.</summary>
    private static int Passes(string point) => point[..point.IndexOf('.')] switch
    {
        "journal" => 25,
        "table" => 3,
        "tool" or "file" or "deliver" => 3,
        _ => 1,
    };
}
