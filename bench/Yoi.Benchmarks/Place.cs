using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks;

/// <summary>A state root of its own and a place to work in, on tmpfs or on disk, removed at the end.</summary>
internal sealed class Place : IDisposable
{
    private const string Tmpfs = "/dev/shm";

    private readonly string _path, _runtime, _work;

    private Place(string state, string work)
    {
        var name = $"yoi-bench-{Environment.ProcessId}-{Guid.NewGuid():n}";
        (_path, _runtime, _work) = (Path.Combine(state, name), Path.Combine(Memory, name + "-run"), Path.Combine(work, name + "-work"));
        Directory.CreateDirectory(_path);
        Work = Directory.CreateDirectory(_work).FullName;
        Directories = new YoiDirectories(_path + "/state", _runtime, _path + "/config");
    }

    private static string Memory => Directory.Exists(Tmpfs) ? Tmpfs : Path.GetTempPath();

    /// <summary>What <c>YOI_HOME</c> is to a <c>yoi</c> that is started here.</summary>
    internal string Home => _path;

    internal string Work { get; }
    internal YoiDirectories Directories { get; }

    /// <summary>In memory: the figures are ours, not a disk's.</summary>
    internal static Place InMemory() => new(Memory, Memory);

    /// <summary>On the disk that this repository is on.</summary>
    internal static Place OnDisk() => new(Disk, Disk);

    /// <summary>State in memory, work on disk: commands have a <c>/dev/shm</c> of their own, so that a scope there is not seen.</summary>
    internal static Place ForCommands() => new(Memory, Disk);

    private static string Disk => Directory.CreateDirectory("artifacts").FullName;

    internal string Folder(string name) => Directory.CreateDirectory(Path.Combine(Work, name)).FullName;

    /// <summary>A file that drives all Pods of this place; see docs/models.md.</summary>
    internal string Script(string json)
    {
        var path = Path.Combine(_path, $"script-{Guid.NewGuid():n}.jsonc");
        File.WriteAllText(path, json);
        return path;
    }

    internal LaunchDocument Document(string name, string? script = null)
    {
        var id = PodName.NewId(TimeProvider.System);
        return new LaunchDocument(
            LaunchDocument.CurrentVersion, id, name, Work, new ModelChoice("scripted", "scripted", Script: script),
            new ScopeRules([new ScopeRule(name.StartsWith("solo", StringComparison.Ordinal) ? Folder(name) : Work, Permission.Write)], []), null, null, id, 0, null,
            new PodLimits(TurnsPerRun: 1_000_000, Children: 200, PodsInTree: 400), "none", Directories, new ModelTiming());
    }

    public void Dispose()
    {
        foreach (var path in new[] { _path, _work }) Directory.Delete(path, recursive: true);
        if (Directory.Exists(_runtime)) Directory.Delete(_runtime, recursive: true);
    }
}
