using System.Security.Cryptography;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Socket;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Runtime.Tools.Pods;
using Yoi.Runtime.Tools.Shell;
using Yoi.Runtime.Turns;

namespace Yoi.Runtime;

/// <summary>
/// One Pod, composed by hand in start order and taken down in reverse. Until it has its scope it touches nothing but its own
/// directory; what it holds it gives back last.
/// </summary>
internal sealed class PodHost : IAsyncDisposable
{
    private readonly LaunchDocument _document;
    private readonly LaunchSecrets _secrets;
    private readonly TimeProvider _time;
    private readonly Stack<object> _owned = new();

    internal PodHost(LaunchDocument document, LaunchSecrets secrets, TimeProvider time) => (_document, _secrets, _time) = (document, secrets, time);

    private string Directory => _document.Directories.Pod(_document.Name, _document.PodId);

    /// <summary>Starts everything. When it returns, clients are served.</summary>
    /// <exception cref="ScopeException">The scope is held by another, or the grant was withdrawn.</exception>
    /// <exception cref="JournalException">The journal is served by another process, or cannot be used.</exception>
    /// <exception cref="ModelException">The model cannot be used as it was chosen.</exception>
    /// <exception cref="IOException">A directory or the socket cannot be used.</exception>
    internal async Task<PodController> StartAsync(CancellationToken ct)
    {
        Failpoint.Pod = _document.Name;
        Failpoint.Pass(Failpoints.ChildStarted);
        var table = new ScopeTable(_document.Directories, _time);
        table.Open();
        PrivateFile.CreateDirectory(Directory);
        var podLock = Own(PodLock.TryTake(Directory) ?? throw new JournalException($"Pod `{_document.Name}` is served by another process already"));
        var model = Own(ModelFactory.Create(_document.Model, _document.Name, _secrets.ApiKey, _document.Timing, _time));

        if (CommandMarks.AnyLeft(Directory)) throw new JournalException($"a command of an earlier process of Pod `{_document.Name}` still runs and cannot be ended");
        var generation = await TakeScopeAsync(table, ct);
        Own(new GivingBack(table, _document.PodId, Directory));
        var proof = _document.Spawner is not null && _secrets.SpawnerToken is { } own ? Own(new TokenFile(_document.Directories, _document.PodId, own)) : null;
        var home = PlatformSet.HomeOf(Environment.GetEnvironmentVariable);
        var platform = PlatformSet.Find(home, CommandGate.PathOf(Environment.GetEnvironmentVariable), _document.Network, _document.PlatformSet);
        var keeper = new ChildKeeper(_document, _time);
        var scope = Own(new LiveScope(_document.Directories, _document.PodId, platform.Reach(_document.Directories, home, _document.Scope.Allow), () => keeper.Lent));
        var files = Own(new ScopedFiles(scope, _document.Cwd, new SpareMark(Directory)));

        var ledger = new PodLedger();
        var conversation = new Conversation(Path.Combine(Directory, PodFiles.Journal));
        var news = new NewsDesk(_document.Directories);
        var poker = _document.Spawner is { } spawner && _secrets.SpawnerToken is { } token
            ? new Poker(() => SocketOfSpawner(table, spawner), token, _document.Name, _document.PodId, _time) : null;
        var limits = new RunLimits(_document.Limits.TurnsPerRun, new CircleGuard(), new TokenBudget(
            TokenBudget.DirectoryOf(_document.Directories, _document.RootId, Directory), _document.PodId, _document.Limits.Tokens));
        IJournalFold[] folds = [ledger, conversation, news, keeper, limits.Circles, limits.Tokens, .. poker is null ? (IJournalFold[])[] : [poker]];
        var journal = Own(JournalWriter.Open(Directory, podLock, folds, _time));

        var running = new RunningCommands();
        var children = new ChildSpawner(_document, _secrets, () => PodProgram.Own(), scope, table, journal, keeper, _time, running, platform);
        var launcher = new CommandLauncher(_document.SandboxLevel, () => PodProgram.Own(PodProgram.Keep), podLock, Environment.GetEnvironmentVariable, _time);
        var shell = new Shell(_document, scope, platform, journal, running, launcher, Environment.GetEnvironmentVariable, _time);
        var hasShell = SandboxLevel.HasBash(_document.SandboxLevel);
        Tool[] tools = [.. FileTools.All(files, _time), .. hasShell ? ShellTools.All(shell, _time) : [], .. PodTools.All(_document, children, keeper, news, _time)];
        var runner = new ToolRunner(tools, journal, keeper.CaughtUpAsync);
        var livedBefore = ledger.Created is not null;
        var processSeq = await BeginJournalAsync(ledger, journal, scope, files, tools, generation);
        await TellFoundAsync(table, journal);

        var turns = new TurnLoop(journal, conversation, model, runner, limits, news.TellAsync);
        var status = new StatusSource(ledger, journal, news, () => Shown(scope) is var now ? (now.Rules, now.Lent) : default, () => runner.Running);
        if (poker is not null) Own(poker).Start();
        Own(keeper).Start(journal, table, scope);
        keeper.Ended += news.Poked;
        var restarter = Own(new ChildRestarter((id, ct) => children.RestoreAsync(id, withoutHeld: false, ct), journal, _document.Directories, _time));
        keeper.Died += restarter.Ended;
        restarter.Start();
        Own(news).Start(journal);
        var controller = Own(new PodController(
            ledger, journal, new RunWorker(ledger, journal, turns, news), news, status, () => _document.Spawner is null ? [] : _document.Scope.Allow, _time, () => EndCommandsAsync(shell, journal))
        {
            Restore = restore => RestoreAsync(children, restore),
        });
        shell.BackgroundEnded += controller.StartWaiting;

        if (livedBefore) controller.Rest();

        var greeting = new Greeting(_document.Name, _document.Cwd, _document.Model.Alias ?? _document.Model.Provider, _document.Model.Model, "", [.. tools.Select(tool => tool.Schema.Name)], _document.SandboxLevel);
        var served = new ServedPod(
            _document.PodId, _document.Name, controller.HandleAsync, controller.Status, () => greeting with { ScopeSummary = Shown(scope).Summary() },
            journal, Path.Combine(Directory, PodFiles.Journal), processSeq, token => CallerOf(token, ledger));
        Own(PodServer.Start(served, _document.Directories.Socket(_document.PodId), _time, text => Console.Error.WriteLine("yoi: " + text), madeAnew: () => proof?.Write()));
        proof?.Write();
        return controller;
    }

