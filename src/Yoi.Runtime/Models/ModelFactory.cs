using Yoi.Protocol;
using Yoi.Runtime.Models.Anthropic;
using Yoi.Runtime.Models.OpenAi;
using Yoi.Runtime.Models.Scripted;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models;

/// <summary>The providers by name. Keys and addresses come in here; no environment and no configuration is read.</summary>
internal static class ModelFactory
{
    internal const string Anthropic = "anthropic";
    internal const string OpenAi = "openai";
    internal const string Scripted = "scripted";

    /// <summary>All providers.</summary>
    internal static IReadOnlyList<string> Providers { get; } = [Anthropic, OpenAi, Scripted];

    /// <param name="pod">The Pod's name: a script speaks differently for each Pod.</param>
    /// <param name="key">The provider's key; null for servers that need none.</param>
    /// <exception cref="ModelException">The choice cannot be used; the text says what could.</exception>
    internal static IModel Create(ModelChoice choice, string pod, string? key, ModelTiming timing, TimeProvider time) => choice.Provider switch
    {
        Anthropic => new HttpModel(new AnthropicWire(), choice.BaseUrl, key, timing, time),
        OpenAi => new HttpModel(new OpenAiWire(), choice.BaseUrl, key, timing, time),
        Scripted => new ScriptedModel(choice.Script, pod, time),
        _ => throw new ModelException(ModelFailure.BadRequest,
            $"there is no provider \"{choice.Provider}\"; there are {string.Join(", ", Providers)}", produced: false, retryable: false),
    };
}
