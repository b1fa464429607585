using System.Text.Json.Serialization;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// All that a Pod process is started with: line 1 of its stdin. It re-reads no configuration. Line 2 is
/// <see cref="LaunchSecrets"/>, written nowhere.
/// </summary>
/// <param name="Version">Of this document.</param>
/// <param name="Role">Text added to the system prompt.</param>
/// <param name="SandboxLevel">How far the kernel holds what the model starts, as it was proven before; without Bash if nothing was.</param>
/// <param name="Network">True: commands have the host's network.</param>
/// <param name="PlatformSet">Directories that the user's settings add to the platform set, resolved.</param>
/// <param name="Commands">Limits of each command; null for the defaults.</param>
/// <param name="Grant">For a child: the pending grant to adopt. Null for a root, which acquires its scope itself.</param>
/// <param name="Restored">Set if the Pod lived before: its journal goes on, and it takes back what it had.</param>
internal sealed record LaunchDocument(
    int Version, string PodId, string Name, string Cwd, ModelChoice Model, ScopeRules Scope, long? Grant, SpawnerRef? Spawner,
    string RootId, int Depth, string? Role, PodLimits Limits, string KeySource, YoiDirectories Directories, ModelTiming Timing,
    string SandboxLevel = "tools-only", bool Network = false, IReadOnlyList<string>? PlatformSet = null, Restoration? Restored = null,
    CommandLimits? Commands = null)
{
    internal const int CurrentVersion = 1;
}

/// <summary>How a Pod comes back.</summary>
/// <param name="WithoutHeld">True: what others hold by now is left to them; else that is a refusal.</param>
/// <param name="Changes">What is taken away from it, in words; nothing is ever added.</param>
internal sealed record Restoration(bool WithoutHeld, IReadOnlyList<string> Changes)
{
    /// <summary>What it asked for and was not given, in words.</summary>
    internal static IEnumerable<string> Held(ScopeRules asked, ScopeRules now)
    {
        var held = now.Deny.Except(asked.Deny).Concat(asked.Allow.Except(now.Allow)).Select(rule => rule.Target).Distinct().ToList();
        if (held.Count > 0) yield return $"others hold by now: {string.Join(", ", held)}";
    }

    /// <summary>What stands in its journal of that: the scope that it has, and to user and model, what it has lost.</summary>
    /// <param name="asked">The rules that it asked for.</param>
    /// <param name="now">What it has.</param>
    internal IReadOnlyList<Entry> Entries(ScopeRules asked, ScopePolicy now)
    {
        List<string> lost = [.. Changes, .. Held(asked, now.Rules)];
        var scope = new Entry.ScopeChanged(now.Rules, now.Lent, now.Generation, "restored");
        if (lost.Count == 0) return [scope];
        var words = string.Join("; ", lost);
        return
        [
            scope,
            new Entry.Notification("warn", "restore", words),
            new Entry.Correction($"[yoi] Your process was started anew, and you hold less than before: {words}.\nYour scope now:\n{now.Summary()}"),
        ];
    }
}

/// <summary>What must not be written anywhere.</summary>
/// <param name="SpawnerToken">Proves the child to its spawner.</param>
internal sealed record LaunchSecrets(string? ApiKey, string? SpawnerToken);

/// <summary>The one line a Pod process writes to its stdout: it is ready, or why it cannot be.</summary>
internal sealed record LaunchAnswer(bool Ready, int Pid, string? Socket, string? Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(LaunchDocument)), JsonSerializable(typeof(LaunchSecrets)), JsonSerializable(typeof(LaunchAnswer))]
internal sealed partial class LaunchJson : JsonSerializerContext;
