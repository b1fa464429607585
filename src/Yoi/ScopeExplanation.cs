using Yoi.Runtime.Configuration;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Terminal;

namespace Yoi;

/// <summary><c>yoi run --explain-scope</c>: from the launch document that a start would use to what its Pod could do. Starts nothing and takes no scope.</summary>
internal static class ScopeExplanation
{
    /// <summary>What a Pod may do does not depend on its model, so none has to be there.</summary>
    internal static ResolvedModel NoModel { get; } = new("none", new("none", "none"), null, "none", []);

    internal static async Task<int> PrintAsync(Surroundings s, LaunchWishes wishes, bool json, CancellationToken ct)
    {
        var plan = await LaunchPlan.ComposeAsync(s, wishes, NoModel, ct);
        foreach (var warning in plan.Warnings) s.Screen.Warn(warning);
        var explained = Of(s, plan);
        if (json) s.Screen.Json(explained, TerminalJson.Default.ExplainedScope);
        else explained.Draw(s.Screen);
        return ExitCode.Ok;
    }

    private static ExplainedScope Of(Surroundings s, LaunchPlan plan)
    {
        var document = plan.Document;
        var platform = PlatformSet.Find(s.Home, CommandGate.PathOf(s.Environment), document.Network, document.PlatformSet);
        var policy = SandboxPolicy.Of(new(document.Scope, [], 0), platform, s.Directories, s.Home, document.Network);
        var reach = PodReach.Of(policy, document.SandboxLevel);
        var builtIn = BuiltInDenies.For(s.Directories, s.Home, document.Scope.Allow).Concat(BuiltInDenies.OwnProgram(document.Scope.Allow)).ToHashSet();
        return new(
            document.Cwd, document.Scope.Allow, [.. document.Scope.Deny.Select(rule => new ExplainedDeny(rule, builtIn.Contains(rule)))],
            [.. platform.Rules.Select(rule => rule.Target)], document.Network, reach.Level, reach.NoBash, reach.Narrower,
            PodReach.NotHeld(reach.Level, document.Network), document.Limits, document.Commands ?? new());
    }
}
