using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Scopes;

/// <summary>A table made anew.</summary>
/// <param name="Notes">What it is not sure of, in words: what was left out, or denied to those who both claim it.</param>
internal sealed record RebuiltTable(TableDocument Table, IReadOnlyList<string> Notes);

/// <summary>
/// The scope table from the journals of all Pods. Who lives holds what its journal said last; the dead hold nothing, and say who is
/// below whom. Where two living Pods claim one path, neither may write it. Generations go on above the highest ever journalled.
/// Whoever calls holds the table's lock.
/// </summary>
internal static class TableRebuild
{
    private const long PageBytes = 4 << 20;

    /// <summary>What one journal says.</summary>
    private sealed record Said(string Directory, bool IsAlive, Entry.PodCreated? Created, ScopeRules? Scope, long Generation, int? Pid, bool IsEmpty);

    /// <param name="remembered">The generation that the lock file remembers, if any.</param>
    /// <param name="own">Directory of the Pod that asks and is about to take its scope: it gets no row here.</param>
    /// <param name="strict">True: a living Pod whose journal is still empty is a refusal, too; else it is left out.</param>
    /// <exception cref="ScopeException">A living Pod's journal does not say what it holds; names the Pod and the command that helps.</exception>
    internal static RebuiltTable FromJournals(YoiDirectories directories, Func<string, bool> isAlive, long? remembered, string? own, bool strict)
    {
        List<string> notes = [];
        List<Said> all = [];
        var pods = Directory.Exists(directories.Pods) ? Directory.GetDirectories(directories.Pods) : [];
        foreach (var directory in pods.Order(StringComparer.Ordinal))
            if (Read(directory, directory != own && isAlive(directory), notes) is { } said) all.Add(said);
        foreach (var unknown in all.Where(said => said is { IsAlive: true, Created: null }))
        {
            var name = Path.GetFileName(unknown.Directory).Split('.')[0];
            if (!unknown.IsEmpty || strict)
                throw new ScopeException($"the scope table cannot be made anew: {name} lives, and its journal does not say what it holds; `yoi stop {name}` ends it, then `yoi scopes repair`", name);
            notes.Add($"{name} is being started and has no scope; it ends by itself, or `yoi stop {name}` ends it");
        }
        var generation = Math.Max(remembered ?? 0, all.Select(said => said.Generation).DefaultIfEmpty(0).Max());
        if (all.Any(said => said.IsAlive)) generation++;
        var table = new TableDocument(TableDocument.CurrentVersion, generation, Rows(all, generation));
        return new RebuiltTable(WithoutConflicts(table, notes), notes);
    }

    private static Said? Read(string directory, bool alive, List<string> notes)
    {
        try
        {
            var reader = new JournalReader(Path.Combine(directory, PodFiles.Journal));
            var said = new Said(directory, alive, null, null, 0, null, IsEmpty: true);
            var at = Cursor.Start;
            while (reader.ReadAfter(at, out var health, PageBytes) is var page && (page.Count > 0 || health.DamagedLines > 0))
            {
                said = page.Select(record => record.Entry).Aggregate(said with { IsEmpty = false }, Take);
                if (page.Count == 0) break;
                at = page[^1].End;
            }
            return said;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!alive) notes.Add($"{Path.GetFileName(directory)}: its journal cannot be read ({e.Message}); it is dead and holds nothing");
            return alive ? new Said(directory, alive, null, null, 0, null, IsEmpty: false) : null;
        }
    }

    private static Said Take(Said said, Entry entry) => entry switch
    {
        Entry.PodCreated created => said with { Created = said.Created ?? created, Generation = Math.Max(said.Generation, created.Generation) },
        Entry.ScopeChanged changed => said with
        {
            Scope = changed.Scope.Allow.Count > 0 ? changed.Scope : said.Scope,
            Generation = Math.Max(said.Generation, changed.Generation),
        },
        Entry.ChildSpawned spawned => said with { Generation = Math.Max(said.Generation, spawned.Generation) },
        Entry.ProcessStarted started => said with { Pid = started.Pid },
        _ => said,
    };

    private static IReadOnlyList<TableRow> Rows(List<Said> all, long generation)
    {
        var known = all.Where(said => said.Created is not null).ToDictionary(said => said.Created!.PodId, StringComparer.Ordinal);
        string? Above(Said said)
        {
            var steps = 0;
            for (var id = said.Created!.Spawner?.PodId; id is not null && steps <= known.Count; id = known.GetValueOrDefault(id)?.Created!.Spawner?.PodId, steps++)
                if (known.TryGetValue(id, out var above) && above.IsAlive) return id;
            return null;
        }
        return [.. known.Values.Where(said => said.IsAlive).Select(said => new TableRow(
            said.Created!.PodId, said.Created.Name, said.Directory, Above(said), said.Created.RootId ?? said.Created.PodId, said.Created.Depth, Pending: false,
            Math.Clamp(said.Created.Generation, 1, generation), said.Scope ?? said.Created.Scope, said.Created.Limits, said.Pid))];
    }

    private static TableDocument WithoutConflicts(TableDocument table, List<string> notes)
    {
        for (var a = 0; a < table.Pods.Count; a++)
            for (var b = a + 1; b < table.Pods.Count; b++)
            {
                var (one, other) = (table.Pods[a], table.Pods[b]);
                if (RuleSpace.SharedWrite(table.PolicyOf(one.PodId), table.PolicyOf(other.PodId)) is not { } point) continue;
                notes.Add($"{one.Name} and {other.Name} both claim {RuleSpace.Show(point).Path}; neither may write there until one of them is stopped and the other restored");
                table = table with { Pods = [.. table.Pods.Select(row => row == one ? Denied(one, other) : row == other ? Denied(other, one) : row)] };
            }
        return table;
    }

    private static TableRow Denied(TableRow row, TableRow other) => row with
    {
        Scope = row.Scope with
        {
            Deny =
            [
                .. row.Scope.Deny.Union(other.Scope.Allow.Where(rule =>
                    rule.Permission == Permission.Write && row.Scope.Allow.Any(own => own.Permission == Permission.Write && RuleSpace.Overlap(own, rule)))),
            ],
        },
    };
}
