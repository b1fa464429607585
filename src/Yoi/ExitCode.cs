namespace Yoi;

/// <summary>Exit codes of every verb; stable, and described in docs/cli.md.</summary>
internal static class ExitCode
{
    internal const int Ok = 0;
    /// <summary>A run ended otherwise than completed (turn limit, budget, time, context, crash), or a check failed.</summary>
    internal const int RunFailed = 1;
    /// <summary>The command line, the settings or the platform is wrong.</summary>
    internal const int Usage = 2;
    /// <summary>Refused: a path is held, a Pod is busy, a name is in use.</summary>
    internal const int Refused = 3;
    internal const int NotFound = 4;
    internal const int Provider = 5;
    internal const int Cancelled = 6;
    internal const int Disk = 7;
    /// <summary>A fault of Yoi itself.</summary>
    internal const int Fault = 70;
    internal const int WaitTimeout = 124;
    internal const int HungUp = 129;
    internal const int Interrupted = 130;
    internal const int Terminated = 143;
}

/// <summary>A verb cannot be done; the message reads <c>what happened; what to do</c>.</summary>
internal sealed class CommandException(int exitCode, string message) : Exception(message)
{
    internal int ExitCode { get; } = exitCode;
}