    /// <summary>The scope for those who only look: with a table that cannot be read it is none, and the Pod answers all the same.</summary>
    private static ScopePolicy Shown(LiveScope scope)
    {
        try
        {
            return scope.Current();
        }
        catch (ScopeException)
        {
            return ScopePolicy.Nothing(0); // The tools, which need it, say why.
        }
    }

    private static async Task RestoreAsync(ChildSpawner children, Method.Restore restore)
    {
        try
        {
            await children.RestoreAsync(restore.PodId, restore.WithoutHeld, CancellationToken.None);
        }
        catch (Exception e) when (e is SpawnException or ScopeException or IOException)
        {
            throw new RefusedException(ErrorCode.NotRestored, e is SpawnException { Step: not SpawnPlan.Step } failed ? $"{failed.Message} (step `{failed.Step}`)" : e.Message);
        }
    }

    /// <summary>Who it belongs to now is what the table says.</summary>
    private string SocketOfSpawner(ScopeTable table, SpawnerRef spawner)
    {
        try
        {
            return table.Read().Find(_document.PodId)?.SpawnerId is { } id ? _document.Directories.Socket(id) : spawner.Socket;
        }
        catch (ScopeException)
        {
            return spawner.Socket;
        }
    }

    private async Task<long> TakeScopeAsync(ScopeTable table, CancellationToken ct)
    {
        Failpoint.Pass(Failpoints.ChildAdopt);
        if (_document.Grant is { } grant)
        {
            await table.AdoptAsync(_document.PodId, grant, Environment.ProcessId, ct);
            return grant;
        }
        var row = new TableRow(
            _document.PodId, _document.Name, Directory, SpawnerId: null, _document.RootId, _document.Depth, Pending: false,
            Generation: 0, _document.Scope, _document.Limits, Environment.ProcessId);
        if (_document.Restored is not { } restored) return await table.AcquireAsync(row, ct);
        return (await table.TakeBackAsync(row, new PodTree(new PodRegistry(_document.Directories), table).SpawnerOf, restored.WithoutHeld, ct)).Generation;
    }

    /// <summary>What was found of commands of dead Pods as this one took its scope, its own earlier process among them.</summary>
    private Task TellFoundAsync(ScopeTable table, JournalWriter journal) => TellOwnAsync(table.Found, journal);

