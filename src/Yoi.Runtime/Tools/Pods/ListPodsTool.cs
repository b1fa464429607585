using System.Globalization;
using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>Lists the children: all are asked at once, and the whole never takes longer than a second.</summary>
internal sealed class ListPodsTool(Children children, TimeProvider time) : Tool
{
    /// <summary>Deeper trees than any limit allows are not followed.</summary>
    private const int MaxLevels = 16;

    private static readonly TimeSpan ChildLimit = TimeSpan.FromMilliseconds(600), BelowLimit = TimeSpan.FromMilliseconds(250);

    internal override ToolSchema Schema { get; } = PodTools.Schema("ListPods");

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        _ = new Arguments(call.Arguments, Schema);
        var known = children.All;
        if (known.Count == 0) return new ToolOutcome("no spawned pods");
        var looks = await Task.WhenAll(known.Select(child => children.LookAsync(child, ChildLimit, ct)));
        using var limit = new CancellationTokenSource(BelowLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var lines = await Task.WhenAll(looks.Select(look => LineAsync(look, both.Token)));
        ct.ThrowIfCancellationRequested();
        return new ToolOutcome($"{known.Count} pod(s) known", string.Join('\n', lines));
    }

    private async Task<string> LineAsync(ChildLook look, CancellationToken ct)
    {
        var child = look.Child;
        var line = new StringBuilder(child.Name).Append(" [").Append(look.Liveness).Append("] scope=")
            .Append(look.End is null ? Children.Rules(look.Status?.Scope.Allow ?? child.Spawned.Rules) : "(returned)");
        if (look.Silence is { } silence) line.Append("; ").Append(silence);
        if (look.Status is not { } status) return line.Append(Unread(child, null)).Append(Ended(child, look)).ToString();
        line.Append("; ").Append(look.State);
        if (status.WaitingFor is { } waiting) line.Append(", waiting for ").Append(waiting);
        if (status.QueuedInputs > 0) line.Append(CultureInfo.InvariantCulture, $", {status.QueuedInputs} message(s) queued");
        line.Append("; last activity ").Append(Ago(status.LastActivity)).Append("; ").Append(Used(status.Totals));
        if (status.Children.Count > 0)
        {
            var (below, all) = await BelowAsync(status.Children, 1, ct);
            line.Append(CultureInfo.InvariantCulture, $"; with the pods below it {(all ? "" : "at least ")}{status.Totals.InputTokens + below.InputTokens} + {status.Totals.OutputTokens + below.OutputTokens} tokens");
            line.Append("; children: ").AppendJoin(", ", status.Children.Select(one => one.Ended ? one.Name + " (ended)" : one.Name));
        }
        return line.Append(Unread(child, status.HeadSeq)).Append("; sandbox ").Append(status.SandboxLevel).ToString();
    }

    /// <summary>What all Pods below have used, and whether all could be asked.</summary>
    private async Task<(Totals Used, bool All)> BelowAsync(IReadOnlyList<ChildRef> below, int level, CancellationToken ct)
    {
        var parts = await Task.WhenAll(below.Select(async one =>
        {
            var pod = new KnownPod(one.Name, one.PodId, children.Directories.Pod(one.Name, one.PodId));
            if (EndRecord.Of(pod) is { } end) return (Used: end.Totals, All: true);
            try
            {
                var status = await PodClient.StatusOfAsync(children.Directories.Socket(one.PodId), ct: ct);
                if (status.Children.Count == 0 || level >= MaxLevels) return (Used: status.Totals, All: true);
                var (more, all) = await BelowAsync(status.Children, level + 1, ct);
                return (Used: Sum(status.Totals, more), All: all);
            }
            catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException or PodRefusedException or OperationCanceledException)
            {
                return (Used: new Totals(), All: false);
            }
        }));
        return (parts.Select(part => part.Used).Aggregate(new Totals(), Sum), parts.All(part => part.All));
    }

    private static Totals Sum(Totals a, Totals b) =>
        new(a.Runs + b.Runs, a.Turns + b.Turns, a.InputTokens + b.InputTokens, a.OutputTokens + b.OutputTokens);

    private static string Used(Totals totals) => string.Create(CultureInfo.InvariantCulture,
        $"{totals.Runs} run(s), {totals.Turns} turn(s), {totals.InputTokens} + {totals.OutputTokens} tokens{(totals.LastRun is { } last and not RunEnd.Completed ? $"; last run {NewsText.Word(last)}" : "")}");

    private string Ended(KnownChild child, ChildLook look) =>
        look.End is not null && EndRecord.Of(children.PodOf(child)) is { } end ? "; " + Used(end.Totals) : "";

    private string Unread(KnownChild child, long? head)
    {
        head ??= children.PodOf(child).Said(journal => journal.Last())?.Seq;
        return head is { } seq && seq > (child.Output?.Seq ?? 0)
            ? string.Create(CultureInfo.InvariantCulture, $"; unread: {seq - (child.Output?.Seq ?? 0)} entries") : "; nothing unread";
    }

    private string Ago(DateTimeOffset then)
    {
        var ago = time.GetUtcNow() - then;
        return ago < TimeSpan.FromSeconds(1) ? "just now"
            : ago < TimeSpan.FromMinutes(2) ? string.Create(CultureInfo.InvariantCulture, $"{ago.TotalSeconds:0} s ago")
            : string.Create(CultureInfo.InvariantCulture, $"{ago.TotalMinutes:0} min ago");
    }
}
