using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>A command that runs or has ended, by the name that the model uses.</summary>
internal sealed class ShellCommand(string name, string line, bool background, SandboxedCommand process)
{
    internal string Name => name;
    internal string Line => line;
    internal bool Background => background;
    internal SandboxedCommand Process => process;

    /// <summary>Why it was killed; null if nobody did.</summary>
    internal string? Killed { get; set; }

    /// <summary>What was seen when what its mounts lie on was replaced from outside.</summary>
    internal IReadOnlyDictionary<string, FileVersion?>? Replaced { get; set; }

    /// <summary>Up to where BashOutput has shown it.</summary>
    internal long Shown { get; set; }

    /// <summary>How it ended; null while anything of it may run.</summary>
    internal ShellEnd? End { get; set; }

    internal string State => End?.Said ?? "running";

    /// <summary>
    /// Completes when its tree is gone, its end is journalled and what it may have planted is dealt with. Fails if the tree does not die, or
    /// the end could not be journalled: <see cref="End"/> says which.
    /// </summary>
    internal Task<ShellEnd> Ended { get; set; } = null!;

    /// <summary>Ends its whole tree.</summary>
    internal void Kill(string why)
    {
        Killed ??= why;
        process.Kill();
    }
}

/// <summary>How a command ended, and what was found afterwards.</summary>
/// <param name="Limits">Limits that the kernel had to enforce, in words.</param>
internal sealed record ShellEnd(int? ExitCode, string Why, IReadOnlyList<string> Found, IReadOnlyList<string> Limits)
{
    /// <summary>In words, behind "has".</summary>
    internal string Said => Why == "exited" ? $"ended, exit code {ExitCode ?? 0}" : $"ended: {Why}";
}

