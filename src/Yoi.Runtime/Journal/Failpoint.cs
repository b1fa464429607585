using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// A named step at which a test can make this process fail. Armed by <c>YOI_FAILPOINT=name:kill|eio|enospc|stop</c>
/// (several with commas); inert otherwise. Every durable write and every step of spawn, lend, adopt, stop, return
/// and deliver has one. <c>YOI_FAILPOINT_LOG=file</c> appends each name that is reached.
/// </summary>
internal static class Failpoint
{
    private static readonly Dictionary<string, string> Armed = Parse(Environment.GetEnvironmentVariable("YOI_FAILPOINT"));
    private static readonly string? Log = Environment.GetEnvironmentVariable("YOI_FAILPOINT_LOG");

    /// <summary>Passes the step called <paramref name="name"/>. Names are listed in <see cref="Failpoints"/>.</summary>
    /// <exception cref="LinuxException">The step is armed with <c>eio</c> or <c>enospc</c>.</exception>
    internal static void Pass(string name)
    {
        if (Log is not null) File.AppendAllText(Log, name + "\n");
        if (Armed.Count == 0 || !Armed.TryGetValue(name, out var action)) return;
        switch (action)
        {
            case "kill": _ = Libc.Kill(Environment.ProcessId, Libc.SigKill); break;
            case "stop": _ = Libc.Raise(Libc.SigStop); break; // A stop sent to the process may find this thread a step further.
            case "eio": throw new LinuxException("failpoint " + name, Errno.Io);
            case "enospc": throw new LinuxException("failpoint " + name, Errno.NoSpc);
            default: throw new InvalidOperationException($"YOI_FAILPOINT: unknown action \"{action}\" for {name}; use kill, stop, eio or enospc");
        }
    }

    private static Dictionary<string, string> Parse(string? text) => (text ?? "")
        .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .Select(part => part.Split(':', 2))
        .ToDictionary(pair => pair[0], pair => pair.Length == 2 ? pair[1] : "kill", StringComparer.Ordinal);
}

/// <summary>The names of all failpoints. A test compares them with those that the suite reaches.</summary>
internal static class Failpoints
{
    internal const string JournalAppend = "journal.append", JournalAppended = "journal.appended", JournalSync = "journal.sync",
        TableWrite = "table.write", TableSync = "table.sync", TableRename = "table.rename", TableDirectorySync = "table.directory_sync",
        LendIntended = "lend.intended", LendPending = "lend.pending", SpawnExec = "spawn.exec", ChildStarted = "child.started",
        ChildAdopt = "child.adopt", ChildReady = "child.ready", SpawnTask = "spawn.task", SpawnUndo = "spawn.undo",
        StopShutdown = "stop.shutdown", StopVerified = "stop.verified", StopReturned = "stop.returned", StopEndEntry = "stop.end_entry",
        DeliverRead = "deliver.read", DeliverAppend = "deliver.append", FileBeforeRename = "file.before_rename", ToolBeforeResult = "tool.before_result";
}
