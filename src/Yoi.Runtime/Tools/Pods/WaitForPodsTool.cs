using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>
/// Waits until enough children are done. Sleeps: it is woken by pokes and by the end of processes, and reads by itself once
/// a minute in case a poke was lost.
/// </summary>
internal sealed class WaitForPodsTool(Children children, TimeProvider time) : Tool
{
    private static readonly TimeSpan Recovery = TimeSpan.FromMinutes(1);
    private const int DefaultSeconds = 3600;

    internal override ToolSchema Schema { get; } = PodTools.Schema("WaitForPods");

    /// <summary>Alone: what is called behind a wait is meant to happen after it.</summary>
    internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Alone;

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var end = time.GetTimestamp();
        var timeout = TimeSpan.FromSeconds(given.Number("timeout_seconds", 0, 86_400) ?? DefaultSeconds);
        var named = given.Texts("names").Distinct(StringComparer.Ordinal).Select(children.Named).ToArray();
        var waitedFor = named.Length > 0 ? named : await WorkingAsync(ct);
        if (waitedFor.Length == 0) return new ToolOutcome("no pods to wait for: none of yours is working or has news");
        var enough = Enough(given, call.Arguments, waitedFor.Length);
        while (true)
        {
            var changed = children.Desk.Changed; // Before the look: what happens behind it is not missed.
            var states = await children.Desk.LookAsync(waitedFor, ct);
            var settled = states.Where(IsSettled).ToArray();
            var left = timeout - time.GetElapsedTime(end);
            if (settled.Length >= enough || left <= TimeSpan.Zero) return Outcome(states, settled, settled.Length >= enough, timeout);
            try
            {
                await changed.WaitAsync(left < Recovery ? left : Recovery, time, ct);
            }
            catch (TimeoutException)
            {
                // The wait is over, or it is time for the recovery read.
            }
        }
    }

    /// <summary>Those that are at work, and those that have news: not those that were done before and told so.</summary>
    private async Task<KnownChild[]> WorkingAsync(CancellationToken ct)
    {
        var all = children.All;
        var states = await children.Desk.LookAsync(all, ct);
        return [.. all.Where((child, i) => children.Desk.HasNewsOf(child.PodId) || !IsSettled(states[i]))];
    }

    /// <summary>Done with all it was sent, paused until somebody acts, ended, or another's by now.</summary>
    private bool IsSettled(ChildState state)
    {
        if (children.Desk.Book.WithId(state.PodId) is not { } child || state.End is not null || child.Ended is not null || state.IsPaused) return true;
        return !state.RunIsOpen && state.InputsWaiting == 0 && (state.RunsEnded > 0 || child.News is not null);
    }

    private static int Enough(Arguments given, JsonElement arguments, int of)
    {
        if (given.Has("until") && arguments.GetProperty("until").ValueKind == JsonValueKind.Number)
            return given.Number("until", 1, of) ?? 1;
        return given.Choice("until", "any", "any", "all") == "all" ? of : 1;
    }

    private ToolOutcome Outcome(IReadOnlyList<ChildState> states, ChildState[] settled, bool enough, TimeSpan timeout)
    {
        var working = states.Except(settled).Select(state => state.Name).ToArray();
        var summary = (enough ? "" : $"timed out after {timeout.TotalSeconds:0} s; ")
            + $"{settled.Length} of {states.Count} pod(s) done"
            + (settled.Length > 0 ? ": " + string.Join(", ", settled.Select(state => state.Name)) : "")
            + (working.Length > 0 ? "; still working: " + string.Join(", ", working) : "");
        List<string> lines = [];
        List<Told> told = [];
        foreach (var state in states)
        {
            var news = children.Desk.Take(state.PodId);
            lines.AddRange(news.Count > 0 ? news.Select(item => item.Text) : [Now(state)]);
            if (news.Count > 0) told.Add(news[^1].Told);
        }
        return new ToolOutcome(summary, string.Join('\n', lines), Told: told.Count == 0 ? null : told);
    }

    private string Now(ChildState state) => state switch
    {
        _ when children.Desk.Book.WithId(state.PodId) is null => $"pod `{state.Name}` is no longer yours: the pod that had spawned it is back, and has it again.",
        { End: { } end } => NewsText.Of(state.Name, end),
        { IsPaused: true } => $"pod `{state.Name}` is paused until somebody resumes it.",
        _ when !IsSettled(state) => $"pod `{state.Name}` is working.",
        { LastRun: { } run } => NewsText.Of(state.Name, run),
        _ => $"pod `{state.Name}` is done.",
    };
}