    /// <summary>Before the end entry: all commands end, and what of one could not be told when it ended is told now.</summary>
    private async Task EndCommandsAsync(Shell shell, JournalWriter journal)
    {
        await shell.EndAllAsync();
        try
        {
            if (CommandMarks.AnyLeft(Directory)) return; // Whoever takes the scope over settles it, when it is gone.
            DeniedNames.SettleLeft(Directory, _time);
            await TellOwnAsync([], journal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JournalException)
        {
            // Its mark stays, for whoever takes the scope over; the Pod's end is in order all the same.
            await Console.Error.WriteLineAsync($"yoi: what a command left could not be settled: {e.Message}");
        }
    }

    private async Task TellOwnAsync(IEnumerable<string> besides, JournalWriter journal)
    {
        var own = CommandMarks.Of(Directory).Where(mark => mark.IsSettled).ToList();
        Entry[] found = [.. EndRecord.Found(besides.Concat(own.SelectMany(mark => mark.Told)))];
        if (found.Length > 0) await journal.AppendAsync(Durability.Synced, found);
        own.ForEach(mark => mark.Remove());
    }

    /// <summary>A new journal begins with who the Pod is and its prompt; an old one with what a crash left open.</summary>
    /// <returns>Seq of this process's first entry.</returns>
    private async Task<long> BeginJournalAsync(
        PodLedger ledger, JournalWriter journal, LiveScope scope, ScopedFiles files, IReadOnlyList<Tool> tools, long generation)
    {
        var pid = Environment.ProcessId;
        var started = new Entry.ProcessStarted(pid, PodProcess.StartTimeOf(pid) ?? "", ProcessStat.BootId, _document.SandboxLevel, PodProcess.PidNamespace);
        if (ledger.Created is not null)
        {
            var pod = new KnownPod(_document.Name, _document.PodId, Directory);
            // The prompt is missing if it was killed within its first entries, or if that line was damaged.
            Entry[] again = [.. ledger.Ended is null ? [EndRecord.OfLifeBefore(pod, ledger.Process, ledger.Totals)] : Array.Empty<Entry>(), started, .. ledger.HasPrompt ? [] : Prompt(scope, files, tools), .. _document.Restored?.Entries(_document.Scope, scope.Current()) ?? []];
            EndRecord.ForgetKill(Directory);
            var seq = (await journal.AppendAsync(Durability.Synced, again)).First(record => record.Entry is Entry.ProcessStarted).Seq;
            await Recovery.RunAsync(ledger, journal);
            return seq;
        }
        Entry[] entries =
        [
            new Entry.PodCreated(
                JournalCodec.Version, _document.PodId, _document.Name, _document.Cwd, _document.Model, _document.Scope, generation,
                _document.Spawner, _document.Depth, _document.Role, _document.Limits, _document.KeySource, Program,
                _document.RootId == _document.PodId ? null : _document.RootId, _document.Timing, _document.Network, _document.PlatformSet, _document.Commands),
            started,
            .. Prompt(scope, files, tools),
        ];
        return (await journal.AppendAsync(Durability.Synced, entries))[1].Seq;
    }

    /// <summary>The prompt, rendered once, and what a user should know of the files that it is made of.</summary>
    private IEnumerable<Entry> Prompt(LiveScope scope, ScopedFiles files, IReadOnlyList<Tool> tools)
    {
        var agents = AgentsMd.Find(files, _document.Cwd);
        var system = SystemPrompt.Render(
            _document.Name, _document.Cwd, scope.Current().Summary(), _document.Role, [.. agents.Where(file => file.Text.Length > 0).Select(file => new Instructions(file.Path, file.Text))],
            shell: SandboxLevel.HasBash(_document.SandboxLevel));
        yield return new Entry.Prompt(system, [.. tools.Select(tool => tool.Schema)]);
        foreach (var file in agents.Where(file => file.Warning is not null)) yield return new Entry.Notification("warn", "agents_md", file.Warning!);
    }

    /// <summary>The living child whose token this is; null if it is nobody's.</summary>
    private Caller? CallerOf(string token, PodLedger ledger)
    {
        IReadOnlyList<ChildRef> children;
        lock (ledger.Gate) children = ledger.Children;
        var given = Encoding.UTF8.GetBytes(token);
        foreach (var child in children.Where(child => !child.Ended))
        {
            if (CryptographicOperations.FixedTimeEquals(given, TokenOf(child))) return new Caller(child.Name, child.PodId);
        }
        return null;

        byte[] TokenOf(ChildRef child)
        {
            var nobodys = RandomNumberGenerator.GetBytes(32);
            try
            {
                return PrivateFile.ReadText(_document.Directories.Token(child.PodId)) is { } own ? Encoding.UTF8.GetBytes(own) : nobodys;
            }
            catch (IOException)
            {
                return nobodys; // One child's file keeps no other from being known.
            }
        }
    }

    private static string Program => $"yoi {typeof(PodHost).Assembly.GetName().Version?.ToString(3)}";

    /// <summary>Disposed by this one, before all that was started before it.</summary>
    internal T Own<T>(T started) where T : class
    {
        _owned.Push(started);
        return started;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_owned.TryPop(out var owned)) return;
        try
        {
            if (owned is IAsyncDisposable asynchronous) await asynchronous.DisposeAsync();
            else ((IDisposable)owned).Dispose();
        }
        finally
        {
            await DisposeAsync(); // What was started before it ends whatever happened here: commands, the socket, the scope.
        }
    }

    /// <summary>Gives the scope back, when nothing of this Pod can write any more.</summary>
    private sealed class GivingBack(ScopeTable table, string podId, string directory) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            try
            {
                if (CommandMarks.AnyLeft(directory))
                {
                    await Console.Error.WriteLineAsync("yoi: a command does not end; the scope stays held until it is gone");
                    return;
                }
                await table.ReleaseAsync(podId, CancellationToken.None);
            }
            catch (Exception e) when (e is ScopeException or IOException or UnauthorizedAccessException)
            {
                // The row stays until somebody changes the table next: our life-lock is free by then, so it counts as dead.
                await Console.Error.WriteLineAsync($"yoi: the scope could not be given back: {e.Message}");
            }
        }
    }
}
