using System.CommandLine;
using Yoi.Runtime.Scopes;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi scopes</c>: who holds what now, and who lent it. Read from the scope table, without a lock.</summary>
internal static class ScopesCommand
{
    internal static Command Create(Surroundings s)
    {
        var json = new Option<bool>("--json") { Description = "Print an array of objects, deny rules included." };
        var command = new Command("scopes", "Show who may read and write what, and who lent it.") { json, Repair(s) };
        command.SetAction(parsed =>
        {
            var rows = Rows(s.Table.Read());
            if (parsed.GetValue(json)) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListScopeRow);
            else Listings.Scopes(s.Screen, [.. rows.Where(row => row.Kind == "allow")]);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Repair(Surroundings s)
    {
        var command = new Command("repair", "Make a lost or damaged scope table anew from the journals of all Pods.");
        command.SetAction(async (_, ct) =>
        {
            using var table = s.Table;
            table.Open();
            if (await table.RepairAsync(ct) is not { } made)
            {
                s.Screen.Line("the scope table is good; rows of dead Pods are gone from it");
                return ExitCode.Ok;
            }
            s.Screen.Line($"the scope table was made anew from the journals: {Amounts.Count(made.Table.Pods.Count, "living Pod")}, generation {made.Table.Generation}");
            foreach (var note in made.Notes) s.Screen.Warn(SafeText.Of(note));
            return ExitCode.Ok;
        });
        return command;
    }

    internal static IReadOnlyList<ScopeRow> Rows(TableDocument table)
    {
        var names = table.Pods.ToDictionary(row => row.PodId, row => row.Name, StringComparer.Ordinal);
        var children = table.Pods.ToLookup(row => row.SpawnerId ?? "", StringComparer.Ordinal);
        List<ScopeRow> rows = [];
        foreach (var pod in table.Pods)
            foreach (var (kind, rule) in pod.Scope.Allow.Select(rule => ("allow", rule)).Concat(pod.Scope.Deny.Select(rule => ("deny", rule))))
            {
                var lentTo = kind == "deny" ? [] : children[pod.PodId]
                    .Where(child => child.Scope.Allow.Any(lent => lent.Permission == Protocol.Permission.Write && IsBelow(lent.Target, rule.Target))).Select(child => child.Name).ToList();
                rows.Add(new ScopeRow(
                    pod.Name, pod.PodId, kind, rule.Permission, rule.Target, rule.Recursive,
                    pod.SpawnerId is { } spawner ? names.GetValueOrDefault(spawner, spawner) : null, pod.Pending, pod.Generation, lentTo));
            }
        return rows;
    }

    private static bool IsBelow(string path, string root) =>
        path == root || root == "/" || (path.StartsWith(root, StringComparison.Ordinal) && path[root.Length] == '/');
}
