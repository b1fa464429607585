using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>Stops a child and everything below it. Runs alone: what comes after it may count on the returned scope.</summary>
internal sealed class StopPodTool(Children children, ChildKeeper keeper) : Tool
{
    internal override ToolSchema Schema { get; } = PodTools.Schema("StopPod");

    internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Alone;

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var child = children.Named(given.Text("name"));
        try
        {
            var outcome = await keeper.StopAsync(child.Name, child.PodId, given.Flag("force"), ct);
            await children.Desk.LookAsync([child], ct);
            var news = children.Desk.Take(child.PodId);
            return new ToolOutcome(Summary(outcome), Details(outcome, news), Told: news.Count == 0 ? null : [news[^1].Told]);
        }
        catch (StopException e)
        {
            throw new ToolFailure(e.Message);
        }
    }

    private static string Summary(StopOutcome outcome) => outcome.WasEnded
        ? $"pod `{outcome.Name}` had already ended ({NewsText.Reason(outcome.Reason, outcome.By, outcome.Detail)}); reclaimed scope: {Children.Rules(outcome.Returned)}"
        : $"stopped pod `{outcome.Name}`; reclaimed scope: {Children.Rules(outcome.Returned)}";

    private static string Details(StopOutcome outcome, IReadOnlyList<NewsItem> news)
    {
        var details = new StringBuilder("end: ").Append(NewsText.Reason(outcome.Reason, outcome.By, outcome.Detail));
        if (outcome.Below.Count > 0) details.Append("\nstopped with it, leaf first: ").AppendJoin(", ", outcome.Below);
        foreach (var item in news) details.Append('\n').Append(item.Text);
        return details.ToString();
    }
}
