using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using Yoi.Protocol;

namespace Yoi.Runtime.Configuration;

/// <summary>One <c>yoi.jsonc</c>, as it was read. The JSON Schema (docs/yoi.schema.json) is generated from these types.</summary>
internal sealed record YoiConfig(
    [property: JsonPropertyName("$schema"), Description("Address of this schema, for editors.")]
    string? Schema = null,
    [property: Description("Model of new Pods: provider/model, for example anthropic/claude-sonnet-4-5, openai/gpt-5 or ollama/qwen3.")]
    string? Model = null,
    [property: Description("Providers by name. anthropic, openai and ollama are known; any other name is a server of your own. User file only.")]
    IReadOnlyDictionary<string, ProviderConfig>? Providers = null,
    [property: Description("Plain limits. A project file may only lower them.")]
    LimitsConfig? Limits = null,
    [property: Description("What Pods may read and write, besides the flags. A project file may only deny.")]
    ScopeConfig? Scope = null,
    [property: Description("Limits of time towards a provider, in milliseconds. User file only.")]
    ModelTiming? Timing = null,
    [property: Description("Limit of tokens in one message of the model. A project file may only lower it.")]
    int? MaxOutputTokens = null,
    [property: Description("Budget of reasoning tokens, where the API has one. A project file may only lower it.")]
    int? ThinkingTokens = null,
    [property: Description("Text added to the system prompt of new Pods.")]
    string? Role = null,
    [property: Description("How commands are held: auto (the best that can be had of kernel, partial and no Bash; the default), kernel or partial (or an error), or tools-only (no Bash). User file only.")]
    string? Sandbox = null,
    [property: Description("True: commands of new Pods have the network. Default: false. User file only.")]
    bool? Network = null,
    [property: Description("Directories of toolchains and package caches that every Pod may read, besides those that Yoi knows. Absolute or ~/. User file only.")]
    IReadOnlyList<string>? PlatformSet = null,
    [property: Description("What `yoi gc` removes where no flag says otherwise. User file only.")]
    RetentionConfig? Retention = null);

/// <summary>Where a provider is and where its key comes from. The key itself is never in a file of settings.</summary>
internal sealed record ProviderConfig(
    [property: Description("anthropic (Messages API) or openai (Chat Completions and everything compatible; the default).")]
    string? Kind = null,
    [property: Description("Origin and prefix of the API, for example http://127.0.0.1:8000/v1.")]
    string? BaseUrl = null,
    [property: Description("Environment variable that holds the key.")]
    string? ApiKeyEnv = null,
    [property: Description("File that holds the key, absolute or beginning with ~/.")]
    string? ApiKeyFile = null,
    [property: Description("Program and arguments that print the key; no shell is involved.")]
    IReadOnlyList<string>? ApiKeyCommand = null);

/// <summary>Plain limits; null leaves the limit as it is.</summary>
internal sealed record LimitsConfig(
    [property: Description("Model requests in one run.")] int? TurnsPerRun = null,
    [property: Description("Living children of one Pod.")] int? Children = null,
    [property: Description("Levels of Pods below a root.")] int? Depth = null,
    [property: Description("Living Pods in one tree, the root included.")] int? PodsInTree = null,
    [property: Description("Input and output tokens of all Pods of one tree together. Default: no limit.")] int? Tokens = null,
    [property: Description("Limits of each command that a Pod runs.")] CommandConfig? Commands = null);

/// <summary>Limits of one command; null leaves the limit as it is.</summary>
internal sealed record CommandConfig(
    [property: Description("Processes and threads at a time.")] int? Processes = null,
    [property: Description("Memory in MiB: of all its processes together where a control group can be had, else of each one.")] int? MemoryMb = null,
    [property: Description("Largest file, in MiB.")] int? FileMb = null,
    [property: Description("Each of its file systems in memory (/dev/shm, and /tmp where it is one), in MiB.")] int? TempMb = null,
    [property: Description("Output in MiB; at the limit the command is ended.")] int? OutputMb = null,
    [property: Description("Longest time in the foreground, in seconds.")] int? Seconds = null);

/// <summary>Rules that hold besides the flags of one start.</summary>
internal sealed record ScopeConfig(
    [property: Description("Paths that Pods may write, besides the current directory. Absolute or ~/. User file only.")]
    IReadOnlyList<string>? Write = null,
    [property: Description("Paths that Pods may read, besides the current directory. Absolute or ~/. User file only.")]
    IReadOnlyList<string>? Read = null,
    [property: Description("Paths that Pods may not write. In a project file relative paths start at the project.")]
    IReadOnlyList<string>? DenyWrite = null,
    [property: Description("Paths that Pods may not even read. In a project file relative paths start at the project.")]
    IReadOnlyList<string>? DenyRead = null,
    [property: Description("False lets Pods write what is run later outside of them: .git/hooks, .git/config, .yoi, editor and agent settings. User file only.")]
    bool? BuiltInDenies = null);

/// <summary>How long ended Pods stay; null leaves it as it is.</summary>
internal sealed record RetentionConfig(
    [property: Description("Days that an ended Pod's files stay. Default: 30.")] int? Days = null,
    [property: Description("Only while all Pods together take more than this, in MiB, the oldest first. Default: whatever they take.")] int? MaxMb = null);

/// <summary>A settings file that cannot be used, with each thing that is wrong in it and what to do.</summary>
internal sealed class ConfigException(string file, IReadOnlyList<string> problems)
    : Exception(string.Join("\n", problems.Select(problem => $"{file}: {problem}")))
{
    internal IReadOnlyList<string> Problems { get; } = problems;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true, MaxDepth = 16)]
[JsonSerializable(typeof(YoiConfig))]
internal sealed partial class ConfigJson : JsonSerializerContext;
