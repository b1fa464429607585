using System.Text.Json.Serialization;
using Yoi.Protocol;

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
/// <param name="Grant">For a child: the pending grant to adopt. Null for a root, which acquires its scope itself.</param>
internal sealed record LaunchDocument(
    int Version, string PodId, string Name, string Cwd, ModelChoice Model, ScopeRules Scope, long? Grant, SpawnerRef? Spawner,
    string RootId, int Depth, string? Role, PodLimits Limits, string KeySource, YoiDirectories Directories, ModelTiming Timing,
    string SandboxLevel = "tools-only", bool Network = false, IReadOnlyList<string>? PlatformSet = null)
{
    internal const int CurrentVersion = 1;
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
