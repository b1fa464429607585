using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>Spawns a child. Runs alone: no call beside it may write what is being lent.</summary>
internal sealed class SpawnPodTool(ChildSpawner spawner) : Tool
{
    internal override ToolSchema Schema { get; } = PodTools.Schema("SpawnPod");

    internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Alone;

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        if (!given.Has("scope")) throw new ToolFailure("missing field `scope`: a list of {\"target\": …, \"permission\": \"read\" or \"write\"}; [] lends nothing");
        var rules = given.Objects("scope").Select(ReadRule).ToArray();
        var roles = new[] { given.TextOrNull("role"), given.TextOrNull("instruction") }.OfType<string>().Where(role => role.Length > 0).ToArray();
        var request = new SpawnRequest(
            given.Text("name"), given.Text("task"), rules, roles.Length == 0 ? null : string.Join("\n\n", roles),
            given.TextOrNull("model"), given.TextOrNull("cwd"), call.CallId, given.Flag("network"),
            given.Choice("restart", "never", "never", SpawnRequest.OnCrash) is SpawnRequest.OnCrash and var restart ? restart : null,
            WaitForCommands: given.Choice("when_busy", "refuse", "refuse", "wait") == "wait");
        try
        {
            var child = await spawner.SpawnAsync(request, ct);
            return new ToolOutcome($"spawned pod `{child.Name}` listening on {child.Socket}", Report(child));
        }
        catch (SpawnException e)
        {
            var nothing = e.Left is { } left ? $"Not all of it could be undone yet ({left}); that is tried again by itself, and until it is done what was meant for the pod can be read, not written."
                : e.Step == SpawnPlan.Step ? "Nothing was changed." : "It was undone: no pod runs, and the scope is yours as before.";
            throw new ToolFailure($"{e.Message}\npod `{request.Name}` was not spawned (step `{e.Step}`). {nothing}");
        }
    }

    private static ScopeRule ReadRule(Arguments rule)
    {
        var permission = rule.Has("permission") ? rule.Choice("permission", "", "read", "write") : rule.Text("permission");
        return new ScopeRule(rule.Text("target"), permission == "write" ? Permission.Write : Permission.Read, rule.Flag("recursive", true));
    }

    private static string Report(SpawnOutcome child)
    {
        var report = new StringBuilder()
            .Append("lent: ").AppendLine(Children.Rules(child.Scope.Allow));
        if (child.Scope.Deny.Count > 0) report.Append("denied to it as to you: ").AppendLine(Children.Rules(child.Scope.Deny));
        report.Append("cwd: ").AppendLine(child.Cwd).Append("model: ").AppendLine(child.Model.Model);
        if (child.Reach is { } reach) report.AppendLine(reach.Text);
        foreach (var line in child.Beyond ?? []) report.Append("beware: ").AppendLine(line);
        report
            .AppendLine("your own scope now:").Append(child.Left.Summary());
        if (child.OwnReach?.NoBash is { } why && child.Reach?.NoBash is null) report.Append("\nyour own Bash: none now, because ").Append(why);
        return report.ToString();
    }
}
