using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Configuration;

/// <summary>
/// The user's file with the project's laid over it. The user's file is authority; a project's file came with the code and
/// may only narrow: it can never say where a key is sent, what is run for it, or what a Pod may touch.
/// </summary>
/// <param name="Scope">Paths are absolute.</param>
/// <param name="PlatformSet">Directories, resolved as far as they are there.</param>
/// <param name="Files">The files that were read, the user's first.</param>
internal sealed record Settings(
    string? Model, IReadOnlyDictionary<string, ProviderConfig> Providers, PodLimits Limits, CommandLimits Commands, ScopeConfig Scope, ModelTiming Timing,
    int? MaxOutputTokens, int? ThinkingTokens, string? Role, IReadOnlyList<string> Files,
    string Sandbox = Settings.Auto, bool Network = false, IReadOnlyList<string>? PlatformSet = null, int RetentionDays = 30, int? RetentionMb = null)
{
    /// <summary>What a project asked for and does not get, for the human to hear.</summary>
    internal IReadOnlyList<string> Ignored { get; init; } = [];

    /// <summary>The level that can be had.</summary>
    internal const string Auto = "auto";

    /// <summary>What may be asked of the sandbox.</summary>
    internal static readonly string[] SandboxWords = [Auto, "kernel", "partial", "tools-only"];

    /// <summary>Reads both files, as far as they are there.</summary>
    /// <param name="home">The user's home, for <c>~/</c>.</param>
    /// <exception cref="ConfigException">A file is wrong, or the project asks for what only the user may set.</exception>
    internal static Settings Load(YoiDirectories directories, string cwd, string home)
    {
        var userFile = directories.Config + "/" + ConfigReader.FileName;
        var user = ConfigReader.ReadFile(userFile);
        var projectFile = ProjectConfig.Find(cwd, home);
        var project = projectFile is null ? null : ConfigReader.ReadFile(projectFile);
        var settings = OfUser(userFile, user ?? new YoiConfig(), directories, home) with
        {
            Files = [.. user is null ? [] : new[] { userFile }, .. project is null ? [] : new[] { projectFile! }],
        };
        return project is null ? settings : ProjectConfig.Narrow(settings, projectFile!, project, userFile, home);
    }

    private static Settings OfUser(string file, YoiConfig config, YoiDirectories directories, string home)
    {
        List<string> problems = [];
        IReadOnlyList<string>? Absolute(string key, IReadOnlyList<string>? paths) => paths is null ? null : [.. paths.Select(path =>
        {
            var absolute = Expand(path, home);
            if (!absolute.StartsWith('/')) problems.Add($"`{key}`: \"{path}\" is neither absolute nor begins with ~/");
            return absolute;
        })];
        IReadOnlyList<string>? Platform(IReadOnlyList<string>? paths) => Absolute("platform_set", paths) is not { } absolute ? null : [.. absolute.Where(path => path.StartsWith('/')).Select(path =>
        {
            var resolved = ScopeRoots.Resolve(path, "/");
            if (BuiltInDenies.WhyNotPlatform(directories, home, resolved) is { } why) problems.Add($"`platform_set`: {path} cannot be read by every Pod: {why}");
            return resolved;
        })];
        var scope = config.Scope ?? new ScopeConfig();
        var none = new PodLimits();
        var settings = new Settings(
            config.Model,
            config.Providers ?? new Dictionary<string, ProviderConfig>(),
            new PodLimits(
                config.Limits?.TurnsPerRun ?? none.TurnsPerRun, config.Limits?.Children ?? none.Children,
                config.Limits?.Depth ?? none.Depth, config.Limits?.PodsInTree ?? none.PodsInTree, config.Limits?.Tokens),
            OfCommands(config.Limits?.Commands, new()),
            new ScopeConfig(
                Absolute("scope.write", scope.Write), Absolute("scope.read", scope.Read), Absolute("scope.deny_write", scope.DenyWrite),
                Absolute("scope.deny_read", scope.DenyRead), scope.BuiltInDenies),
            config.Timing ?? new ModelTiming(), config.MaxOutputTokens, config.ThinkingTokens, config.Role, [], config.Sandbox ?? Auto, config.Network ?? false, Platform(config.PlatformSet),
            config.Retention?.Days ?? 30, config.Retention?.MaxMb);
        return problems.Count > 0 ? throw new ConfigException(file, problems) : settings;
    }

    private static CommandLimits OfCommands(CommandConfig? given, CommandLimits none) => new(
        given?.Processes ?? none.Processes, given?.MemoryMb ?? none.MemoryMb, given?.FileMb ?? none.FileMb,
        given?.TempMb ?? none.TempMb, given?.OutputMb ?? none.OutputMb, given?.Seconds ?? none.Seconds);

    /// <summary>Replaces a leading <c>~/</c>.</summary>
    internal static string Expand(string path, string home) =>
        path == "~" ? home : path.StartsWith("~/", StringComparison.Ordinal) ? System.IO.Path.Join(home, path[2..]) : path;
}
