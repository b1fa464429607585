using Yoi.Protocol;

namespace Yoi.Runtime.Configuration;

/// <summary>A model, ready to be asked.</summary>
/// <param name="Name"><c>provider/model</c>, as the human writes it.</param>
/// <param name="ApiKey">Never written anywhere.</param>
/// <param name="KeySource"><c>env:NAME</c>, <c>file:PATH</c>, <c>command:PROGRAM</c> (its arguments may be secret) or <c>none</c>.</param>
internal sealed record ResolvedModel(string Name, ModelChoice Choice, string? ApiKey, string KeySource, IReadOnlyList<string> Warnings);

/// <summary>No model, or no key for it; the message says which variable, flag or file helps.</summary>
internal sealed class ModelChoiceException(string message) : Exception(message);

/// <summary>
/// From flags, settings and environment (in this order) to a model, an address and a key. A key goes only where the human
/// said: an address from the environment is used only with a key from the environment.
/// </summary>
internal sealed class ModelResolver(Settings settings, Func<string, string?> environment, string home, string cwd, TimeProvider time)
{
    private static readonly string[] BuiltIn = ["anthropic", "openai", "ollama"];

    /// <summary>Resolves what a flag or the settings name.</summary>
    /// <param name="model">Value of <c>--model</c>.</param>
    /// <param name="baseUrl">Value of <c>--base-url</c>.</param>
    /// <exception cref="ModelChoiceException">It cannot be used, and why.</exception>
    internal async Task<ResolvedModel> ResolveAsync(string? model, string? baseUrl, CancellationToken ct)
    {
        var name = model ?? settings.Model ?? FromEnvironment()
            ?? throw new ModelChoiceException(
                "no model is chosen; set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name one: --model ollama/qwen3, --model openai/NAME --base-url http://127.0.0.1:8000/v1");
        if (baseUrl is not null && ProviderAddress.Problem(baseUrl) is { } wrong) throw new ModelChoiceException($"--base-url: {wrong}");
        if (name == "scripted") return new ResolvedModel(name, Sized(new ModelChoice(name, name)), null, "none", []); // It knows the commands only.
        if (name.StartsWith("scripted:", StringComparison.Ordinal)) return Scripted(name["scripted:".Length..]);
        var (providerName, modelName) = Split(name);
        var provider = Provider(providerName);
        var (source, key) = await KeyAsync(providerName, provider, ct);
        var address = baseUrl ?? provider.BaseUrl ?? Address(providerName, source);
        if (address is not null && ProviderAddress.Problem(address) is { } bad) throw new ModelChoiceException($"{(providerName == "ollama" ? "OLLAMA_HOST" : Variable(providerName, "BASE_URL"))}: {bad}");
        if (key is null && providerName is "anthropic" or "openai" && (address is null || !ProviderAddress.IsLoopback(address)))
            throw new ModelChoiceException(
                $"no key for {providerName}; set {Variable(providerName, "API_KEY")}, or name a source in yoi.jsonc: \"providers\": {{ \"{providerName}\": {{ \"api_key_file\": \"~/…\" }} }}");
        List<string> warnings = [];
        if (key is not null && address is not null && address.StartsWith("http:", StringComparison.Ordinal) && !ProviderAddress.IsLoopback(address))
            warnings.Add($"the key for {providerName} goes to {address} unencrypted");
        var kind = provider.Kind ?? (providerName == "anthropic" ? "anthropic" : "openai");
        var choice = Sized(new ModelChoice(kind, modelName, address, Alias: providerName == kind ? null : providerName));
        return new ResolvedModel(name, choice, key, source, warnings);
    }

    private ResolvedModel Scripted(string file)
    {
        var path = System.IO.Path.GetFullPath(Settings.Expand(file, home), cwd);
        if (file.Length == 0 || Directory.Exists(path)) throw new ModelChoiceException($"\"scripted:{file}\" names no file; write --model scripted:FILE");
        if (!File.Exists(path)) throw new ModelChoiceException($"the script {path} does not exist; --model scripted:FILE names one");
        return new ResolvedModel("scripted:" + path, Sized(new ModelChoice("scripted", "scripted", Script: path)), null, "none", []);
    }

    private ModelChoice Sized(ModelChoice choice) =>
        choice with { MaxOutputTokens = settings.MaxOutputTokens ?? choice.MaxOutputTokens, ThinkingTokens = settings.ThinkingTokens };

    private static (string Provider, string Model) Split(string name)
    {
        var slash = name.IndexOf('/');
        return slash > 0 && slash < name.Length - 1
            ? (name[..slash], name[(slash + 1)..])
            : throw new ModelChoiceException($"\"{name}\" names no model; write provider/model, for example anthropic/claude-sonnet-4-5, openai/gpt-5, ollama/qwen3 or scripted:FILE");
    }

    private ProviderConfig Provider(string name)
    {
        if (settings.Providers.GetValueOrDefault(name) is { } own)
        {
            var keyed = own.ApiKeyEnv is not null || own.ApiKeyFile is not null || own.ApiKeyCommand is not null;
            return name == "ollama" ? own with { BaseUrl = own.BaseUrl ?? ProviderAddress.Ollama(keyed ? null : Set("OLLAMA_HOST")) } : own;
        }
        return name switch
        {
            "anthropic" or "openai" => new ProviderConfig(),
            "ollama" => new ProviderConfig(BaseUrl: ProviderAddress.Ollama(Set("OLLAMA_HOST"))),
            _ => throw new ModelChoiceException(
                $"no provider is called \"{name}\"; known: {string.Join(", ", BuiltIn.Union(settings.Providers.Keys))}. A server of your own goes into yoi.jsonc under \"providers\""),
        };
    }

    private string? FromEnvironment() =>
        Set("ANTHROPIC_API_KEY") is not null ? "anthropic/claude-sonnet-4-5" : Set("OPENAI_API_KEY") is not null ? "openai/gpt-5" : null;

    private string? Set(string variable) => environment(variable) is { } value && value.Trim() is { Length: > 0 } trimmed ? trimmed : null;

    private string? Address(string provider, string keySource) =>
        provider is "anthropic" or "openai" && (keySource == "none" || keySource == "env:" + Variable(provider, "API_KEY"))
            ? Set(Variable(provider, "BASE_URL")) : null;

    private static string Variable(string provider, string what) => $"{provider.ToUpperInvariant()}_{what}";

    private async Task<(string Source, string? Key)> KeyAsync(string name, ProviderConfig provider, CancellationToken ct)
    {
        if (provider.ApiKeyEnv is { } variable)
            return Set(variable) is { } value
                ? ($"env:{variable}", value)
                : throw new ModelChoiceException($"the key for {name} comes from {variable}, which is not set; set it, or change `providers.{name}` in yoi.jsonc");
        if (provider.ApiKeyFile is { } file) return ($"file:{Settings.Expand(file, home)}", KeySources.FromFile(name, Settings.Expand(file, home)));
        if (provider.ApiKeyCommand is { } command) return ($"command:{command[0]}", await KeySources.FromCommandAsync(name, command, time, ct));
        return name is "anthropic" or "openai" && Set(Variable(name, "API_KEY")) is { } usual
            ? ($"env:{Variable(name, "API_KEY")}", usual) : ("none", null);
    }
}
