using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>The level that Pods get: what was asked for and was proven by a live attempt. What was asked for and cannot be had is an error.</summary>
/// <param name="Warning">Why it is less than it could be; null if it is not, or was asked to be.</param>
internal sealed record SandboxProof(string Level, string? Warning)
{
    internal static async Task<SandboxProof> ChooseAsync(string asked, Surroundings s, CancellationToken ct)
    {
        if (asked == SandboxLevel.ToolsOnly) return new(SandboxLevel.ToolsOnly, null);
        if (asked == SandboxLevel.Partial) throw new CommandException(ExitCode.Refused, "sandbox level `partial` is not built yet; `kernel` needs bubblewrap, `tools-only` gives no Bash");
        var failed = (await SandboxTrial.RunAsync(s.Directories, s.Environment, s.Time, ct)).FirstOrDefault(finding => !finding.Holds);
        if (failed is null) return new(SandboxLevel.Kernel, null);
        if (asked == SandboxLevel.Kernel) throw new CommandException(ExitCode.Refused, $"sandbox level `kernel` cannot be had: {failed.What}: {failed.Detail}; `yoi doctor` shows more, `--sandbox tools-only` starts without Bash");
        return new(SandboxLevel.ToolsOnly, $"no Bash: the kernel sandbox cannot be had ({failed.What}: {failed.Detail}); `yoi doctor` shows more");
    }
}
