using Spectre.Console;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>Tables: what is where, now. Plain columns, no frames; a tree is drawn in the name's column.</summary>
internal static class Listings
{
    /// <summary>So many ended Pods are history that one has kept; more are in the way.</summary>
    private const int ManyEnded = 10;

    /// <summary><c>yoi ps</c>: the tree of all Pods; a Pod whose spawner is not listed stands at the left.</summary>
    internal static void Pods(Screen screen, IReadOnlyList<PodRow> pods, DateTimeOffset now)
    {
        if (pods.Count == 0)
        {
            screen.Line("no Pods; `yoi run TASK` starts one", Tone.Dim);
            return;
        }
        string[] names = ["POD", "STATE", "TURNS", "IN", "OUT", "ACTIVE", "MODEL"];
        var rows = Tree(pods).Select(row => (row.Pod, Cells: (string[])
        [
            row.Prefix + row.Pod.Name, StateText(row.Pod), row.Pod.Turns?.ToString() ?? "-",
            Amounts.Tokens(row.Pod.InputTokens), Amounts.Tokens(row.Pod.OutputTokens), Amounts.Ago(row.Pod.LastActivity, now), row.Pod.Model ?? "-",
        ])).ToList();
        // One line a Pod where that can be: the path is last and loses its beginning; only a state is ever broken.
        int Left() => screen.Width - 3 - names.Select((name, i) => rows.Max(row => Math.Max(name.Length, row.Cells[i].Length)) + 2).Sum();
        // Said once below if it is the same for all, or there is no room.
        var models = pods.Select(pod => pod.Model).OfType<string>().Distinct().ToList();
        var together = models.Count < 2 || (screen.IsLive && Left() < ShortestPath);
        if (together)
        {
            names = names[..^1];
            rows = [.. rows.Select(row => (row.Pod, row.Cells[..^1]))];
        }
        var table = Columns([.. names, "SCOPE"]);
        var left = Left();
        for (var i = 0; i <= names.Length; i++) table.Columns[i].NoWrap = i != 1;
        foreach (var (pod, cells) in rows)
        {
            var alive = pod.State is "idle" or "running" or "paused" or "stopping" or "starting" or "not_answering";
            var scope = ScopeText(pod.Scope);
            Row(table, alive ? Style.Plain : new Style(decoration: Decoration.Dim), [.. cells, screen.IsLive ? Ending(scope, Math.Max(ShortestPath, left)) : scope]);
        }
        screen.Draw(table);
        foreach (var pod in pods.Where(pod => pod.Note is not null)) screen.Line(SafeText.Of($"{pod.Name}: {pod.Note}"), Tone.Warning);
        var levels = pods.Select(p => p.SandboxLevel).OfType<string>().Distinct().ToList();
        List<string> common = [.. together && models.Count > 0 ? [$"model: {SafeText.Line(string.Join(", ", models))}"] : (string[])[], .. levels.Count > 0 ? [$"sandbox: {SafeText.Line(string.Join(", ", levels))}"] : (string[])[]];
        if (common.Count > 0) screen.Line(string.Join(" · ", common), Tone.Dim);
        if (pods.Count(pod => pod.State is "ended" or "dead") is var ended and > ManyEnded)
            screen.Remark($"{ended} of {pods.Count} have ended: `yoi ps --living` leaves them out, `yoi rm --all-ended` removes them");
    }

    /// <summary>Every Pod once, spawners before what they spawned, with the lines that draw the tree.</summary>
    internal static IEnumerable<(PodRow Pod, string Prefix)> Tree(IReadOnlyList<PodRow> pods)
    {
        var ids = pods.Select(p => p.Id).ToHashSet(StringComparer.Ordinal);
        var below = pods.Where(p => p.Spawner is { } s && ids.Contains(s) && s != p.Id).ToLookup(p => p.Spawner!, StringComparer.Ordinal);
        HashSet<string> shown = new(StringComparer.Ordinal);
        foreach (var root in pods.Where(p => p.Spawner is null || !ids.Contains(p.Spawner)))
            foreach (var row in Below(root, "", "", below, shown)) yield return row;
        foreach (var pod in pods)
            if (shown.Add(pod.Id)) yield return (pod, "");
    }

