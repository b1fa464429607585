using System.Globalization;
using System.Text;
using System.Text.Json;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Tools.Shell;

/// <summary>The tools of the shell, composed for one Pod.</summary>
internal static class ShellTools
{
    /// <summary>In the order in which the model is told of them.</summary>
    internal static IReadOnlyList<Tool> All(Shell shell, TimeProvider time) => [new BashTool(shell, time), new BashOutputTool(shell, time), new KillBashTool(shell)];
}

/// <summary>
/// Runs a command in a sandbox made from the scope as it is now. Runs alone: what it may write depends on the calls before it, and what
/// comes after it counts on what it did.
/// </summary>
internal sealed class BashTool(Shell shell, TimeProvider time) : Tool
{
    private const int DefaultTimeoutMs = 120_000, LongestCommand = 100_000;

    internal override Protocol.ToolSchema Schema { get; } = Resources.Schema("Bash", "Tools/Shell/Bash");

    internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Alone;

    internal override void Expect() => shell.Expect();

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var line = given.Text("command");
        if (string.IsNullOrWhiteSpace(line)) throw new ToolFailure("`command` is empty");
        if (line.Contains('\0')) throw new ToolFailure("`command` has a NUL in it");
        if (Encoding.UTF8.GetByteCount(line) > LongestCommand) throw new ToolFailure($"`command` is longer than {LongestCommand} bytes: write it to a file and run that");
        _ = given.TextOrNull("description");
        var most = (int)Math.Min(shell.Limits.Seconds * 1000L, int.MaxValue - 1);
        var limit = TimeSpan.FromMilliseconds(given.Number("timeout", 1, most) ?? Math.Min(DefaultTimeoutMs, most));
        var background = given.Flag("run_in_background");
        var name = given.TextOrNull("name");
        if (name is not null && !background) throw new ToolFailure("`name` is for background commands: add run_in_background, or leave it out");
        var began = time.GetTimestamp();
        var command = await StartAsync(line, name, background, call.CallId, ct);
        if (background) return new ToolOutcome($"started in the background as `{command.Name}`; BashOutput shows what it writes, KillBash ends it");
        return Outcome(command, await EndAsync(command, limit, ct), limit, time.GetElapsedTime(began));
    }

    private async Task<ShellCommand> StartAsync(string line, string? name, bool background, string callId, CancellationToken ct)
    {
        try
        {
            return await shell.StartAsync(line, name, background, callId, ct);
        }
        catch (SandboxException e)
        {
            throw new ToolFailure($"not run: {e.Message}");
        }
    }

    /// <summary>Waits for its end; past the limit, or when the call is cancelled, ends it first.</summary>
    private async Task<ShellEnd> EndAsync(ShellCommand command, TimeSpan limit, CancellationToken ct)
    {
        using var timer = new CancellationTokenSource(limit, time);
        await using var late = timer.Token.UnsafeRegister(_ => command.Kill("timeout"), null);
        await using var cancelled = ct.UnsafeRegister(_ => command.Kill("cancelled"), null);
        return await command.Ended;
    }

    private ToolOutcome Outcome(ShellCommand command, ShellEnd end, TimeSpan limit, TimeSpan took)
    {
        var output = command.Process.Output;
        var seconds = took.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        var summary = end.Why switch
        {
            "exited" => end.ExitCode is null or 0 ? $"exit code 0 after {seconds} s" : $"exit code {end.ExitCode} after {seconds} s{Signal(end.ExitCode.Value)}",
            "timeout" => $"ended after its limit of {limit.TotalMilliseconds:0} ms, with everything it had started; for long work use run_in_background, or a higher `timeout`",
            "disk_error" => $"ended because what it wrote could not be kept: {output.Failure}",
            "output_limit" => $"ended because it wrote more than its limit of {output.Length >> 20} MiB of output",
            "replaced" => $"ended after {seconds} s: what is denied to it was replaced or moved from outside while it ran, so that it could not be kept away from it any more",
            "cancelled" => $"cancelled after {seconds} s, with everything it had started",
            var other => $"ended after {seconds} s ({other})",
        };
        var content = CommandText.Inline(output, shell.PathOf(output));
        var failed = end.Why == "exited" && end.ExitCode is not (null or 0);
        foreach (var line in end.Found.Concat(end.Limits)) content += $"\n[yoi] {line}";
        if (failed && end.Limits.Count == 0 && LimitText.Hint(end.ExitCode, content, shell.Limits) is { } hint) content += $"\n[yoi] {hint}";
        if (failed && CommandText.LooksRefused(content)) content += "\n" + CommandText.Hint(shell);
        if (output.Length <= CommandText.InlineBytes) output.Delete();
        return new ToolOutcome(summary, content.Length == 0 ? null : content, IsError: end is not { Why: "exited", ExitCode: null or 0 });
    }

    private static string Signal(int code) => code switch
    {
        > 128 and < 160 => $" (signal {code - 128})",
        _ => "",
    };
}
