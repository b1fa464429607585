using Yoi.Runtime.Journal;

namespace Yoi.EndToEnd.Torture;

/// <summary>
/// All scenarios in an order that follows from the seed. First each failpoint with each action, alone; between them strikes and full disks at
/// random moments. Then the same with a second fault behind. When all have been, they come again with other trees.
/// </summary>
internal static class Plan
{
    internal static IReadOnlyList<string> Actions { get; } = ["kill", "stop", "eio", "enospc"];

    /// <summary>Of so many scenarios with a fault at a failpoint, how many come before one with a strike or a full disk.</summary>
    private const int Between = 2;

    /// <summary>Every name that is declared, but for those that no scenario passes. Kept equal to <see cref="Failpoints"/> by a test.</summary>
    internal static IReadOnlyList<string> Points { get; } =
    [
        Failpoints.JournalAppend, Failpoints.JournalAppended, Failpoints.JournalSync, Failpoints.JournalCut, Failpoints.JournalAgain,
        Failpoints.TableWrite, Failpoints.TableSync, Failpoints.TableRename, Failpoints.TableDirectorySync, Failpoints.TableRemember,
        Failpoints.StateLock, Failpoints.StateLockSync, Failpoints.DirectoryMake, Failpoints.DirectorySync,
        Failpoints.LendIntended, Failpoints.LendPending, Failpoints.SpawnExec, Failpoints.ChildStarted,
        Failpoints.ChildAdopt, Failpoints.ChildJournal, Failpoints.ChildReady, Failpoints.ChildAccepted, Failpoints.SpawnTask, Failpoints.SpawnUndo,
        Failpoints.SpawnRecord, Failpoints.PodEnding, Failpoints.SocketBound,
        Failpoints.StopShutdown, Failpoints.StopVerified, Failpoints.StopReturned, Failpoints.StopEndEntry,
        Failpoints.DeliverRead, Failpoints.DeliverAppend, Failpoints.FileSync, Failpoints.FileBeforeRename, Failpoints.FileDirectorySync,
        Failpoints.SpareMark, Failpoints.SpareSettle,
        Failpoints.ToolBeforeResult, Failpoints.CommandPut, Failpoints.CommandMark, Failpoints.CommandGate, Failpoints.CommandFound, Failpoints.CommandRemove,
        Failpoints.QuarantineMove, Failpoints.QuarantineMoved, Failpoints.UnbornRemove,
        Failpoints.ReplaceWrite, Failpoints.ReplaceSync, Failpoints.ReplaceRename, Failpoints.ReplaceDirectorySync, Failpoints.TreeUnlink,
    ];

    internal static IEnumerable<Scenario> Of(int seed)
    {
        var random = new Random(seed);
        while (true)
        {
            List<IReadOnlyList<Fault>> singles = [[]], doubles = [], others = [];
            foreach (var point in Points)
            {
                foreach (var action in Actions)
                {
                    singles.Add([.. Before(point), At(point, action, random)]);
                    doubles.Add([.. Before(point), At(point, action, random), Recovering(random, action)]);
                }
            }
            for (var strikes = 0; strikes < 2 * Points.Count; strikes++) others.Add([Strike(random)]);
            for (var fills = 0; SmallDisk.IsPossible && fills < Points.Count; fills++) others.Add([new Fault.Fill(random.Next(1, 30))]);
            var between = new Queue<IReadOnlyList<Fault>>(Shuffled(others, random));
            foreach (var (at, faults) in Shuffled(singles, random).Concat(Shuffled(doubles, random)).Index())
            {
                yield return new Scenario(random.Next(), faults);
                if (at % Between == 1 && between.TryDequeue(out var other)) yield return new Scenario(random.Next(), other);
            }
            while (between.TryDequeue(out var left)) yield return new Scenario(random.Next(), left);
        }
    }

    /// <summary>Without what nothing passes that failpoint: only a spawn that failed is undone.</summary>
    internal static IReadOnlyList<Fault> Before(string point) => point switch
    {
        Failpoints.SpawnUndo => [new Fault.At(Failpoints.SpawnRecord, "eio", 1, Phase.Work)],
        Failpoints.UnbornRemove => [new Fault.At(Failpoints.SpawnExec, "eio", 1, Phase.Work)],
        Failpoints.JournalCut => [new Fault.At(Failpoints.JournalAppend, "enospc", 12, Phase.Work)],
        Failpoints.JournalAgain => [new Fault.At(Failpoints.JournalSync, "enospc", 3, Phase.Work)],
        Failpoints.SpareSettle => [new Fault.At(Failpoints.FileBeforeRename, "kill", 1, Phase.Work)],
        _ => [],
    };

    private static IReadOnlyList<Fault>[] Shuffled(List<IReadOnlyList<Fault>> all, Random random)
    {
        var shuffled = all.ToArray();
        random.Shuffle(shuffled);
        return shuffled;
    }

    private static Fault.At At(string point, string action, Random random) =>
        new(point, action, random.Next(1, Passes(point) + 1), PhaseOf(point, random));

    private static Phase PhaseOf(string point, Random random) => point[..point.IndexOf('.')] switch
    {
        "stop" => Phase.Stop,
        "replace" => Phase.Remove,
        "tree" => random.Next(3) == 0 ? Phase.Work : Phase.Remove, // A Pod that ends removes the private places of its commands.
        "spare" when point == Failpoints.SpareSettle => random.Next(2) == 0 ? Phase.Work : Phase.Restore,
        _ => IsOfCommands(point) && random.Next(5) == 0 ? Phase.Stop : Phase.Work,
    };

    /// <summary>A stop or a restore passes it, too.</summary>
    private static bool IsOfCommands(string point) =>
        point.StartsWith("stop.", StringComparison.Ordinal) || point.StartsWith("table.", StringComparison.Ordinal) || point.StartsWith("journal.", StringComparison.Ordinal);

    /// <summary>A fault while the one before is mended: in what a restore or a stop passes.</summary>
    private static Fault.At Recovering(Random random, string action)
    {
        string[] points = [.. Points.Where(IsOfCommands)];
        var point = points[random.Next(points.Length)];
        return new(point, action, random.Next(1, 4), !point.StartsWith("stop.", StringComparison.Ordinal) && random.Next(3) > 0 ? Phase.Restore : Phase.Stop);
    }

    private static Fault.Strike Strike(Random random) => new(random.Next(3) == 0 ? "stop" : "kill", random.Next(1, 30));

    /// <summary>How often a process passes it in a scenario, roughly.</summary>
    private static int Passes(string point) => point[..point.IndexOf('.')] switch
    {
        _ when point is Failpoints.JournalCut or Failpoints.JournalAgain or Failpoints.SpareSettle => 1, // What comes before it leaves one to mend.
        "journal" => 25,
        "table" => 3,
        "tool" or "file" or "deliver" or "directory" or "spare" or "replace" => 3,
        "tree" => 40,
        _ => 1,
    };
}
