using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>All that a verb works with. Made once by Program, or by a test with a root of its own.</summary>
/// <param name="Cwd">Absolute; the directory that relative paths start at.</param>
/// <param name="InputIsTerminal">False if stdin is a pipe or file.</param>
internal sealed record Surroundings(
    Screen Screen, YoiDirectories Directories, Func<string, string?> Environment, string Cwd, TimeProvider Time, TextReader Input, bool InputIsTerminal)
{
    internal static Surroundings OfProcess() => new(
        Screen.OfProcess(System.Environment.GetEnvironmentVariable),
        YoiDirectories.Find(System.Environment.GetEnvironmentVariable, Libc.Geteuid()),
        System.Environment.GetEnvironmentVariable, Directory.GetCurrentDirectory(), TimeProvider.System, Console.In, !Console.IsInputRedirected);

    internal string Home => Environment("HOME") is { Length: > 0 } home ? home : "/";

    /// <summary>What is started as the keeper of commands, where a level of the sandbox has one.</summary>
    internal Func<PodProgram> Keeper { get; init; } = () => PodProgram.Own(PodProgram.Keep);

    internal PodRegistry Registry => new(Directories);

    internal ScopeTable Table => new(Directories, Time);

    internal TreeStopper Stopper => new(Directories, Table, Time);
}
