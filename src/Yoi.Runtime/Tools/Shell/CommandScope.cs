using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>What one command is held by, as scope and disk were when it was put together.</summary>
/// <param name="Part">What it may write, where repositories are guarded.</param>
/// <param name="Repositories">Those in that part.</param>
/// <param name="Masked">Those of them that have mounts on what git would run.</param>
internal sealed record HeldScope(
    ScopePolicy Scope, SandboxPolicy Policy, SandboxView View, PrivatePlaces Places, WritablePart Part, IReadOnlyList<string> Repositories, IReadOnlySet<string> Masked)
{
    /// <summary>True if a command can be there.</summary>
    internal bool Shows(string directory) =>
        View.SightOf(directory) is not Sight.Masked || ScopePath.IsAtOrBelow(directory, Places.SeenHome) || ScopePath.IsAtOrBelow(directory, Places.SeenTemp);

    /// <summary>What is denied to a command of this name, as it is before the command.</summary>
    internal DeniedNames DeniedTo(string command) => DeniedNames.Look(
        command, Policy.Access, View.Places.Select(place => place.Path).ToHashSet(StringComparer.Ordinal), View.Absent, Part, Repositories.Select(git => (git, Masked.Contains(git))));
}

/// <summary>The scope of one Pod as its commands are held to it: looked at anew for each, and looked through when it is over.</summary>
/// <param name="home">The user's home.</param>
internal sealed class CommandScope(LaunchDocument own, LiveScope scope, PlatformSet platform, RunningCommands running, CommandLauncher launcher, string home, TimeProvider time)
{
    private readonly string _podDirectory = own.Directories.Pod(own.Name, own.PodId);
    private readonly Lock _gate = new(), _placing = new();
    private readonly RepositoryIndex _repositories = new(time);
    private readonly ForeignSockets _sockets = new();

    /// <summary>Repositories that commands of this Pod made. They are inert, and stay its to change and remove: no mount lies on them.</summary>
    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private bool _toldCutOff;
    private IReadOnlyList<Awaited> _notYet = [];

    /// <summary>What commands have for themselves, made or not.</summary>
    internal PrivatePlaces Places => PrivatePlaces.Of(_podDirectory, launcher.Level);

    /// <summary>What a model is told when the kernel probably refused something.</summary>
    internal string Reach
    {
        get
        {
            var write = scope.Current().Rules.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.ToString()).ToList();
            return $"Writable: {(write.Count == 0 ? "nothing of the scope" : string.Join(", ", write))}, $HOME and $TMPDIR{(own.Network ? "" : "; there is no network")}.{string.Concat(_notYet.Select(awaited => $" {awaited}."))}";
        }
    }

    /// <summary>Nothing is lent while this is held.</summary>
    internal ValueTask<IDisposable> HoldAsync(CancellationToken ct) => scope.HoldWriteAsync(ct);

    /// <summary>As things are now; to be called while nothing is lent.</summary>
    /// <exception cref="SandboxException">It cannot be held so.</exception>
    /// <exception cref="ScopeException">The scope table cannot be trusted.</exception>
    internal HeldScope Look()
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
        (policy, var masked) = policy.Guarding(guarded, part, home);
        if (masked.Count + sockets.Count > 0) view = launcher.Look(policy, sockets);
        _notYet = view.NotYet;
        return new(now, policy, view, MakePlaces(), part, repositories, masked);
    }

    /// <summary>What a command made that is denied. What cannot be looked at stays in its mark, for whoever has the scope next.</summary>
    /// <param name="replaced">What was seen when what its mounts lie on was replaced from outside.</param>
    internal (IReadOnlyList<string> Found, bool IsSettled) Check(CommandMark mark, DeniedNames names, IReadOnlyDictionary<string, FileVersion?>? replaced)
    {
        IReadOnlyList<string> found;
        IReadOnlyCollection<string> repositories;
        try
        {
            (found, repositories) = names.Check(mark, _repositories, replaced);
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

    /// <summary>By one at a time: half of them is no home.</summary>
    private PrivatePlaces MakePlaces()
    {
        lock (_placing) return PrivatePlaces.Make(_podDirectory, launcher.Level, platform, home);
    }
}
