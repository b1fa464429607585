using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Shared;

namespace Yoi.Tests.Spawning;

/// <summary>
/// Real Pods: processes of the built program on a state root of their own. When it is disposed all of them are stopped as a user
/// would stop them, and nothing may be left: no process, no lock, no row.
/// </summary>
internal sealed class PodRoom : IAsyncDisposable
{
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly SpawningRoot _root = new();
    private readonly List<RoomPod> _roots = [];
    private readonly CancellationTokenSource _late = new(Slice.IsFull ? TimeSpan.FromHours(1) : Patience);

    internal string Path => _root.Path;
    internal string Work => _root.Work;
    internal YoiDirectories Directories => _root.Directories;

    /// <summary>Gives up a test that hangs, so that its processes are cleared away.</summary>
    internal CancellationToken Ct => _late.Token;

    /// <summary>Further variables of Pods that are started from here on.</summary>
    internal List<string> Variables { get; } = [];

    /// <summary>What a root is started through: a program that becomes the one that its last arguments name.</summary>
    internal IReadOnlyList<string> Through { get; set; } = [];

    internal ScopeTable Table() => new(Directories, TimeProvider.System);

    internal IReadOnlyList<TableRow> Rows
    {
        get { using var table = Table(); return table.Read().Pods; }
    }

    internal string Folder(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Work, name)).FullName;

    internal KnownPod? Find(string name) => new PodRegistry(Directories).Newest(name);

    /// <summary>A root that does what it is told: <c>CALL Tool {json}</c>. May write in <see cref="Work"/>.</summary>
    internal Task<RoomPod> Root(string? failpoint = null, Func<LaunchDocument, LaunchDocument>? with = null, string name = "root")
    {
        var document = _root.Document(name, new ScopeRules([new ScopeRule(Work, Permission.Write)], []));
        document = document with { RootId = document.PodId };
        return Start(with is null ? document : with(document), failpoint);
    }

    /// <summary>Starts the process of a Pod that died again, as the command line does.</summary>
    internal Task<RoomPod> Restore(RoomPod pod, bool withoutHeld = false)
    {
        var record = LaunchRecord.Read(pod.Known)!;
        return Start(record.Document(Directories, new Restoration(withoutHeld, [])));
    }

    /// <summary>A Pod that another spawned, driven like a root.</summary>
    internal async Task<RoomPod> Attach(string name)
    {
        var known = Find(name)!;
        var document = LaunchRecord.Read(known)!.Document(Directories, new Restoration(false, []));
        return new RoomPod(this, document, null!, await PodClient.ConnectAsync(Directories.Socket(known.PodId), ct: Ct));
    }

    /// <summary>Kills the process of a Pod and has seen it dead.</summary>
    internal async Task Kill(KnownPod pod)
    {
        using var process = pod.FindProcess()!;
        process.Signal(Libc.SigKill);
        await process.Exited.WaitAsync(Patience, Ct);
        await Eventually.Holds(() => !pod.IsAlive);
    }

    /// <summary>Starts a Pod's process; with a document of before, the same Pod again.</summary>
    internal async Task<RoomPod> Start(LaunchDocument document, string? failpoint = null)
    {
        string[] environment = [$"YOI_HOME={Path}", .. Variables, .. failpoint is null ? Array.Empty<string>() : ["YOI_FAILPOINT=" + failpoint]];
        var program = new PodProgram("/usr/bin/env", ["env", .. environment, .. Through, RealPod.Yoi, "serve"]);
        var launched = await PodLauncher.StartAsync(program, document, new LaunchSecrets(null, null), Patience, TimeProvider.System, Ct);
        var pod = new RoomPod(this, document, launched, await Connected());
        lock (_roots) _roots.Add(pod);
        return pod;

        async Task<PodClient> Connected()
        {
            try
            {
                return await PodClient.ConnectAsync(launched.Socket, ct: Ct);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                await launched.Process.Exited.WaitAsync(Patience, Ct); // Killed as soon as it was ready: it holds its life-lock until it is gone.
                throw;
            }
        }
    }

    /// <summary>Processes of this room, by their environment: also those that no file tells of.</summary>
    internal IReadOnlyList<int> Processes
    {
        get
        {
            var mark = Encoding.UTF8.GetBytes($"YOI_HOME={Path}\0");
            List<int> found = [];
            foreach (var directory in Directory.EnumerateDirectories("/proc"))
            {
                if (!int.TryParse(System.IO.Path.GetFileName(directory), out var pid)) continue;
                try
                {
                    if (File.ReadAllBytes(directory + "/environ").AsSpan().IndexOf(mark) >= 0 && PodProcess.StartTimeOf(pid) is not null) found.Add(pid);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    // Gone, or another user's.
                }
            }
            return found;
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<string> left = [];
        foreach (var root in _roots)
        {
            await root.Client.DisposeAsync();
            if (!root.Known.IsAlive) continue;
            using var table = Table();
            await new TreeStopper(Directories, table, TimeProvider.System).StopAsync(root.Known, "human", force: false, CancellationToken.None);
        }
        foreach (var root in _roots) root.Launched.Process.Dispose();
        // Pods whose spawner was killed go on, as they should; they are roots by now.
        foreach (var pod in new PodRegistry(Directories).All().Where(pod => pod.IsAlive))
        {
            using var table = Table();
            await new TreeStopper(Directories, table, TimeProvider.System).StopAsync(pod, "human", force: false, CancellationToken.None);
        }
        foreach (var pid in Processes)
        {
            left.Add($"process {pid}: {File.ReadAllText($"/proc/{pid}/cmdline").Replace('\0', ' ')}");
            _ = Libc.Kill(pid, Libc.SigKill);
        }
        left.AddRange(Rows.Where(row => PodLock.IsAlive(row.Directory)).Select(row => $"row of {row.Name}, alive"));
        using (var table = Table()) _ = await table.ReleaseAsync("nobody", CancellationToken.None); // The table's lock is free.
        _late.Dispose();
        if (left.Count == 0) _root.Dispose();
        Assert.Empty(left);
    }
}

