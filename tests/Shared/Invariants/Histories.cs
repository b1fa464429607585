using System.Text.Json;
using System.Text.RegularExpressions;
using Yoi.Protocol;
using Yoi.Runtime.Turns;

namespace Yoi.Shared.Invariants;

/// <summary>What holds of journals at any moment, whatever was killed: nothing damaged, nothing twice, nothing out of order.</summary>
internal static partial class Histories
{
    internal static IEnumerable<Violation> Check(Evidence evidence, IReadOnlyList<PodJournal> journals)
    {
        var byId = journals.ToDictionary(journal => journal.PodId, StringComparer.Ordinal);
        var targets = journals.SelectMany(TargetsOf).CountBy(path => path, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
        foreach (var journal in journals)
        {
            if (journal.Health.DamagedLines > 0) yield return new("journals parse", $"{journal}: {journal.Health.DamagedLines} damaged lines, the first at {journal.Health.FirstDamage}");
            if (journal.Records.Count > 0 && journal.Records[0] is not { Seq: 1, Entry: Entry.PodCreated }) yield return new("journals parse", $"{journal} begins with {journal.Records[0]}");
            foreach (var violation in Calls(journal).Concat(LentWrites(journal, path => targets.GetValueOrDefault(path) > 1)).Concat(News(journal)).Concat(Ends(journal)).Concat(Messages(journal, byId))) yield return violation;
        }
        foreach (var violation in Inputs(evidence, journals).Concat(Requests(evidence, journals))) yield return violation;
    }

    /// <summary>Every call has exactly one result, in call order, before the next turn. Only a Pod that died may owe some.</summary>
    private static IEnumerable<Violation> Calls(PodJournal journal)
    {
        var open = new Queue<string>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (seq, entry) in journal.Records.Select(record => (record.Seq, record.Entry)))
        {
            switch (entry)
            {
                case Entry.Assistant { Partial: false } message:
                    foreach (var call in message.Blocks.OfType<AssistantBlock.ToolCall>())
                    {
                        if (!known.Add(call.CallId)) yield return new("one result a call", $"{journal} seq {seq}: the call id {call.CallId} comes twice");
                        open.Enqueue(call.CallId);
                    }
                    break;
                case Entry.ToolResult result when open.TryPeek(out var first) && first == result.CallId:
                    open.Dequeue();
                    break;
                case Entry.ToolResult result:
                    yield return new("one result a call", $"{journal} seq {seq}: a result of {result.CallId}, {(known.Contains(result.CallId) ? "which has one or is not the next" : "which nobody called")}");
                    break;
                case Entry.TurnStart or Entry.PodEnded { WrittenBy: null } when open.Count > 0:
                    yield return new("one result a call", $"{journal} seq {seq}: no result of {string.Join(", ", open)}");
                    open.Clear();
                    break;
            }
        }
        if (open.Count > 0 && journal is { IsAlive: true } && journal.Records[^1].Entry is Entry.RunEnded)
            yield return new("one result a call", $"{journal} rests and owes results of {string.Join(", ", open)}");
    }

    /// <summary>While a part is lent, neither its spawner's tools nor its commands wrote there. A file that is there tells of a failed command if only that one would write it.</summary>
    /// <param name="hasOthers">Another call would write that file, too: one of an earlier Pod of the name, which does the same.</param>
    private static IEnumerable<Violation> LentWrites(PodJournal journal, Func<string, bool> hasOthers)
    {
        var lent = new Dictionary<string, (string Child, IReadOnlyList<ScopeRule> Rules)>(StringComparer.Ordinal);
        var calls = new Dictionary<string, AssistantBlock.ToolCall>(StringComparer.Ordinal);
        var lentAtCall = new Dictionary<string, HashSet<string>>(StringComparer.Ordinal);
        foreach (var record in journal.Records)
        {
            switch (record.Entry)
            {
                case Entry.Assistant message:
                    foreach (var call in message.Blocks.OfType<AssistantBlock.ToolCall>()) (calls[call.CallId], lentAtCall[call.CallId]) = (call, [.. lent.Keys]);
                    break;
                case Entry.ChildSpawned child:
                    lent[child.ChildId] = (child.Child, child.Rules);
                    break;
                case Entry.ChildEnded child:
                    lent.Remove(child.ChildId);
                    break;
                case Entry.ToolResult { IsError: false, OutcomeUnknown: false, Name: "Write" or "Edit" } result when PathOf(calls.GetValueOrDefault(result.CallId)) is { } path:
                    foreach (var (child, rules) in lent.Values)
                        if (rules.Any(rule => rule.Permission == Permission.Write && Writers.Covers(rule, path)))
                            yield return new("one writer", $"{journal} seq {record.Seq}: it wrote {path} while that was lent to {child}");
                    break;
                case Entry.ToolResult { Name: "Bash" } result when WrittenBy(calls.GetValueOrDefault(result.CallId)) is { } path && (!result.IsError || (!hasOthers(path) && File.Exists(path))):
                    foreach (var (child, rules) in lent.Where(one => lentAtCall[result.CallId].Contains(one.Key)).Select(one => one.Value))
                        if (rules.Any(rule => rule.Permission == Permission.Write && Writers.Covers(rule, path)))
                            yield return new("one writer", $"{journal} seq {record.Seq}: a command of it wrote {path} while that was lent to {child}");
                    break;
            }
        }
    }