    private static IEnumerable<(PodRow, string)> Below(PodRow pod, string prefix, string indent, ILookup<string, PodRow> below, HashSet<string> shown)
    {
        if (!shown.Add(pod.Id)) yield break;
        yield return (pod, prefix);
        var children = below[pod.Id].ToList();
        for (var i = 0; i < children.Count; i++)
        {
            var last = i == children.Count - 1;
            foreach (var row in Below(children[i], indent + (last ? "└─ " : "├─ "), indent + (last ? "   " : "│  "), below, shown))
                yield return row;
        }
    }

    /// <summary>A Pod's state in words, with what it waits for, why it ended, and how its last run did if that was not to its end.</summary>
    internal static string StateText(PodRow pod) =>
        State(pod) + (pod.LastRun is null or "completed" || pod.LastRun == "interrupted" && pod.State == "paused" ? "" : $", last run {pod.LastRun}");

    private static string State(PodRow pod) => pod.State switch
    {
        "not_answering" => "alive, not answering" + (pod.Note is null ? "" : ", damaged"),
        "ended" => $"ended: {pod.End}",
        "dead" => "dead, end not recorded",
        "damaged" => "damaged", // Where and how stands below the table: a state is a word.
        _ when pod.Note is not null => $"{pod.State}, damaged",
        _ when pod.WaitingFor is { } what => $"{pod.State} ({(what.StartsWith("tool:", StringComparison.Ordinal) ? what["tool:".Length..] : what)})",
        _ when pod.UnreadNews > 0 => $"{pod.State}, {Amounts.Count(pod.UnreadNews.Value, "unread item of news", "unread items of news")}",
        _ => pod.State,
    };

    private const int ShortestPath = 16;

    /// <summary>A rule in so many columns: its permission, and so much of the path's end as fits.</summary>
    private static string Ending(string rule, int width)
    {
        var path = rule.IndexOf(':', StringComparison.Ordinal) + 1;
        return rule.Length <= width ? rule : rule[..path] + "…" + rule[^(width - path - 1)..];
    }

    private static string ScopeText(ScopeRules? scope)
    {
        if (scope is null) return "-";
        if (scope.Allow.Count == 0) return "nothing";
        var first = scope.Allow.OrderByDescending(rule => rule.Permission).First();
        return first + (scope.Allow.Count > 1 ? $" +{scope.Allow.Count - 1}" : "");
    }

    /// <summary><c>yoi scopes</c>: who holds what, lent by whom.</summary>
    internal static void Scopes(Screen screen, IReadOnlyList<ScopeRow> rows)
    {
        if (rows.Count == 0)
        {
            screen.Line("nothing is held; every path is free", Tone.Dim);
            return;
        }
        var table = Columns("POD", "RULE", "LENT BY", "LENT ON TO", "GENERATION", "PATH");
        foreach (var row in rows)
        {
            var rule = (row.Kind == "deny" ? "deny " : "") + (row.Permission == Permission.Write ? "write" : "read") + (row.Recursive ? "" : " (non-recursive)");
            Row(table, row.Kind == "deny" ? new Style(decoration: Decoration.Dim) : Style.Plain,
                row.Pod, rule, (row.LentBy ?? "-") + (row.Pending ? " (pending)" : ""),
                row.LentTo.Count == 0 ? "-" : string.Join(", ", row.LentTo), row.Generation.ToString(), row.Path);
        }
        screen.Draw(table);
        screen.Line("every Pod may read the platform set, too; `yoi run --explain-scope` lists it", Tone.Dim);
    }

    /// <summary><c>yoi doctor</c>.</summary>
    internal static void Checks(Screen screen, IReadOnlyList<CheckRow> checks)
    {
        foreach (var check in checks)
        {
            var tone = check.Status switch { "ok" => Tone.Good, "warning" => Tone.Warning, "failed" => Tone.Bad, _ => Tone.Dim };
            screen.Write($"{check.Status,-8}", tone);
            screen.Hang($"{check.Name}: {SafeText.Of(check.Detail)}", 8);
        }
    }

    /// <summary>An empty table in the house's look.</summary>
    internal static Table Columns(params string[] names)
    {
        var table = new Table { Border = TableBorder.None, Expand = false };
        foreach (var name in names)
            table.AddColumn(new TableColumn(new Text(name, new Style(decoration: Decoration.Dim))) { Padding = new Padding(0, 0, 2, 0) });
        return table;
    }

    /// <summary>Adds a row of plain text, made safe; markup in it means nothing.</summary>
    internal static void Row(Table table, Style style, params string[] cells) =>
        table.AddRow(cells.Select(cell => new Text(SafeText.Line(cell, 400), style)));
}