/// <summary>
/// The commands of one Pod: starts each in a sandbox made from the scope as it is at that moment, keeps the working directory between
/// them, and leaves nothing when the Pod ends.
/// </summary>
internal sealed class Shell(
    LaunchDocument own, LiveScope scope, PlatformSet platform, JournalWriter journal, RunningCommands running, CommandLauncher launcher, Func<string, string?> environment, TimeProvider time)
{
    private const int MostInBackground = 16;

    /// <summary>Background commands that have ended and can still be asked about: the last.</summary>
    private const int MostEnded = 32;

    /// <summary>Bytes of output that are kept for commands to read, all together.</summary>
    private const long MostOutputs = 256L << 20;

    private readonly string _podDirectory = own.Directories.Pod(own.Name, own.PodId);
    private readonly string _home = PlatformSet.HomeOf(environment);
    private readonly Lock _gate = new(), _placing = new();
    private readonly OrderedDictionary<string, ShellCommand> _commands = new(StringComparer.Ordinal);
    private readonly RepositoryIndex _repositories = new(time);
    private readonly ForeignSockets _sockets = new();

    /// <summary>Repositories that commands of this Pod made. They are inert, and stay its to change and remove: no mount lies on them.</summary>
    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private int _number, _outputs;
    private bool _closed, _toldCutOff;
    private volatile Preparation? _preparation;
    private IReadOnlyList<Awaited> _notYet = [];

    /// <summary>Raised (on any thread) when a background command has ended by itself and the journal says so to the model. Must not block.</summary>
    internal event Action? BackgroundEnded;

    /// <summary>Of each command.</summary>
    internal CommandLimits Limits { get; } = own.Commands ?? new();

    /// <summary>Where the next command begins.</summary>
    internal string Cwd { get; private set; } = own.Cwd;

    /// <summary>Where commands can see the whole output of one.</summary>
    internal string PathOf(CommandOutput output) => $"{PrivatePlaces.Of(_podDirectory, launcher.Level).SeenOutput}/{Path.GetFileName(output.Path)}";

    /// <summary>What a model is told when the kernel probably refused something.</summary>
    internal string Reach
    {
        get
        {
            var write = scope.Current().Rules.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.ToString()).ToList();
            return $"Writable: {(write.Count == 0 ? "nothing of the scope" : string.Join(", ", write))}, $HOME and $TMPDIR{(own.Network ? "" : "; there is no network")}.{string.Concat(_notYet.Select(awaited => $" {awaited}."))}";
        }
    }

    /// <summary>Background commands, those that have ended too, oldest first.</summary>
    internal IReadOnlyList<ShellCommand> Known
    {
        get { lock (_gate) return [.. _commands.Values.Where(command => command.Background)]; }
    }

    /// <summary>Completes when nothing is being made ready.</summary>
    internal Task Prepared => _preparation?.Ended ?? Task.CompletedTask;

    /// <summary>A command will probably come: what it runs in is made ready meanwhile, where the level can do that. Returns at once.</summary>
    internal void Expect()
    {
        lock (_gate)
        {
            if (_closed || launcher.Level != SandboxLevel.Partial || !Prepared.IsCompleted) return;
            var begun = _preparation = new();
            begun.Ended = Task.Run(() => PrepareAsync(begun));
        }
    }

    /// <summary>Starts a command; when this returns it runs and is in the journal.</summary>
    /// <exception cref="SandboxException">The scope cannot be held as it is now; nothing was run.</exception>
    /// <exception cref="ToolFailure">The name is in use, or there are too many.</exception>
    internal async Task<ShellCommand> StartAsync(string line, string? name, bool background, string callId, CancellationToken ct)
    {
        name = FreeName(name, background);
        var made = await MakeAsync(name, line, background, ct);
        var command = new ShellCommand(name, line, background, made.Process);
        command.Ended = FollowAsync(command, made);
        try
        {
            var process = made.Process.Process;
            await Task.WhenAll(Task.Run(() => MakeDurable(made.Process.Mark), CancellationToken.None), journal.AppendAsync(Durability.Synced, new Entry.CommandStarted(
                name, line, made.Cwd, callId, background, launcher.Level, process.Pid, process.StartTime, process.BootId, process.Namespace)));
            ct.ThrowIfCancellationRequested();
            lock (_gate)
            {
                if (_closed) throw new ToolFailure("the Pod is ending; nothing is started any more");
                Forget_NeedsLock(name);
                if (background || command.End is null) _commands.Add(name, command);
            }
            Failpoint.Pass(Failpoints.CommandGate);
            made.Process.Go();
            return command;
        }
        catch
        {
            command.Kill("cancelled");
            await Task.WhenAny(command.Ended); // Its end entry must not come behind the Pod's.
            throw;
        }
    }

    private static void MakeDurable(CommandMark mark)
    {
        try
        {
            mark.Sync();
        }
        catch (IOException e)
        {
            throw new SandboxException($"the command was not run: what others must know of it cannot be made durable: {e.Message}");
        }
    }

    /// <summary>A background command by its name.</summary>
    /// <exception cref="ToolFailure">There is none; names those that exist.</exception>
    internal ShellCommand Named(string name)
    {
        lock (_gate)
        {
            if (_commands.TryGetValue(name, out var command)) return command;
        }
        var known = Known.Select(command => $"`{command.Name}` [{command.State}]").ToList();
        throw new ToolFailure($"no background command is called `{name}`; " + (known.Count == 0 ? "none was started" : $"there are: {string.Join(", ", known)}"));
    }

    /// <summary>Ends everything, before the Pod's end is recorded. Starts nothing afterwards.</summary>
    internal async Task EndAllAsync()
    {
        List<ShellCommand> all;
        lock (_gate)
        {
            _closed = true;
            all = [.. _commands.Values];
        }
        foreach (var command in all) command.Kill("pod_ended");
        if (_preparation is { } begun) begun.IsLate = true;
        try
        {
            await Task.WhenAny(Prepared); // Whatever failed there, no command was in it.
            await Task.WhenAll(all.Select(command => command.Ended));
            await launcher.DisposeAsync();
            PrivatePlaces.Remove(_podDirectory);
        }
        catch (Exception e) when (e is TimeoutException or JournalException or IOException)
        {
            // Its mark stays, and with it the Pod's scope: whoever wants that ends the command first.
            await Console.Error.WriteLineAsync($"yoi: a command could not be ended: {e.Message}");
        }
    }

    private sealed record Made(SandboxedCommand Process, RunningCommands.Running Running, DeniedNames Names, string Cwd);

    /// <summary>What a command is held by.</summary>
    private sealed record Held(ScopePolicy Scope, SandboxPolicy Policy, SandboxView View, WritablePart Part, IReadOnlyList<string> Repositories, IReadOnlySet<string> Masked);

    /// <summary>As the scope and the disk are now; to be called while nothing is lent.</summary>
    private Held Look()
    {
        var now = scope.Current();
        var policy = new SandboxPolicy(now, platform, own.Network);
        var view = launcher.Look(policy);
        var (part, reaches, ran) = (view.Writable(now), launcher.ReachesSockets(policy), running.Any);
        var repositories = _repositories.Find(now.Rules.UnguardedGit && !reaches ? WritablePart.None : part, unlock: false, out var met);
        var sockets = reaches ? _sockets.Among(met, ran || running.Any) : [];
        if (now.Rules.UnguardedGit) (part, repositories) = (WritablePart.None, []);
        List<string> guarded;
        lock (_gate) guarded = [.. repositories.Except(_made)];
        (policy, var masked) = policy.Guarding(guarded, part, _home);
        if (masked.Count + sockets.Count > 0) view = launcher.Look(policy, sockets);
        return new(now, policy, view, part, repositories, masked);
    }

    private PrivatePlaces MakePlaces()
    {
        lock (_placing) return PrivatePlaces.Make(_podDirectory, launcher.Level, platform, _home);
    }

    /// <summary>What a command runs in, made ready before it is known.</summary>
    private sealed class Preparation
    {
        internal Task Ended { get; set; } = Task.CompletedTask;

        /// <summary>True when the command is there: it waits for none of this.</summary>
        internal volatile bool IsLate;
    }

    private async Task PrepareAsync(Preparation begun)
    {
        try
        {
            using var lease = await scope.HoldWriteAsync(CancellationToken.None);
            var (_, policy, view, _, _, _) = Look();
            if (begun.IsLate) return;
            await launcher.PrepareAsync(_podDirectory, policy, view, MakePlaces(), Limits, () => begun.IsLate);
        }
        catch (Exception e) when (e is SandboxException or ScopeException or IOException or UnauthorizedAccessException)
        {
            // The command looks for itself, and says what is in the way if something is then.
        }
    }

    /// <summary>As far as the gate. While the scope is looked at and the command not yet known, nothing is lent.</summary>
    private async Task<Made> MakeAsync(string name, string line, bool background, CancellationToken ct)
    {
        if (_preparation is { } begun) begun.IsLate = true; // What is ready is used, and nothing else is waited for.
        using var lease = await scope.HoldWriteAsync(ct);
        var (now, policy, view, part, repositories, masked) = Look();
        _notYet = view.NotYet;
        var places = MakePlaces();
        places.KeepOutputsBelow(MostOutputs, Written());
        if (Cwd != own.Cwd && !IsSeen(view, places, Cwd)) Cwd = own.Cwd; // It was lent away or lost since.
        if (!IsSeen(view, places, Cwd)) throw new SandboxException($"the working directory {Cwd} is not readable in this scope");
        var output = places.NewOutput(name, () => Interlocked.Increment(ref _outputs));
        var entered = running.Add(name, now);
        // Beside what the launcher puts together, which waits for it before anything of the command can run.
        var looking = Task.Run(() => DeniedNames.Look(name, policy.Access, view.Places.Select(place => place.Path).ToHashSet(StringComparer.Ordinal), view.Absent,
            part, repositories.Select(git => (git, masked.Contains(git)))), CancellationToken.None);
        try
        {
            var order = new CommandOrder(_podDirectory, policy, view, places, Limits, Cwd, own.Cwd, line, output, ToTextAsync(looking), background);
            if (!background) _ = places.TakeWorkingDirectory(); // What others left there is not this one's.
            return new(await launcher.StartAsync(order, ct), entered, await looking, Cwd);
        }
        catch (Exception e) when (e is not TimeoutException) // Of that one something lives.
        {
            await Task.WhenAny(looking);
            running.Remove(entered);
            throw;
        }
    }

    private static async Task<string?> ToTextAsync(Task<DeniedNames> names) => (await names).ToText();

    private static bool IsSeen(SandboxView view, PrivatePlaces places, string cwd) =>
        view.SightOf(cwd) is not Sight.Masked || ScopePath.IsAtOrBelow(cwd, places.SeenHome) || ScopePath.IsAtOrBelow(cwd, places.SeenTemp);

    private static bool IsReplaced(ShellCommand command, DeniedNames names)
    {
        if (names.Replaced() is not { } now) return false;
        command.Replaced = now;
        command.Kill("replaced");
        return true;
    }

    private async Task<ShellEnd> FollowAsync(ShellCommand command, Made made)
    {
        var (ended, tell) = await SettledAsync(command, made);
        if (tell) BackgroundEnded?.Invoke();
        return ended;
    }

    /// <summary>Whatever goes wrong, it is let go when its tree is gone, and never before: an undying command keeps its name and what it may write.</summary>
    private async Task<(ShellEnd Ended, bool Tell)> SettledAsync(ShellCommand command, Made made)
    {
        ShellEnd? ended = null;
        try
        {
            CommandEnd end;
            using (MaskWatch.Start(made.Names.Covered, () => IsReplaced(command, made.Names))) end = await made.Process.Ended;
            var output = made.Process.Output;
            var why = output.Failure is not null ? "disk_error" : output.Full ? "output_limit" : command.Killed ?? (end.Exit is null ? "killed" : "exited");
            var (found, isSettled) = Check(command, made.Names);
            if (!command.Background && PrivatePlaces.Of(_podDirectory, launcher.Level).TakeWorkingDirectory() is { } cwd) Cwd = cwd;
            ended = new ShellEnd(why == "exited" ? end.Exit?.Code : null, why, found, LimitText.Met(end, Limits));
            List<Entry> entries = [new Entry.CommandEnded(command.Name, ended.ExitCode, why), .. found.Select(text => new Entry.Notification("warn", "sandbox", text))];
            var tell = command.Background && command.Killed is null;
            if (tell) entries.Add(new Entry.Notify("bash", $"background command `{command.Name}` has {ended.Said}; BashOutput shows what it wrote"));
            await journal.AppendAsync(Durability.Written, [.. entries]);
            if (isSettled) made.Process.Mark.Remove();
            return (ended, tell);
        }
        finally
        {
            if (made.Process.IsGone) LetGo(command, made.Running, ended ?? new(null, "unknown", [], []));
        }
    }

    /// <summary>What it made that is denied. What cannot be looked at stays in its mark, for whoever has the scope next.</summary>
    private (IReadOnlyList<string> Found, bool IsSettled) Check(ShellCommand command, DeniedNames names)
    {
        IReadOnlyList<string> found;
        IReadOnlyCollection<string> repositories;
        try
        {
            (found, repositories) = names.Check(command.Process.Mark, _repositories, command.Replaced);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ([$"what the command may have made that is denied could not be looked through: {e.Message}"], false);
        }
        lock (_gate)
        {
            _made.UnionWith(repositories.Except(names.Repositories.Keys));
            if (_repositories.WasCutOff && !_toldCutOff) found = [.. found, $"the writable scope has more than {RepositoryIndex.MostDirectories} directories: not all are looked through for git repositories that commands make, nor for sockets of the host"];
            _toldCutOff |= _repositories.WasCutOff;
        }
        return (found, true);
    }

    private void LetGo(ShellCommand command, RunningCommands.Running entered, ShellEnd ended)
    {
        running.Remove(entered);
        command.Process.Close();
        lock (_gate)
        {
            command.End = ended;
            if (!command.Background && _commands.GetValueOrDefault(command.Name) == command) _commands.Remove(command.Name);
            var gone = _commands.Values.Where(other => other.Background && other.End is not null).Select(other => other.Name).ToList();
            foreach (var name in gone.Take(gone.Count - MostEnded)) Forget_NeedsLock(name);
        }
    }

    private void Forget_NeedsLock(string name)
    {
        if (_commands.Remove(name, out var command)) command.Process.Output.Delete();
    }

    /// <summary>Outputs that grow.</summary>
    private List<string> Written()
    {
        lock (_gate) return [.. _commands.Values.Where(command => command.End is null).Select(command => command.Process.Output.Path)];
    }

    private string FreeName(string? name, bool background)
    {
        lock (_gate)
        {
            if (_closed) throw new ToolFailure("the Pod is ending; nothing is started any more");
            if (background && _commands.Values.Count(command => command.Background && command.End is null) >= MostInBackground)
                throw new ToolFailure($"{MostInBackground} background commands are running; end one with KillBash first");
            if (name is null)
            {
                do name = (++_number).ToString(CultureInfo.InvariantCulture);
                while (_commands.ContainsKey(name));
                return name;
            }
            if (PodName.Problem(name) is not null) throw new ToolFailure($"`name` is made of at most {PodName.MaxLength} ASCII letters, digits, '-' and '_'");
            if (_commands.TryGetValue(name, out var known) && known.End is null) throw new ToolFailure($"a command called `{name}` is running; choose another name, or end it with KillBash");
            return name;
        }
    }
}
