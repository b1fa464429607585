using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Configuration;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>
/// How an ended Pod is served again: what its journal says it was launched with, less what the settings deny by now. Authority
/// never grows; what the settings would give a new Pod is only told.
/// </summary>
/// <param name="Differences">What the settings say otherwise than the Pod has, in words; it keeps what it has.</param>
internal sealed record RestorePlan(LaunchDocument Document, LaunchSecrets Secrets, IReadOnlyList<string> Differences)
{
    /// <exception cref="CommandException">It cannot come back here and now, and what to do.</exception>
    internal static async Task<RestorePlan> ComposeAsync(Surroundings s, KnownPod pod, LaunchRecord record, bool withoutHeld, CancellationToken ct)
    {
        var created = record.Created;
        if (!Directory.Exists(created.Cwd)) throw new CommandException(ExitCode.Refused, $"{pod.Name} worked in {created.Cwd}, which is not there any more; create it, then restore the Pod");
        if (created.Model.Script is { } script && !File.Exists(script)) throw new CommandException(ExitCode.Refused, $"the script {script} of {pod.Name} is not there any more");
        var settings = Settings.Load(s.Directories, created.Cwd, s.Home);
        var denied = LaunchPlan.Denied(s, settings, created.Cwd, record.Scope.Allow).Except(record.Scope.Deny).Where(rule => Matters(rule, record.Scope)).ToList();
        var platform = created.PlatformSet?.Intersect(settings.PlatformSet ?? []).ToList();
        List<string> changes = denied.Count == 0 ? [] : [$"the settings deny by now: {string.Join(", ", denied)}"];
        if (created.PlatformSet?.Except(platform!).ToList() is { Count: > 0 } gone) changes.Add($"the settings do not name in platform_set any more: {string.Join(", ", gone)}");
        var level = (await SandboxProof.ChooseAsync(record.Process?.SandboxLevel ?? "tools-only", s, ct)).Level;
        var document = record.Document(s.Directories, new Restoration(withoutHeld, changes)) with
        {
            Scope = record.Scope with { Deny = [.. record.Scope.Deny, .. denied], UnguardedGit = record.Scope.UnguardedGit && settings.Scope.BuiltInDenies == false },
            SandboxLevel = level,
            PlatformSet = platform,
        };
        var key = await KeySources.AgainAsync(created.KeySource, created.Model.Alias ?? created.Model.Provider, settings, s.Environment, s.Time, ct);
        return new RestorePlan(document, new LaunchSecrets(key, null), [.. Differing(settings, created, level)]);
    }

    /// <summary>True if the rule takes something away from this scope; most built-in denies concern places that it never reached.</summary>
    private static bool Matters(ScopeRule deny, ScopeRules scope) =>
        scope.Allow.Any(allow => deny.Permission <= allow.Permission && RuleSpace.Overlap(deny, allow))
        && RuleSpace.Excess(new ScopePolicy(scope, [], 0), new ScopePolicy(scope with { Deny = [.. scope.Deny, deny] }, [], 0)) is not null;

    /// <param name="level">The sandbox level with which it comes back.</param>
    internal static IEnumerable<string> Differing(Settings settings, Entry.PodCreated created, string level)
    {
        var name = created.Model.Provider == "scripted" ? null : $"{created.Model.Alias ?? created.Model.Provider}/{created.Model.Model}";
        if (name is not null && settings.Model is { } model && model != name) yield return $"the settings name the model {model}; it keeps {name}";
        if (settings.Providers.GetValueOrDefault(created.Model.Alias ?? created.Model.Provider)?.BaseUrl is { } address && address != created.Model.BaseUrl)
            yield return $"the settings name the address {address}; it keeps {created.Model.BaseUrl ?? "the provider's own"}";
        var (commands, timing) = (created.Commands ?? new CommandLimits(), created.Timing ?? new ModelTiming());
        foreach (var (what, now, then) in ((string, int?, int?)[])
        [
            ("limits.turns_per_run", settings.Limits.TurnsPerRun, created.Limits.TurnsPerRun), ("limits.children", settings.Limits.Children, created.Limits.Children),
            ("limits.depth", settings.Limits.Depth, created.Limits.Depth), ("limits.pods_in_tree", settings.Limits.PodsInTree, created.Limits.PodsInTree),
            ("limits.tokens", settings.Limits.Tokens, created.Limits.Tokens),
            ("limits.commands.processes", settings.Commands.Processes, commands.Processes), ("limits.commands.memory_mb", settings.Commands.MemoryMb, commands.MemoryMb),
            ("limits.commands.file_mb", settings.Commands.FileMb, commands.FileMb), ("limits.commands.temp_mb", settings.Commands.TempMb, commands.TempMb),
            ("limits.commands.output_mb", settings.Commands.OutputMb, commands.OutputMb), ("limits.commands.seconds", settings.Commands.Seconds, commands.Seconds),
            ("timing.connect_ms", settings.Timing.ConnectMs, timing.ConnectMs), ("timing.first_event_ms", settings.Timing.FirstEventMs, timing.FirstEventMs),
            ("timing.silence_ms", settings.Timing.SilenceMs, timing.SilenceMs), ("timing.max_tries", settings.Timing.MaxTries, timing.MaxTries),
            ("timing.max_backoff_ms", settings.Timing.MaxBackoffMs, timing.MaxBackoffMs),
        ])
            if (now != then) yield return $"the settings say {what} {now?.ToString(CultureInfo.InvariantCulture) ?? "without limit"}; it keeps {then?.ToString(CultureInfo.InvariantCulture) ?? "none"}";
        if (settings.Sandbox != Settings.Auto && settings.Sandbox != level) yield return $"the settings say sandbox {settings.Sandbox}; it keeps {level}";
        if (settings.Network != created.Network) yield return $"the settings give new Pods {(settings.Network ? "the" : "no")} network; it keeps {(created.Network ? "the network" : "none")}";
    }
}
