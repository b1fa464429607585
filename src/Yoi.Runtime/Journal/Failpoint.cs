using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// A named step at which a test can make this process fail. Armed by <c>YOI_FAILPOINT=name:kill|eio|enospc|stop|hang</c>
/// (several with commas), with <c>@POD</c> behind it only in the process that serves the Pod of that name; inert otherwise. Every durable write and every step of spawn, lend, adopt, stop, return
/// and deliver has one. <c>YOI_FAILPOINT_LOG=file</c> appends each name that is reached.
/// </summary>
internal static class Failpoint
{
    private static readonly IReadOnlyList<(string Name, string Action, string? Pod)> Armed = Parse(Environment.GetEnvironmentVariable("YOI_FAILPOINT"));
    private static readonly string? Log = Environment.GetEnvironmentVariable("YOI_FAILPOINT_LOG");

    /// <summary>Name of the Pod that this process serves.</summary>
    internal static string? Pod { get; set; }

    /// <summary>Passes the step called <paramref name="name"/>. Names are listed in <see cref="Failpoints"/>.</summary>
    /// <exception cref="LinuxException">The step is armed with <c>eio</c> or <c>enospc</c>.</exception>
    internal static void Pass(string name)
    {
        if (Log is not null) File.AppendAllText(Log, name + "\n");
        foreach (var armed in Armed)
            if (armed.Name == name && (armed.Pod is null || armed.Pod == Pod)) Fail(name, armed.Action);
    }

    private static void Fail(string name, string action)
    {
        switch (action)
        {
            case "kill": _ = Libc.Kill(Environment.ProcessId, Libc.SigKill); break;
            case "stop": _ = Libc.Raise(Libc.SigStop); break; // A stop sent to the process may find this thread a step further.
            case "hang": new ManualResetEventSlim().Wait(); break; // This thread alone: as if the disk had stalled.
            case "eio": throw new LinuxException("failpoint " + name, Errno.Io);
            case "enospc": throw new LinuxException("failpoint " + name, Errno.NoSpc);
            default: throw new InvalidOperationException($"YOI_FAILPOINT: unknown action \"{action}\" for {name}; use kill, stop, hang, eio or enospc");
        }
    }

    private static IReadOnlyList<(string, string, string?)> Parse(string? text) =>
    [
        .. (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(part => part.Split('@', 2))
            .Select(part => (Step: part[0].Split(':', 2), Pod: part.Length == 2 ? part[1] : null))
            .Select(part => (part.Step[0], part.Step.Length == 2 ? part.Step[1] : "kill", part.Pod)),
    ];
}

/// <summary>The names of all failpoints. A test compares them with those that the suite reaches.</summary>
internal static class Failpoints
{
    internal const string JournalAppend = "journal.append", JournalAppended = "journal.appended", JournalSync = "journal.sync",
        TableWrite = "table.write", TableSync = "table.sync", TableRename = "table.rename", TableDirectorySync = "table.directory_sync",
        LendIntended = "lend.intended", LendPending = "lend.pending", SpawnExec = "spawn.exec", ChildStarted = "child.started",
        ChildAdopt = "child.adopt", ChildReady = "child.ready", ChildAccepted = "child.accepted", SpawnTask = "spawn.task", SpawnUndo = "spawn.undo",
        SpawnRecord = "spawn.record", PodEnding = "pod.ending",
        StopShutdown = "stop.shutdown", StopVerified = "stop.verified", StopReturned = "stop.returned", StopEndEntry = "stop.end_entry",
        DeliverRead = "deliver.read", DeliverAppend = "deliver.append", FileBeforeRename = "file.before_rename", ToolBeforeResult = "tool.before_result", CommandGate = "command.gate",
        QuarantineMove = "quarantine.move", QuarantineMoved = "quarantine.moved";
}