    private static string? PathOf(AssistantBlock.ToolCall? call) => Argument(call, "file_path");

    /// <summary>The file that a command puts all its output in.</summary>
    private static string? WrittenBy(AssistantBlock.ToolCall? call) =>
        Argument(call, "command") is { } command && Target().Match(command) is { Success: true } found ? found.Groups["path"].Value : null;

    private static IEnumerable<string> TargetsOf(PodJournal journal) =>
        journal.Records.Select(record => record.Entry).OfType<Entry.Assistant>().SelectMany(message => message.Blocks.OfType<AssistantBlock.ToolCall>()).Select(WrittenBy).OfType<string>();

    [GeneratedRegex(@" > (?<path>/\S+)$")]
    private static partial Regex Target();

    private static string? Argument(AssistantBlock.ToolCall? call, string name)
    {
        if (call is null) return null;
        using var arguments = JsonDocument.Parse(call.Arguments);
        return arguments.RootElement.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    /// <summary>
    /// What a call says was accepted is in that child's journal, as often as it was said. Children are told apart by id: a name can be used again.
    /// One whose directory was removed says nothing any more.
    /// </summary>
    private static IEnumerable<Violation> Messages(PodJournal journal, Dictionary<string, PodJournal> byId)
    {
        var calls = new Dictionary<string, AssistantBlock.ToolCall>(StringComparer.Ordinal);
        var (spawned, newest) = (new Dictionary<string, string>(StringComparer.Ordinal), new Dictionary<string, string>(StringComparer.Ordinal));
        var accepted = new List<(string? ChildId, string Text, long Seq)>();
        foreach (var (seq, entry) in journal.Records.Select(record => (record.Seq, record.Entry)))
        {
            switch (entry)
            {
                case Entry.Assistant message:
                    foreach (var call in message.Blocks.OfType<AssistantBlock.ToolCall>()) calls[call.CallId] = call;
                    break;
                case Entry.ChildSpawned child:
                    newest[child.Child] = child.ChildId;
                    if (child.CallId is not null) spawned[child.CallId] = child.ChildId;
                    break;
                case Entry.ToolResult { IsError: false, Name: "SpawnPod" } result when Argument(calls.GetValueOrDefault(result.CallId), "task") is { } task:
                    accepted.Add((spawned.GetValueOrDefault(result.CallId), task, seq));
                    break;
                case Entry.ToolResult { IsError: false, Name: "SendToPod" } result when Argument(calls.GetValueOrDefault(result.CallId), "message") is { } text:
                    accepted.Add((newest.GetValueOrDefault(Argument(calls[result.CallId], "name")!), text, seq));
                    break;
            }
        }
        foreach (var (_, text, seq) in accepted.Where(one => one.ChildId is null))
            yield return new("accepted is kept", $"{journal} seq {seq}: \"{text}\" was accepted by a child that the journal does not know");
        foreach (var same in accepted.GroupBy(one => (one.ChildId, one.Text)))
        {
            if (same.Key.ChildId is not { } id || byId.GetValueOrDefault(id) is not { } child) continue;
            var kept = child.Records.Count(record => record.Entry is Entry.Input input && input.Text == same.Key.Text && input.From == journal.Name);
            if (kept < same.Count()) yield return new("accepted is kept", $"{journal} seq {same.Last().Seq}: {child} accepted \"{same.Key.Text}\" {same.Count()} times and has it {kept} times");
        }
    }

    /// <summary>Cursors over a child's news only go forward: no item is told twice.</summary>
    private static IEnumerable<Violation> News(PodJournal journal)
    {
        var told = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var record in journal.Records)
        {
            foreach (var cursor in Cursors(record.Entry).Where(cursor => cursor.What == Told.NewsCursor))
            {
                var before = told.GetValueOrDefault(cursor.PodId);
                // A result may repeat where the cursor stands; an entry of news is an item of its own.
                if (cursor.Seq < before || (cursor.Seq == before && record.Entry is Entry.News))
                    yield return new("news once", $"{journal} seq {record.Seq}: news of {cursor.PodId} up to {cursor.Seq} was told up to {before} before");
                told[cursor.PodId] = Math.Max(before, cursor.Seq);
            }
        }
    }

