using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Wire;

/// <summary>Runs that news of a child started: the original had none, and a spawner is told. Known from its journal.</summary>
internal static class NewsRuns
{
    /// <summary>What was sent, without those runs: their events, and their answers in the history.</summary>
    internal static IReadOnlyList<JsonElement> LeftOut(RealPod pod, IReadOnlyList<JsonElement> sent)
    {
        var turns = Turns(pod);
        if (turns.Count == 0) return sent;
        Xunit.Assert.InRange(turns.Count, 1, 3); // The child finishes twice and ends once: no run of another cause hides behind this.
        var kept = new List<JsonElement>();
        var inside = false;
        foreach (var line in sent)
        {
            if (WireComparison.Kind(line) == "turn_start") inside = turns.Contains(line.GetProperty("data").GetProperty("turn").GetInt32());
            if (!inside) kept.Add(WireComparison.Kind(line) == "history" ? WithoutDoubledAnswers(line) : line);
            if (WireComparison.Kind(line) is "run_end" or "error") inside = false;
        }
        return kept;
    }

    /// <summary>True if the Pod and its children rest, and each child's end of a run is told.</summary>
    internal static bool AllIsTold(RealPod pod)
    {
        var own = pod.Records();
        var told = own.SelectMany(record => record.Entry switch
        {
            Entry.News news => [news.Told],
            Entry.ToolResult { Told: { } cursors } => cursors.Where(cursor => cursor.What == Told.NewsCursor),
            _ => Enumerable.Empty<Told>(),
        }).GroupBy(cursor => cursor.PodId).ToDictionary(group => group.Key, group => group.Max(cursor => cursor.Seq));
        return Rests(own) && new PodRegistry(pod.Root.Directories).All().Where(child => child.PodId != pod.Document.PodId).All(child =>
        {
            var records = child.Journal.ReadAfter(Cursor.Start, out _);
            var end = records.LastOrDefault(record => record.Entry is Entry.RunEnded);
            return Rests(records) && end is not null && told.GetValueOrDefault(child.PodId) >= end.Seq;
        });
    }

    /// <summary>No run is open, and no input, notice or news waits for one.</summary>
    private static bool Rests(IEnumerable<JournalRecord> records)
    {
        var (open, waiting) = (false, false);
        foreach (var entry in records.Select(record => record.Entry))
        {
            if (entry is Entry.RunStart) open = true;
            if (entry is Entry.RunEnded) open = false;
            if (entry is Entry.Input or Entry.Notify or Entry.News) waiting = true;
            if (entry is Entry.TurnStart) waiting = false;
        }
        return !open && !waiting;
    }

    private static HashSet<int> Turns(RealPod pod)
    {
        var records = pod.Records();
        var news = records.Where(record => record.Entry is Entry.News).Select(record => record.Seq).ToHashSet();
        var (turns, inside) = (new HashSet<int>(), false);
        foreach (var entry in records.Select(record => record.Entry))
        {
            if (entry is Entry.RunStart start) inside = start.Cause is { } cause && news.Contains(cause);
            if (inside && entry is Entry.TurnStart turn) turns.Add(turn.Turn);
        }
        return turns;
    }

    /// <summary>An answer right behind an answer is that of a run which no input began.</summary>
    private static JsonElement WithoutDoubledAnswers(JsonElement history)
    {
        var root = JsonNode.Parse(history.GetRawText())!;
        var items = root["data"]!["items"]!.AsArray();
        for (var i = items.Count - 1; i > 0; i--)
            if ((string?)items[i]!["role"] == "assistant" && (string?)items[i - 1]!["role"] == "assistant") items.RemoveAt(i);
        return JsonDocument.Parse(root.ToJsonString()).RootElement;
    }
}

/// <summary>What a tool's summary looks like: its first words. Paths, sizes and the rest are free, and so are the words of a failure.</summary>
internal static partial class SummaryShape
{
    internal static string Of(string summary) => Known().Match(summary) is { Success: true } match ? match.Groups["shape"].Value : "a failure";

    [GeneratedRegex(@"^(?<shape>Created |Read \d+ line\(s\) from |no spawned pods|spawned pod `[\w-]+` listening on |sent message to `[\w-]+`|pod `[\w-]+`: \d+ new line\(s\) of assistant text|pod `[\w-]+` (?=\w+; no new assistant text)|\d+ pod\(s\) known|stopped pod `[\w-]+`; reclaimed scope: )")]
    private static partial Regex Known();
}
