using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>A state root of its own in a temporary directory, removed at the end.</summary>
internal sealed class SpawningRoot : IDisposable
{
    internal SpawningRoot()
    {
        Path = Directory.CreateTempSubdirectory("yoi-spawn-").FullName;
        Directories = YoiDirectories.Find(name => name == "YOI_HOME" ? Path : null, 0);
        Work = Directory.CreateDirectory(System.IO.Path.Combine(Path, "work")).FullName;
    }

    internal string Path { get; }
    internal string Work { get; }
    internal YoiDirectories Directories { get; }

    internal LaunchDocument Document(string name, ScopeRules? scope = null) => new(
        LaunchDocument.CurrentVersion, PodName.NewId(TimeProvider.System), name, Work, new ModelChoice("scripted", "scripted"),
        scope ?? new ScopeRules([new ScopeRule(Work, Permission.Write)], []), null, null, "root", 0, null, new PodLimits(), "none", Directories, new ModelTiming());

    /// <summary>A shell script in the place of a Pod.</summary>
    internal static PodProgram Shell(string script) => new("/bin/sh", ["sh", "-c", script]);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
