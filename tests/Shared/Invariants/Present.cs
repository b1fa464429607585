using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Scopes;

namespace Yoi.Shared.Invariants;

/// <summary>
/// What holds while nobody is at work: table, journals and what living Pods say of themselves are one. And what holds when
/// everything was stopped: nothing is held, nothing is open, nothing is left.
/// </summary>
internal static class Present
{
    private const string Same = "table = journals = memory", Clean = "nothing left";

    internal static IEnumerable<Violation> AtRest(Evidence evidence, IReadOnlyList<PodJournal> journals, IReadOnlyDictionary<string, PodStatus> statuses)
    {
        var table = evidence.Table() ?? TableDocument.Empty(0);
        var byId = journals.ToDictionary(journal => journal.PodId, StringComparer.Ordinal);
        // A dead spawner's pending grant stays until the table is changed next.
        foreach (var row in table.Pods.Where(row => byId.GetValueOrDefault(row.PodId)?.Created is null && byId.GetValueOrDefault(row.SpawnerId ?? "") is { IsAlive: true }))
            yield return new(Same, $"the table has a row of {row.Name}, which has no journal");
        foreach (var journal in journals.Where(journal => journal.IsAlive))
        {
            if (table.Find(journal.PodId) is not { } row) yield return new(Same, $"{journal} lives and holds nothing in the table");
            else foreach (var violation in Row(journal, row, byId, table).Concat(Memory(journal, row, table, statuses))) yield return violation;
            foreach (var violation in Children(journal, byId)) yield return violation;
        }
    }

    internal static IEnumerable<Violation> WhenStopped(Evidence evidence, IReadOnlyList<PodJournal> journals)
    {
        foreach (var row in evidence.Table()?.Pods ?? []) yield return new(Same, $"{row.Name} has a row in the table and was stopped");
        foreach (var journal in journals)
        {
            if (journal.IsAlive) yield return new(Clean, $"{journal} lives and was stopped");
            if (journal.Records.Count > 0 && journal.End is null) yield return new("one end", $"{journal} is gone, and its journal has no end");
            if (journal.Records.Count == 0) yield return new(Clean, $"{journal} never began, and its directory is there");
        }
    }