    /// <summary>The cursors that an entry carries; a child that was taken over brings those of the spawner that it had.</summary>
    internal static IReadOnlyList<Told> Cursors(Entry entry) => entry switch
    {
        Entry.News news => [news.Told],
        Entry.ToolResult { Told: { } all } => all,
        Entry.ChildSpawned { Told: { } all } => all,
        _ => [],
    };

    /// <summary>A child ends once for each time it was spawned; behind a Pod's end nothing comes but a new process.</summary>
    private static IEnumerable<Violation> Ends(PodJournal journal)
    {
        var children = new HashSet<string>(StringComparer.Ordinal);
        var ended = false;
        foreach (var record in journal.Records)
        {
            if (ended && record.Entry is not (Entry.ProcessStarted or Entry.Repaired)) yield return new("one end", $"{journal} seq {record.Seq}: {record.Entry.GetType().Name} behind its end");
            ended = record.Entry is Entry.PodEnded || (ended && record.Entry is Entry.Repaired);
            if (record.Entry is Entry.ChildSpawned spawned) children.Add(spawned.ChildId);
            if (record.Entry is Entry.ChildEnded end && !children.Remove(end.ChildId)) yield return new("one end", $"{journal} seq {record.Seq}: {end.Child} ends and did not live");
        }
    }

    private static IEnumerable<Violation> Inputs(Evidence evidence, IReadOnlyList<PodJournal> journals)
    {
        foreach (var input in evidence.Inputs)
        {
            if (journals.FirstOrDefault(journal => journal.PodId == input.PodId) is not { } journal)
                yield return new("accepted is kept", $"the Pod {input.PodId} has no journal, and \"{input.Text}\" was accepted");
            else if (!journal.Records.Any(record => record.Seq == input.Seq && TextOf(record) == input.Text))
                yield return new("accepted is kept", $"{journal}: \"{input.Text}\" was accepted as seq {input.Seq} and is not there");
        }
    }

    private static string? TextOf(JournalRecord record) => record.Entry switch
    {
        Entry.Input input => input.Text,
        Entry.Notify notify => notify.Message,
        _ => null,
    };

    /// <summary>Each request that was sent is the one that the journal of its Pod makes, for one of its turns.</summary>
    private static IEnumerable<Violation> Requests(Evidence evidence, IReadOnlyList<PodJournal> journals)
    {
        if (evidence.Wire is not { } wire) yield break;
        foreach (var sent in evidence.Requests.GroupBy(request => request.Pod, StringComparer.Ordinal))
        {
            var made = journals.Where(journal => journal.Name == sent.Key)
                .SelectMany(journal => journal.Records.Where(record => record.Entry is Entry.TurnStart)
                    .Select(turn => Evidence.Text(wire.Write(RequestBuilder.Build(journal.Records.TakeWhile(record => record.Seq <= turn.Seq))))))
                .ToHashSet(StringComparer.Ordinal);
            foreach (var body in sent.Select(request => Evidence.Text(request.Body)).Where(body => !made.Contains(body)))
                yield return new("requests from the journal", $"{sent.Key} sent a request that no turn in its journal makes: …{body[Math.Max(0, body.Length - 400)..]}");
        }
    }
}
