using System.Text.RegularExpressions;
using Yoi.Protocol;

namespace Yoi.Runtime.Models.Scripted;

/// <summary>A script file, read: what the model of each Pod says. Docs: docs/models.md.</summary>
internal sealed record Script(IReadOnlyDictionary<string, PodScript> Pods)
{
    /// <summary>Key of the Pods that are not named.</summary>
    internal const string Others = "*";
}

/// <summary>What one Pod's model says. <paramref name="Commands"/>: it obeys CALL, SLOW and ERR where no reply is left.</summary>
internal sealed record PodScript(IReadOnlyList<ScriptedReply> Replies, bool Commands, Usage? Usage);

/// <summary>One message of the model, or its failure.</summary>
/// <param name="When">Answers whenever this is met, out of turn. Null: answers in its turn.</param>
/// <param name="Expect">Must be met when its turn comes; else the model fails, so that the script's reader learns of it.</param>
/// <param name="StallMs">Silence after the first delta.</param>
/// <param name="Repeat">In its turn for ever.</param>
/// <param name="Cut">The stream breaks off after the last delta.</param>
/// <param name="Line">Where it stands in the file.</param>
internal sealed record ScriptedReply(
    ScriptedCondition? When, ScriptedCondition? Expect, IReadOnlyList<string> Thinking, IReadOnlyList<string> Text, IReadOnlyList<ScriptedCall> Calls,
    Usage? Usage, int StallMs, ScriptedError? Error, string? StopReason, bool Repeat, bool Cut, int Line);

/// <summary>A call with its arguments as text, so that they may be wrong on purpose.</summary>
internal sealed record ScriptedCall(string Name, string Arguments);

/// <summary>What the provider is to have said.</summary>
internal sealed record ScriptedError(int Status, string? Type, string Message);

/// <summary>A condition on the newest message to the model: every part that is given must hold for one of its texts or results.</summary>
internal sealed record ScriptedCondition(string? User, Regex? UserMatches, string? Result, Regex? ResultMatches)
{
    internal bool Holds(ModelMessage.User newest) =>
        (User is null || newest.Texts.Any(text => text.Contains(User, StringComparison.Ordinal)))
        && (UserMatches is null || newest.Texts.Any(UserMatches.IsMatch))
        && (Result is null || newest.Results.Any(result => result.Text.Contains(Result, StringComparison.Ordinal)))
        && (ResultMatches is null || newest.Results.Any(result => ResultMatches.IsMatch(result.Text)));

    public override string ToString() => string.Join(" and ", new[]
    {
        User is null ? null : $"a text with \"{User}\"",
        UserMatches is null ? null : $"a text matching /{UserMatches}/",
        Result is null ? null : $"a result with \"{Result}\"",
        ResultMatches is null ? null : $"a result matching /{ResultMatches}/",
    }.OfType<string>());
}
