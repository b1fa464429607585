using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>A state root of a test's own. Pods live until the test says otherwise.</summary>
internal sealed class ScopeRoom : IDisposable
{
    private readonly HashSet<string> _dead = [];
    private int _number;

    internal ScopeRoom()
    {
        Root = Directory.CreateTempSubdirectory("yoi-scopes-").FullName;
        Directories = new(Root + "/state", Root + "/run", Root + "/config");
        Table = NewTable();
    }

    internal string Root { get; }

    internal YoiDirectories Directories { get; }

    internal ScopeTable Table { get; }

    internal ScopeTable NewTable(TimeSpan? wait = null) => new(Directories, TimeProvider.System, IsAlive) { Wait = wait ?? TimeSpan.FromSeconds(20) };

    internal bool IsAlive(string directory)
    {
        lock (_dead) return !_dead.Contains(directory) && Directory.Exists(directory);
    }

    internal void Kill(TableRow row)
    {
        lock (_dead) _dead.Add(row.Directory);
    }

    /// <summary>A living Pod's row: rules as they are shown, denies with a minus before them.</summary>
    internal TableRow Row(string name, params string[] rules)
    {
        var id = $"{Interlocked.Increment(ref _number):x32}";
        var directory = Directories.Pod(name, id);
        Table.Open();
        Directory.CreateDirectory(directory);
        return new(id, name, directory, null, id, 0, false, 0, Rules(rules), new(), null);
    }

    internal static ScopeRules Rules(params string[] rules) => new(
        [.. rules.Where(rule => rule[0] != '-').Select(Rule)], [.. rules.Where(rule => rule[0] == '-').Select(rule => Rule(rule[1..]))]);

    private static ScopeRule Rule(string text)
    {
        const string flat = " [non-recursive]";
        var recursive = !text.EndsWith(flat, StringComparison.Ordinal);
        var parts = (recursive ? text : text[..^flat.Length]).Split(':', 2);
        return new(parts[1], parts[0] == "write" ? Permission.Write : Permission.Read, recursive);
    }

    public void Dispose()
    {
        Table.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
