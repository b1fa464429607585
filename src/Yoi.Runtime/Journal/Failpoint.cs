using System.Globalization;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// A named step at which a test can make this process fail. Armed by <c>YOI_FAILPOINT=name:kill|crash|eio|enospc|stop|hang</c>
/// (several with commas), with <c>#N</c> behind the name at the N-th pass of this process only, with <c>@POD</c> behind it all only in the process
/// that serves the Pod of that name; inert otherwise. Every durable write (write, sync, rename, cut, removal) and every step of spawn, lend,
/// adopt, stop, return and deliver has one. <c>YOI_FAILPOINT_LOG=file</c> appends each name that is reached, and <c>name:action</c> where one fails.
/// </summary>
internal static class Failpoint
{
    private static readonly Trap[] Armed = Environment.GetEnvironmentVariable("YOI_FAILPOINT") is { } text ? Parse(text) : [];
    private static readonly string? Log = Environment.GetEnvironmentVariable("YOI_FAILPOINT_LOG");

    /// <summary>Name of the Pod that this process serves.</summary>
    internal static string? Pod { get; set; }

    /// <summary>Passes the step called <paramref name="name"/>. Names are listed in <see cref="Failpoints"/>.</summary>
    /// <exception cref="LinuxException">The step is armed with <c>eio</c> or <c>enospc</c>.</exception>
    internal static void Pass(string name)
    {
        if (Log is not null) Note(name);
        foreach (var trap in Armed)
            if (trap.Name == name && (trap.Pod is null || trap.Pod == Pod) && trap.Springs()) Fail(name, trap.Action);
    }

    private static void Fail(string name, string action)
    {
        if (Log is not null) Note($"{name}:{action}");
        switch (action)
        {
            case "kill": _ = Libc.Kill(Environment.ProcessId, Libc.SigKill); break;
            case "crash": Environment.FailFast("failpoint " + name); break; // As the runtime itself ends when it is broken.
            case "stop": _ = Libc.Raise(Libc.SigStop); break; // A stop sent to the process may find this thread a step further.
            case "hang": new ManualResetEventSlim().Wait(); break; // This thread alone: as if the disk had stalled.
            case "eio": throw new LinuxException("failpoint " + name, Errno.Io);
            case "enospc": throw new LinuxException("failpoint " + name, Errno.NoSpc);
            default: throw new InvalidOperationException($"YOI_FAILPOINT: unknown action \"{action}\" for {name}; use kill, crash, stop, hang, eio or enospc");
        }
    }

    // Many processes write it at once: one write a line, always at the end.
    private static void Note(string line)
    {
        using var file = Libc.Open(Log!, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Append | OpenFlags.CloseOnExec, 0x180);
        _ = Libc.Write(file, System.Text.Encoding.ASCII.GetBytes(line + "\n"), line.Length + 1);
    }

    private static Trap[] Parse(string text) =>
    [
        .. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(part => part.Split('@', 2))
            .Select(part => (Step: part[0].Split(':', 2), Pod: part.Length == 2 ? part[1] : null))
            .Select(part => (Name: part.Step[0].Split('#', 2), Action: part.Step.Length == 2 ? part.Step[1] : "kill", part.Pod))
            .Select(part => new Trap(part.Name[0], part.Name.Length == 2 ? int.Parse(part.Name[1], CultureInfo.InvariantCulture) : null, part.Action, part.Pod)),
    ];

    /// <summary>One armed step.</summary>
    /// <param name="Nth">The pass at which it fails, from 1; null for all of them.</param>
    private sealed record Trap(string Name, int? Nth, string Action, string? Pod)
    {
        private int _passes;

        internal bool Springs() => Interlocked.Increment(ref _passes) is var pass && (Nth is null || pass == Nth);
    }
}

/// <summary>The names of all failpoints. A test compares them with those that the fault scenarios reach.</summary>
internal static class Failpoints
{
    internal const string JournalAppend = "journal.append", JournalAppended = "journal.appended", JournalSync = "journal.sync", JournalCut = "journal.cut", JournalAgain = "journal.again",
        TableWrite = "table.write", TableSync = "table.sync", TableRename = "table.rename", TableDirectorySync = "table.directory_sync", TableRemember = "table.remember", TableAside = "table.aside",
        StateLock = "state.lock", StateLockSync = "state.lock_sync", DirectoryMake = "directory.make", DirectorySync = "directory.sync",
        LendIntended = "lend.intended", LendPending = "lend.pending", SpawnExec = "spawn.exec", ChildStarted = "child.started",
        ChildAdopt = "child.adopt", ChildJournal = "child.journal", ChildReady = "child.ready", ChildAccepted = "child.accepted", SpawnTask = "spawn.task", SpawnUndo = "spawn.undo",
        SpawnRecord = "spawn.record", PodEnding = "pod.ending",
        StopShutdown = "stop.shutdown", StopVerified = "stop.verified", StopReturned = "stop.returned", StopEndEntry = "stop.end_entry",
        DeliverRead = "deliver.read", DeliverAppend = "deliver.append", FileSync = "file.sync", FileBeforeRename = "file.before_rename", FileDirectorySync = "file.directory_sync",
        ToolBeforeResult = "tool.before_result", CommandPut = "command.put", CommandMark = "command.mark", CommandGate = "command.gate", CommandFound = "command.found", CommandRemove = "command.remove", SpareMark = "spare.mark", SpareSettle = "spare.settle",
        QuarantineMove = "quarantine.move", QuarantineMoved = "quarantine.moved",
        RepairWrite = "repair.write", RepairSync = "repair.sync", RepairKeep = "repair.keep", RepairRename = "repair.rename", RepairAside = "repair.aside", RepairDirectorySync = "repair.directory_sync",
        ReplaceWrite = "replace.write", ReplaceSync = "replace.sync", ReplaceRename = "replace.rename", ReplaceDirectorySync = "replace.directory_sync", TreeUnlink = "tree.unlink", UnbornRemove = "unborn.remove",
        KeeperRestricted = "keeper.restricted", KeeperStarted = "keeper.started", SocketBound = "socket.bound";
}
