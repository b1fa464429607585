using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>
/// What a child said since the last read and what it does, from its journal: the same whether it lives, is held or is dead, and it
/// is not asked for it. The cursor is in the result's own entry, so a result that was lost is read again.
/// </summary>
internal sealed class ReadPodOutputTool(Children children, TimeProvider time) : Tool
{
    private const int DefaultBytes = 24_000;

    /// <summary>With the news behind it less than ToolRunner lets through: what it would cut off, the cursor has passed.</summary>
    internal const int MostBytes = 40_000;

    internal override ToolSchema Schema { get; } = PodTools.Schema("ReadPodOutput");

    internal override ToolOrder Order(JsonElement arguments) => PodTools.SamePod(arguments);

    internal override async Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct)
    {
        var given = new Arguments(call.Arguments, Schema);
        var child = children.Named(given.Text("name"));
        var maxBytes = given.Number("max_bytes", 200, MostBytes) ?? DefaultBytes;
        var wait = TimeSpan.FromSeconds(given.Number("wait_seconds", 0, 3600) ?? 0);

        var from = children.Desk.OutputOf(child.PodId);
        var (now, page) = await ReadAsync(child, from, maxBytes, ct);
        if (page.Text.Length == 0 && wait > TimeSpan.Zero && IsWorking(now))
        {
            await SaysSomethingAsync(child, page.To?.Seq ?? 0, wait, ct);
            (now, page) = await ReadAsync(child, from, maxBytes, ct);
        }
        if (page.To is { } to) children.Desk.Returns(to);
        var news = children.Desk.Take(child.PodId, page.To?.Seq ?? 0);
        return Outcome(child, page, children.StateOf(child, now), news);
    }

    /// <summary>What the child does, then what it said: of a child that is said to be idle, all that it said is in the page or behind it.</summary>
    private async Task<(ChildState Now, OutputPage Page)> ReadAsync(KnownChild child, Told? from, int maxBytes, CancellationToken ct)
    {
        var now = (await children.Desk.LookAsync([child], ct))[0];
        return (now, OutputPage.Read(children.PodOf(child).SyncedJournal, child.PodId, from, maxBytes));
    }

    private static bool IsWorking(ChildState now) => now.End is null && (now.RunIsOpen || now.InputsWaiting > 0 || now.RunsEnded == 0);

    /// <summary>Waits for the next message or end behind a seq; where the child cannot be attached to, for its next poke or end.</summary>
    private async Task SaysSomethingAsync(KnownChild child, long afterSeq, TimeSpan wait, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(wait, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var changed = children.Desk.Changed;
        try
        {
            try
            {
                if (Children.IsHeld(child)) throw new IOException("held");
                await using var client = await PodClient.ConnectAsync(children.Directories.Socket(child.PodId), ct: both.Token);
                await foreach (var message in client.AttachAsync(afterSeq + 1, both.Token))
                {
                    if (message is PodMessage.Entered { Entry: Entry.RunEnded or Entry.PodEnded }) return;
                    if (message is PodMessage.Entered { Entry: Entry.Assistant said } && said.Blocks.OfType<AssistantBlock.Text>().Any(text => text.Value.Length > 0)) return;
                }
            }
            catch (Exception e) when (e is IOException or SocketException or PodRefusedException or TimeoutException)
            {
                await changed.WaitAsync(both.Token);
            }
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nothing new within the time that was asked for: that is the answer.
        }
    }

    private static ToolOutcome Outcome(KnownChild child, OutputPage page, (string State, string? Silence) now, IReadOnlyList<NewsItem> news)
    {
        var summary = new StringBuilder();
        if (page.Text.Length == 0) summary.Append("pod `").Append(child.Name).Append("` ").Append(now.State).Append("; no new assistant text");
        else summary.Append("pod `").Append(child.Name).Append("`: ").Append(Lines(page.Text)).Append(" new line(s) of assistant text; ").Append(now.State);
        if (now.Silence is { } silence) summary.Append(" (").Append(silence).Append(')');
        if (page.DamagedLines > 0) summary.Append("; ").Append(page.DamagedLines).Append(" damaged line(s) of its journal could not be read");
        if (page.HasMore) summary.Append("; has_more: call again for the rest");

        var content = new StringBuilder(page.Text);
        foreach (var item in news) content.Append(content.Length == 0 ? "" : "\n\n").Append('[').Append(item.Text).Append(']');
        List<Told> told = [];
        if (page.To is { } to) told.Add(to);
        if (news.Count > 0) told.Add(news[^1].Told);
        return new ToolOutcome(summary.ToString(), content.Length == 0 ? null : content.ToString(), Told: told.Count == 0 ? null : told);
    }

    private static int Lines(string text) => text.TrimEnd('\n').Count(c => c == '\n') + 1;
}
