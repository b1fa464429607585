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
    /// <exception cref="CommandException">There is no working directory, or a variable cannot be used.</exception>
    internal static Surroundings OfProcess() => new(
        Screen.OfProcess(System.Environment.GetEnvironmentVariable),
        Places(), System.Environment.GetEnvironmentVariable, WorkingDirectory(), TimeProvider.System, Console.In, !Console.IsInputRedirected);

    private static YoiDirectories Places()
    {
        try
        {
            return YoiDirectories.Find(System.Environment.GetEnvironmentVariable, Libc.Geteuid());
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, e.Message);
        }
    }

    private static string WorkingDirectory()
    {
        try
        {
            return Directory.GetCurrentDirectory();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Usage, "the working directory is not there any more, or may not be looked at; go to another one (`cd ~`)");
        }
    }

    internal string Home => Environment("HOME") is { Length: > 0 } home ? home : "/";

    /// <summary>What is started as the keeper of commands, where a level of the sandbox has one.</summary>
    internal Func<PodProgram> Keeper { get; init; } = () => PodProgram.Own(PodProgram.Keep);

    internal PodRegistry Registry => new(Directories);

    internal ScopeTable Table => new(Directories, Time);

    internal TreeStopper Stopper => new(Directories, Table, Time);
}
