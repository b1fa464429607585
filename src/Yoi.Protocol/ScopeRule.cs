using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>What a rule allows or denies. Write includes read.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Permission>))]
public enum Permission
{
    /// <summary>Read files and list directories.</summary>
    [JsonStringEnumMemberName("read")] Read = 1,

    /// <summary>Create, change and remove files, and read them.</summary>
    [JsonStringEnumMemberName("write")] Write = 2,
}

/// <summary>One rule of a scope.</summary>
/// <param name="Target">Absolute path. Names compare as bytes.</param>
/// <param name="Permission">What is allowed or, in a deny rule, what is taken away from here down.</param>
/// <param name="Recursive">True (the default): the target and all below. False: the target and its direct children.</param>
public sealed record ScopeRule(string Target, Permission Permission, bool Recursive = true)
{
    /// <summary>The form shown to people and models: <c>write:/a/b</c>, <c>read:/c [non-recursive]</c>.</summary>
    public override string ToString() =>
        $"{(Permission == Permission.Write ? "write" : "read")}:{Target}{(Recursive ? "" : " [non-recursive]")}";
}

/// <summary>Allow and deny rules. The order of rules never matters.</summary>
/// <param name="UnguardedGit">
/// True: hooks and settings of git repositories may be written where the rules allow it. Only the human says so
/// (<c>built_in_denies: false</c>); a child never has it without its spawner.
/// </param>
public sealed record ScopeRules(
    IReadOnlyList<ScopeRule> Allow, IReadOnlyList<ScopeRule> Deny,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool UnguardedGit = false)
{
    /// <summary>No authority at all.</summary>
    public static ScopeRules None { get; } = new([], []);
}
