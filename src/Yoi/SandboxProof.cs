using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>The level that Pods get: what was asked for and was proven by a live attempt. What was asked for and cannot be had is an error.</summary>
/// <param name="Warning">What it does not hold, or why there is none; null if all is as it was asked for.</param>
internal sealed record SandboxProof(string Level, string? Warning)
{
    /// <summary>What a command can do outside at level <c>partial</c>; said at every start.</summary>
    private const string PartialLimits = "commands see names outside the scope, and can change modes and times there (docs/sandbox.md)";

    internal static async Task<SandboxProof> ChooseAsync(string asked, Surroundings s, CancellationToken ct)
    {
        if (asked == SandboxLevel.ToolsOnly) return new(SandboxLevel.ToolsOnly, null);
        List<string> failed = [];
        foreach (var level in asked == SandboxLevel.Kernel || asked == SandboxLevel.Partial ? [asked] : new[] { SandboxLevel.Kernel, SandboxLevel.Partial })
        {
            var first = (await TryAsync(level, s, ct)).FirstOrDefault(finding => !finding.Holds);
            if (first is null) return new(level, level == SandboxLevel.Partial ? $"sandbox level partial: {PartialLimits}{(failed.Count == 0 ? "" : $"; {failed[0]}")}" : null);
            failed.Add($"level {level} cannot be had ({first.What}: {first.Detail})");
        }
        if (failed.Count == 1) throw new CommandException(ExitCode.Refused, $"sandbox {failed[0]}; `yoi doctor` shows more, `--sandbox tools-only` starts without Bash");
        return new(SandboxLevel.ToolsOnly, $"no Bash: {string.Join(", ", failed)}; `yoi doctor` shows more");
    }

    /// <summary>What the human should know before a Pod of this document starts.</summary>
    internal IEnumerable<string> Warnings(LaunchDocument document, Surroundings s)
    {
        if (Warning is not null) yield return Warning;
        var home = PlatformSet.HomeOf(s.Environment);
        var policy = SandboxPolicy.Of(
            new(document.Scope, [], 0), PlatformSet.Find(home, CommandGate.PathOf(s.Environment), document.Network, document.PlatformSet), document.Directories, home, document.Network);
        foreach (var line in PodReach.Beyond(policy, Level)) yield return line;
        if (Level == SandboxLevel.Partial && Landlock.Refusal(policy) is { } why)
            yield return $"Bash will refuse to run anything: {why}. What is denied without having been asked for, scope.built_in_denies takes away (docs/scopes.md)";
    }

    /// <summary>Every finding is an attempt that a command in a sandbox of this level makes now.</summary>
    internal static async Task<IReadOnlyList<SandboxFinding>> TryAsync(string level, Surroundings s, CancellationToken ct)
    {
        await DelegatedGroup.MakeReadyAsync(s.Time, ct); // Before the first command, and before the Pod, which begins in the same group.
        return await SandboxTrial.RunAsync(level, s.Keeper(), s.Directories, s.Environment, s.Time, ct);
    }
}