    /// <summary>Files of Yoi's own making that nobody owns, below the state and runtime directories and these.</summary>
    internal static IEnumerable<Violation> Leftovers(YoiDirectories directories, IReadOnlyList<PodJournal> journals, params IReadOnlyList<string> alsoBelow)
    {
        var living = journals.Where(journal => journal.IsAlive).SelectMany(journal => new[] { directories.Socket(journal.PodId), directories.Token(journal.PodId) }).ToHashSet(StringComparer.Ordinal);
        if (Directory.Exists(directories.Runtime))
            foreach (var file in Directory.GetFiles(directories.Runtime).Where(file => !living.Contains(file))) yield return new(Clean, $"{Path.GetFileName(file)} in the runtime directory");
        foreach (var place in alsoBelow.Append(directories.State).Where(Directory.Exists))
            foreach (var file in Directory.EnumerateFiles(place, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }).Where(IsTemporary))
                yield return new(Clean, $"the temporary file {file}");
        foreach (var journal in journals.Where(journal => !journal.IsAlive && Directory.Exists($"{journal.Directory}/{PodFiles.Commands}")))
            foreach (var mark in Directory.GetFiles($"{journal.Directory}/{PodFiles.Commands}")) yield return new(Clean, $"the command mark {Path.GetFileName(mark)} of {journal}");
    }

    private static bool IsTemporary(string path) => Path.GetFileName(path) is var name
        && (name.Contains(".tmp", StringComparison.Ordinal) || name.EndsWith(".new", StringComparison.Ordinal) || name.StartsWith(".lock-test-", StringComparison.Ordinal));

    private static IEnumerable<Violation> Row(PodJournal journal, TableRow row, Dictionary<string, PodJournal> byId, TableDocument table)
    {
        if (journal.End is { } end) yield return new(Same, $"{journal} lives, and its journal says {end.Reason}");
        if (row.Pending) yield return new(Same, $"{journal} lives, and its grant is still pending");
        if (journal.Created is not { } created) yield break;
        if (journal.Processes == 1 && row.Generation != created.Generation)
            yield return new(Same, $"{journal} was given generation {created.Generation}, and the table says {row.Generation}");
        // Restored without a spawner that lives it has less: what the settings deny by now.
        var given = journal.Records.Select(record => record.Entry).OfType<Entry.ScopeChanged>().LastOrDefault()?.Scope ?? created.Scope;
        if (!SameRules(row.Scope, given)) yield return new(Same, $"{journal} was given {Text(given)}, and the table says {Text(row.Scope)}");
        if (!SameRules(given with { Deny = created.Scope.Deny }, created.Scope) || created.Scope.Deny.Except(given.Deny).Any())
            yield return new(Same, $"{journal} was created with {Text(created.Scope)}, and has {Text(given)}");
        // The nearest ancestor that lives, by the journals alone.
        var above = created.Spawner?.PodId;
        while (above is not null && table.Find(above) is null) above = byId.GetValueOrDefault(above)?.Created?.Spawner?.PodId;
        if (row.SpawnerId != above && !(row.SpawnerId is null && journal.Processes > 1))
            yield return new(Same, $"{journal} is below {above ?? "nobody"} by the journals, and below {row.SpawnerId ?? "nobody"} by the table");
    }

    private static IEnumerable<Violation> Memory(PodJournal journal, TableRow row, TableDocument table, IReadOnlyDictionary<string, PodStatus> statuses)
    {
        if (!statuses.TryGetValue(journal.PodId, out var status)) yield break;
        if (status.HeadSeq != journal.Records[^1].Seq) yield return new(Same, $"{journal} says that its newest entry is {status.HeadSeq}; the file says {journal.Records[^1].Seq}");
        var turns = journal.Records.Count(record => record.Entry is Entry.TurnStart);
        if (status.Totals.Turns != turns) yield return new(Same, $"{journal} says {status.Totals.Turns} turns; the file says {turns}");
        var policy = table.PolicyOf(row.PodId);
        var lent = string.Join(", ", policy.Lent.Select(one => one.ChildId).Order(StringComparer.Ordinal));
        var said = string.Join(", ", status.Lent.Select(one => one.ChildId).Order(StringComparer.Ordinal));
        if (lent != said || !SameRules(status.Scope, policy.Rules)) yield return new(Same, $"{journal} says that it has lent to [{said}]; the table says [{lent}]");
    }

    /// <summary>Who lives below it is open in its journal, who is open lives, and all that they said was told.</summary>
    private static IEnumerable<Violation> Children(PodJournal journal, Dictionary<string, PodJournal> byId)
    {
        var open = new HashSet<string>(StringComparer.Ordinal);
        var told = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var entry in journal.Records.Select(record => record.Entry))
        {
            if (entry is Entry.ChildSpawned spawned) open.Add(spawned.ChildId);
            if (entry is Entry.ChildEnded ended) open.Remove(ended.ChildId);
            if (entry is Entry.ChildHandedOver gone) open.Remove(gone.ChildId);
            foreach (var cursor in Histories.Cursors(entry))
                if (cursor.What == Told.NewsCursor) told[cursor.PodId] = Math.Max(told.GetValueOrDefault(cursor.PodId), cursor.Seq);
        }
        foreach (var id in open.Where(id => byId.GetValueOrDefault(id) is not { IsAlive: true })) yield return new(Same, $"{journal} counts {id} as its child, which does not live");
        foreach (var child in byId.Values.Where(child => child.IsAlive && child.Created?.Spawner?.PodId == journal.PodId && !open.Contains(child.PodId)))
            yield return new(Same, $"{child} lives, and its spawner {journal} does not know it");
        if (journal.Records.Any(record => record.Entry is Entry.RunEnded { Reason: RunEnd.Cancelled })) yield break; // Who cancels wants rest: news waits for the next run.
        foreach (var child in open.Select(id => byId.GetValueOrDefault(id)).OfType<PodJournal>())
        {
            var view = new ChildView(child.Name, child.PodId, Cursor.Start);
            var last = child.Records.Select(view.Apply).OfType<NewsItem>().LastOrDefault()?.Told.Seq ?? 0;
            if (last > told.GetValueOrDefault(child.PodId)) yield return new("news once", $"{journal} rests and was told of {child} up to {told.GetValueOrDefault(child.PodId)}; its news goes up to {last}");
        }
    }

    private static bool SameRules(ScopeRules one, ScopeRules other) => Text(one) == Text(other);

    private static string Text(ScopeRules rules) =>
        string.Join(" ", rules.Allow.Select(rule => "+" + rule).Order(StringComparer.Ordinal).Concat(rules.Deny.Select(rule => "-" + rule).Order(StringComparer.Ordinal)));
}
