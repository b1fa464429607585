using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Tests.Cli;

/// <summary>A command line with a root of its own: directories, environment, stdin and both outputs.</summary>
internal sealed class CliRoom : IDisposable
{
    private readonly Dictionary<string, string> _environment = new(StringComparer.Ordinal);
    private readonly Births _births = new();
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    internal CliRoom(string input = "", bool inputIsTerminal = false, TimeProvider? time = null)
    {
        Root = Directory.CreateTempSubdirectory("yoi-cli-").FullName;
        _environment["HOME"] = Root;
        Cwd = Root + "/my project";
        Directory.CreateDirectory(Cwd);
        Surroundings = new Surroundings(
            new Screen(_out, _error), new YoiDirectories(Root + "/y/state", Root + "/y/run", Root + "/y/config"), _environment.GetValueOrDefault, Cwd,
            time ?? TimeProvider.System, new StringReader(input), inputIsTerminal)
        { Keeper = () => new(RealPod.Yoi, [RealPod.Yoi, Runtime.Spawning.PodProgram.Keep]) };
    }

    internal string Root { get; }
    internal string Cwd { get; }
    internal Surroundings Surroundings { get; }
    internal string Out => _out.ToString();
    internal string Error => _error.ToString();

    internal void Variable(string name, string value) => _environment[name] = value;

    /// <summary>The exit code, as Program makes it.</summary>
    internal async Task<int> RunAsync(params string[] args)
    {
        _out.GetStringBuilder().Clear();
        _error.GetStringBuilder().Clear();
        try
        {
            return await FrontDoor.RunAsync(args, Surroundings, Xunit.TestContext.Current.CancellationToken);
        }
        catch (Exception e)
        {
            return FrontDoor.Explain(Surroundings, e);
        }
    }

    /// <summary>A dead Pod's files, its journal made of these entries.</summary>
    internal Task<KnownPod> DeadPodAsync(string name, params Entry[] entries) => DeadChildAsync(null, name, entries);

    /// <summary>The same of a Pod that another spawned.</summary>
    internal async Task<KnownPod> DeadChildAsync(KnownPod? spawner, string name, params Entry[] entries)
    {
        var id = PodName.NewId(_births);
        var directory = Surroundings.Directories.Pod(name, id);
        Directory.CreateDirectory(directory);
        using var podLock = PodLock.TryTake(directory)!;
        await using var journal = JournalWriter.Open(directory, podLock, [], TimeProvider.System);
        await journal.AppendAsync(Durability.Written,
        [
            new Entry.PodCreated(1, id, name, Cwd, new ModelChoice("openai", "m"), new ScopeRules([new ScopeRule(Cwd, Permission.Write)], []), 1,
                spawner is null ? null : new SpawnerRef(spawner.Name, spawner.PodId, Surroundings.Directories.Socket(spawner.PodId)), 0, null, new PodLimits(), "none", "yoi"),
            .. entries,
        ]);
        return new KnownPod(name, id, directory);
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);

    /// <summary>Ids of one millisecond have no order; each Pod of a room is born a second after the one before.</summary>
    private sealed class Births : TimeProvider
    {
        private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => _now = _now.AddSeconds(1);
    }
}
