using System.Text.Json;
using System.Text.Json.Serialization;
using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>A Pod's row in the table.</summary>
/// <param name="Directory">Its durable directory; <c>pod.lock</c> in it says whether it lives.</param>
/// <param name="SpawnerId">The living Pod that what it holds goes back to; null for a root.</param>
/// <param name="RootId">Root of its tree.</param>
/// <param name="Pending">True from lending until the child has adopted the grant; blocks all writers.</param>
/// <param name="Scope">All it was given. What is lent on to its own children is in their rows.</param>
internal sealed record TableRow(
    string PodId, string Name, string Directory, string? SpawnerId, string RootId, int Depth, bool Pending,
    long Generation, ScopeRules Scope, PodLimits Limits, int? Pid)
{
    /// <summary>What a later yoi of the same version says besides; written again as it is.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? More { get; set; }
}

/// <summary>The whole table: one immutable document.</summary>
internal sealed record TableDocument(int Version, long Generation, IReadOnlyList<TableRow> Pods)
{
    /// <summary>The version that this program writes, and the newest that it reads.</summary>
    internal const int CurrentVersion = 1;

    /// <summary>What a later yoi of the same version says besides; written again as it is.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? More { get; set; }

    internal static TableDocument Empty(long generation) => new(CurrentVersion, generation, []);

    internal TableRow? Find(string podId) => Pods.FirstOrDefault(row => row.PodId == podId);

    /// <summary>The policy of one Pod: its row's rules, less what its children hold. Without a row: no access.</summary>
    internal ScopePolicy PolicyOf(string podId)
    {
        if (Find(podId) is not { } row) return ScopePolicy.Nothing(Generation);
        var lent = new List<LentRules>();
        foreach (var child in Pods)
        {
            if (child.SpawnerId != podId) continue;
            var rules = child.Scope.Allow.Where(rule => rule.Permission == Permission.Write).ToList();
            if (rules.Count > 0) lent.Add(new(child.Name, child.PodId, rules, child.Generation));
        }
        return new(row.Scope, lent, Generation);
    }

    /// <summary>Null if this can be what a table holds, else what makes it impossible.</summary>
    internal string? Problem()
    {
        if (Version < 1) return $"version {Version} was never written";
        if (Generation < 0 || Pods is null) return "there are no Pods or no generation in it";
        var rows = new Dictionary<string, TableRow>(StringComparer.Ordinal);
        foreach (var row in Pods)
        {
            if (row is null || string.IsNullOrEmpty(row.PodId) || PodName.Problem(row.Name) is not null || string.IsNullOrEmpty(row.RootId)
                || row.Limits is null || row.Depth < 0) return "a Pod's row is incomplete";
            if (ScopePath.Problem(row.Directory) is { } directory) return $"the directory of {row.Name}: {directory}";
            if (row.Generation < 1 || row.Generation > Generation) return $"{row.Name} has generation {row.Generation} of {Generation}";
            if (Problem(row.Scope) is { } rule) return $"the scope of {row.Name}: {rule}";
            if (!rows.TryAdd(row.PodId, row)) return $"{row.Name} ({row.PodId}) is in it twice";
        }
        foreach (var row in Pods)
        {
            var above = row;
            for (var steps = 0; above.SpawnerId is { } spawner; steps++)
            {
                if (!rows.TryGetValue(spawner, out above)) return $"the spawner of {row.Name} is missing";
                if (steps > Pods.Count) return $"{row.Name} is its own ancestor";
            }
        }
        return null;
    }

    internal static string? Problem(ScopeRules? scope)
    {
        if (scope?.Allow is null || scope.Deny is null) return "rules are missing";
        foreach (var rule in scope.Allow.Concat(scope.Deny))
        {
            if (rule is null || rule.Permission is not (Permission.Read or Permission.Write)) return "a rule is incomplete";
            if (ScopePath.Problem(rule.Target) is { } problem) return problem;
        }
        return null;
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, MaxDepth = 16)]
[JsonSerializable(typeof(TableDocument)), JsonSerializable(typeof(TableVersion))]
internal sealed partial class TableJson : JsonSerializerContext;

/// <summary>What is looked at first, so that a newer table is named as such.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record TableVersion(int Version);

/// <summary>A refusal or failure of the table; the message names holder, rule or command that helps. Nothing was changed.</summary>
internal sealed class ScopeException(string message, string? holder = null, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>Name of the Pod that holds what was asked for.</summary>
    internal string? Holder { get; } = holder;

    /// <summary>True if the table is of a version that this program does not know.</summary>
    internal bool IsNewer { get; init; }
}