/// <summary>A Pod of a room, driven as a user drives it: by its socket, and judged by its journal.</summary>
internal sealed class RoomPod(PodRoom room, LaunchDocument document, LaunchedPod launched, PodClient client)
{
    internal LaunchDocument Document { get; } = document;
    internal LaunchedPod Launched { get; } = launched;
    internal PodClient Client { get; } = client;
    internal KnownPod Known { get; } = new(document.Name, document.PodId, document.Directories.Pod(document.Name, document.PodId));

    internal IReadOnlyList<JournalRecord> Journal => Known.Journal.ReadAfter(Cursor.Start, out _);

    internal IReadOnlyList<Entry> Entries => [.. Journal.Select(record => record.Entry)];

    internal IReadOnlyList<T> All<T>() where T : Entry => [.. Entries.OfType<T>()];

    /// <summary>One call; its result when the run has ended.</summary>
    internal async Task<Entry.ToolResult> Call(string tool, string arguments = "{}") => (await Calls($"CALL {tool} {arguments}"))[0];

    /// <summary>One message with several calls, or none; their results when the run has ended.</summary>
    internal async Task<IReadOnlyList<Entry.ToolResult>> Calls(params string[] calls)
    {
        while (true)
        {
            try
            {
                var accepted = await Client.RunAsync(calls.Length == 0 ? "hello" : string.Join('\n', calls), ct: room.Ct);
                return [.. (await Until(entry => entry is Entry.RunEnded, accepted.Seq)).OfType<Entry.ToolResult>()];
            }
            catch (PodRefusedException e) when (e.Error.Code == ErrorCode.AlreadyRunning)
            {
                // News has set it to work, or it has just ended a run.
                while ((await Client.StatusAsync(room.Ct)).State == PodState.Running) await Task.Yield();
            }
        }
    }

    /// <summary>From the message with the newest call of a tool to that call's result, with the calls of the message that came before it.</summary>
    internal TimeSpan Took(string tool)
    {
        var journal = Journal;
        var told = journal.Last(record => record.Entry is Entry.ToolResult result && result.Name == tool);
        return told.Time - journal.Last(record => record.Seq < told.Seq && record.Entry is Entry.Assistant).Time;
    }

    /// <summary>What ListPods says once each Pod has answered that can: a busy machine keeps one from it in time, and the list says so.</summary>
    internal async Task<string> List()
    {
        while (true)
        {
            var list = (await Call("ListPods")).Content!;
            if (!list.Contains("no answer within", StringComparison.Ordinal) && !list.Contains("at least", StringComparison.Ordinal)) return list;
        }
    }

    internal Task<Entry.ToolResult> Spawn(string name, string task = "hello", string scope = "[]", string more = "") =>
        Call("SpawnPod", SpawnArguments(name, task, scope, more));

    /// <summary>A command in the task stands behind a line break: its first line begins with who sent it.</summary>
    internal static string SpawnArguments(string name, string task = "hello", string scope = "[]", string more = "") =>
        $$"""{"name":"{{name}}","task":{{JsonSerializer.Serialize(task)}},"scope":{{scope}}{{more}}}""";

    internal static string Write(string target) => $$"""[{"target":"{{target}}","permission":"write"}]""";

    internal static string WriteFile(string path) => $$"""CALL Write {"file_path":"{{path}}","content":"by the spawner"}""";

    /// <summary>Entries from a seq on, up to the first that fits.</summary>
    internal async Task<IReadOnlyList<Entry>> Until(Func<Entry, bool> fits, long fromSeq = 1)
    {
        List<Entry> entries = [];
        await foreach (var message in Client.AttachAsync(fromSeq, room.Ct))
        {
            if (message is not PodMessage.Entered entered) continue;
            entries.Add(entered.Entry);
            if (fits(entered.Entry)) return entries;
        }
        throw new InvalidOperationException("the Pod ended first: " + string.Join(", ", entries.Select(entry => entry.GetType().Name)));
    }

    /// <summary>Its child of that name as a client sees it.</summary>
    internal KnownPod Child(string name) => room.Find(name) ?? throw new InvalidOperationException("no pod " + name);

    internal async Task<PodClient> ConnectTo(string name) => await PodClient.ConnectAsync(room.Directories.Socket(Child(name).PodId), ct: room.Ct);

    internal void Signal(int signal) => Launched.Process.Signal(signal);

    internal async Task Killed()
    {
        Signal(Libc.SigKill);
        await Launched.Process.Exited.WaitAsync(PodRoom.Patience);
        await Eventually.Holds(() => !Known.IsAlive);
    }
}
