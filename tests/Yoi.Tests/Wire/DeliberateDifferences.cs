using System.Text.Json;

namespace Yoi.Tests.Wire;

/// <summary>
/// What a Pod of ours does otherwise than was recorded, on purpose: each a function from the recorded steps to the steps that
/// we expect. Whatever is not here is a fault.
/// </summary>
internal static class DeliberateDifferences
{
    internal static List<Step> Apply(List<Step> recorded) =>
        ShutdownReachesEverybody(EndsOfRunsReachEverybody(AnswersReachTheAskerOnly(ResultsAreSent(ReadCutsNothing(recorded)))));

    /// <summary>Read pages a large file and says how to go on, within what a result may hold: nobody is warned that it was cut.</summary>
    private static List<Step> ReadCutsNothing(List<Step> recorded) => [.. recorded.Where(step => !(step is Step.Expect { Kind: "notification" } told
        && told.Event.GetProperty("data").GetProperty("message").GetString()!.StartsWith("tool `Read` output truncated", StringComparison.Ordinal)))];

    /// <summary>"tool_result is sent after each call": behind the turn that called, before anything goes on.</summary>
    private static List<Step> ResultsAreSent(List<Step> recorded)
    {
        var steps = new List<Step>();
        var calls = new Dictionary<int, List<string>>();
        foreach (var step in recorded)
        {
            if (step is Step.Expect { Kind: "turn_start" or "run_end" } goesOn && calls.Remove(goesOn.Conn, out var done))
                steps.AddRange(done.Select(id => new Step.Expect(goesOn.Conn, Event($$$"""{"event":"tool_result","data":{"id":"{{{id}}}","output":"","is_error":false}}"""))));
            if (step is Step.Expect { Kind: "tool_call_done" } call)
                (calls.TryGetValue(call.Conn, out var ids) ? ids : calls[call.Conn] = []).Add(call.Event.GetProperty("data").GetProperty("id").GetString()!);
            steps.Add(step);
        }
        return steps;
    }

    /// <summary>"an error that answers a method goes only to its connection".</summary>
    private static List<Step> AnswersReachTheAskerOnly(List<Step> recorded)
    {
        var unanswered = new Dictionary<int, bool>();
        var steps = new List<Step>();
        foreach (var step in recorded)
        {
            if (step is Step.Expect { Code: "already_running" or "not_running" or "not_paused" } error && !unanswered.GetValueOrDefault(error.Conn)) continue;
            if (step.On is { } conn) unanswered[conn] = step is Step.Send;
            steps.Add(step);
        }
        return steps;
    }

    /// <summary>"one that ends a run to everybody": a cancelled run's usage and error reach every connection that is open then.</summary>
    private static List<Step> EndsOfRunsReachEverybody(List<Step> recorded)
    {
        var steps = new List<Step>(recorded);
        for (var i = 1; i < steps.Count; i++)
        {
            if (steps[i] is not Step.Expect { Kind: "error", Code: "internal" } error || steps[i - 1] is not Step.Expect { Kind: "usage" } usage || usage.Conn != error.Conn) continue;
            // A connection is open from its first step on; the one that ran is still in its run: nothing behind its last delta was recorded.
            var others = recorded.Take(recorded.IndexOf(error)).OfType<Step.Send>().Select(send => send.Conn).Distinct().Where(conn => conn != error.Conn);
            steps.InsertRange(i + 1, others.SelectMany(conn => new Step[] { usage with { Conn = conn }, error with { Conn = conn } }));
        }
        return steps;
    }

    /// <summary>"shutdown reaches everybody, always", and a run that it ends is told as any that is cancelled: <c>error internal</c>.</summary>
    private static List<Step> ShutdownReachesEverybody(List<Step> recorded)
    {
        var steps = new List<Step>();
        foreach (var step in recorded)
        {
            if (step is Step.End end && !steps.OfType<Step.Expect>().Any(e => e.Conn == end.Conn && e.Kind == "shutdown"))
            {
                if (steps.LastOrDefault(s => s.On == end.Conn) is Step.Expect { Kind: "usage" })
                    steps.Add(new Step.Expect(end.Conn, Event("""{"event":"error","data":{"code":"internal","message":""}}""")));
                steps.Add(new Step.Expect(end.Conn, Event("""{"event":"shutdown"}""")));
            }
            steps.Add(step);
        }
        return steps;
    }

    private static JsonElement Event(string json) => JsonDocument.Parse(json).RootElement;
}
