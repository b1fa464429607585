namespace Yoi.Runtime.Spawning;

/// <summary>A Pod process that said it is ready.</summary>
/// <param name="StartTime">Field 22 of <c>/proc/PID/stat</c>: with pid and boot id it names a process for good.</param>
internal sealed record LaunchedPod(int Pid, string StartTime, string BootId, string Socket);

/// <summary>A Pod process could not be started; carries its own words.</summary>
/// <param name="step">The step that failed: <c>exec</c>, <c>ready</c>, …</param>
internal sealed class LaunchException(string step, string message) : Exception(message)
{
    internal string Step { get; } = step;
}

/// <summary>
/// Starts Pod processes (<c>yoi serve</c>) in a session of their own, hands over the launch document on stdin and waits for the
/// answer on the inherited pipe; no polling. Used by the command line for roots and by ChildSpawner for children.
/// </summary>
internal static class PodLauncher
{
    /// <summary>Starts one; returns when it is ready to take work.</summary>
    /// <exception cref="LaunchException">It exited or said why it cannot; nothing of it runs any more.</exception>
    internal static Task<LaunchedPod> StartAsync(LaunchDocument document, LaunchSecrets secrets, TimeSpan limit, CancellationToken ct) =>
        throw new NotImplementedException();
}
