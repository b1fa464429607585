using Yoi.Protocol;
using Yoi.Runtime.Configuration;

namespace Yoi.Tests.Configuration;

/// <summary>A home, a project and settings of a test's own.</summary>
internal sealed class ConfigRoom : IDisposable
{
    private readonly Dictionary<string, string> _environment = new(StringComparer.Ordinal);

    internal ConfigRoom()
    {
        Root = Directory.CreateTempSubdirectory("yoi-config-").FullName;
        (Home, Project) = (Root + "/home", Root + "/home/project");
        Directory.CreateDirectory(Project + "/.git");
        Directories = new(Root + "/state", Root + "/run", Root + "/config");
        Directory.CreateDirectory(Directories.Config);
    }

    internal string Root { get; }
    internal string Home { get; }
    internal string Project { get; }
    internal YoiDirectories Directories { get; }

    internal ConfigRoom User(string json) => Write(Directories.Config + "/yoi.jsonc", json);

    internal ConfigRoom OfProject(string json) => Write(Project + "/yoi.jsonc", json);

    internal ConfigRoom Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return this;
    }

    internal ConfigRoom Variable(string name, string value)
    {
        _environment[name] = value;
        return this;
    }

    internal Settings Load(string? cwd = null) => Settings.Load(Directories, cwd ?? Project, Home);

    internal Task<ResolvedModel> ResolveAsync(string? model = null, string? baseUrl = null) =>
        new ModelResolver(Load(), _environment.GetValueOrDefault, Home, Project, TimeProvider.System)
            .ResolveAsync(model, baseUrl, Xunit.TestContext.Current.CancellationToken);

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
