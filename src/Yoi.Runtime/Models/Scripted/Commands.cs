using Yoi.Protocol;

namespace Yoi.Runtime.Models.Scripted;

/// <summary>
/// The language of a model that does as it is told: <c>CALL Tool {json}</c> calls a tool (one line a call) and then says <c>done</c>,
/// <c>SLOW n</c> falls silent for n ms after the first delta (of calls: when the first is begun), <c>ERR</c> fails, anything else is greeted.
/// A failed run leaves its input unanswered, so <c>ERR</c> counts in the newest text only: what is said next is answered.
/// </summary>
internal static class Commands
{
    private static readonly string[] Greeting = ["Hello", " from the", " mock."];

    /// <summary>Tokens of every message.</summary>
    private static readonly Usage Tokens = new(10, 5);

    internal static ScriptedReply Answer(ModelMessage.User newest)
    {
        var greeting = new ScriptedReply(null, null, [], Greeting, [], Tokens, 0, null, null, Repeat: false, Cut: false, Line: 0);
        if (newest.Results.Count > 0)
            return greeting with { Text = ["done"] };
        List<ScriptedCall> calls = [];
        var silence = 0;
        var lines = newest.Texts.SelectMany((text, at) => text.Split('\n').Select(line => (Line: line.Trim(), IsNewest: at == newest.Texts.Count - 1)));
        foreach (var (line, isNewest) in lines)
        {
            switch (line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries))
            {
                case ["CALL", var tool]: calls.Add(new ScriptedCall(tool, "{}")); break;
                case ["CALL", var tool, var arguments]: calls.Add(new ScriptedCall(tool, arguments)); break;
                case ["SLOW", var ms] when int.TryParse(ms, out var stall) && stall >= 0: silence = stall; break;
                case ["ERR"] when isNewest: return greeting with { Text = [], Error = new ScriptedError(500, "overloaded_error", "mock refusal") };
            }
        }
        return (calls.Count == 0 ? greeting : greeting with { Text = [], Calls = calls }) with { StallMs = silence };
    }
}
