using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks;

/// <summary>A state root of its own on tmpfs or on disk, removed at the end.</summary>
internal sealed class Place : IDisposable
{
    private const string Tmpfs = "/dev/shm";

    private readonly string _path, _runtime;

    private Place(string parent)
    {
        var name = $"yoi-bench-{Environment.ProcessId}-{Guid.NewGuid():n}";
        (_path, _runtime) = (Path.Combine(parent, name), Path.Combine(Memory, name + "-run"));
        Work = Directory.CreateDirectory(Path.Combine(_path, "work")).FullName;
        Directories = new YoiDirectories(_path + "/state", _runtime, _path + "/config");
    }

    private static string Memory => Directory.Exists(Tmpfs) ? Tmpfs : Path.GetTempPath();

    /// <summary>What <c>YOI_HOME</c> is to a <c>yoi</c> that is started here.</summary>
    internal string Home => _path;

    internal string Work { get; }
    internal YoiDirectories Directories { get; }

    /// <summary>In memory: the figures are ours, not a disk's.</summary>
    internal static Place InMemory() => new(Memory);

    /// <summary>On the disk that this repository is on.</summary>
    internal static Place OnDisk() => new(Directory.CreateDirectory("artifacts").FullName);

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
        Directory.Delete(_path, recursive: true);
        if (Directory.Exists(_runtime)) Directory.Delete(_runtime, recursive: true);
    }
}
