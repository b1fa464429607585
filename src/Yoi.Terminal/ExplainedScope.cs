using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>What <c>yoi run --explain-scope</c> prints: what a Pod so started could do, and could not.</summary>
/// <param name="NoBash">Why it would have no Bash; null if it would have one.</param>
/// <param name="Narrower">What its commands could do less than its file tools.</param>
/// <param name="NotHeld">What the sandbox level leaves open.</param>
/// <param name="PlatformSet">What every Pod may read besides its scope.</param>
internal sealed record ExplainedScope(
    string Cwd, IReadOnlyList<ScopeRule> Allow, IReadOnlyList<ExplainedDeny> Deny, IReadOnlyList<string> PlatformSet, bool Network,
    string SandboxLevel, string? NoBash, IReadOnlyList<string> Narrower, IReadOnlyList<string> NotHeld, PodLimits Limits, CommandLimits CommandLimits)
{
    private const int Column = 10;

    internal void Draw(Screen screen)
    {
        void Part(string name, IEnumerable<string> lines)
        {
            foreach (var (line, index) in lines.Select((line, index) => (line, index))) screen.Hang((index == 0 ? name : "").PadRight(Column) + SafeText.Line(line, int.MaxValue), Column);
        }
        static string Path(ScopeRule rule) => rule.Target + (rule.Recursive ? "" : " (itself and what is directly in it)");
        IEnumerable<string> Of(Permission permission) => Allow.Where(rule => rule.Permission == permission).Select(Path);
        static string What(Permission permission) => permission == Permission.Read ? "reading and writing" : "writing";
        string? RootOf(ScopeRule rule) => Allow.Select(allow => allow.Target).Where(root => rule.Target.StartsWith(root + "/", StringComparison.Ordinal)).MaxBy(root => root.Length);
        static string Together(IGrouping<(Permission Permission, string? Root), ScopeRule> rules) =>
            rules.Key is (var permission, { } root) ? $"denied: {What(permission)} in {root}: {string.Join(", ", rules.Select(rule => Path(rule)[(root.Length + 1)..]))}"
            : $"denied: {What(rules.Key.Permission)} {string.Join(", ", rules.Select(Path))}";
        Part("cwd", [Cwd]);
        Part("writes", Of(Permission.Write).DefaultIfEmpty("nothing"));
        Part("reads", Of(Permission.Read).Append("what it writes, and the platform set"));
        Part("denied", Deny.Where(deny => !deny.BuiltIn).Select(deny => $"{What(deny.Rule.Permission)} {Path(deny.Rule)}"));
        Part("built in", Deny.Where(deny => deny.BuiltIn).Select(deny => deny.Rule).GroupBy(rule => (rule.Permission, Root: RootOf(rule))).Select(Together));
        Part("platform", [string.Join(' ', PlatformSet)]);
        var partial = SandboxLevel == "partial"; // Without namespaces: names are there, and no network of its own.
        Part("else", [$"nothing: what is in neither the scope nor the platform set {(partial ? "cannot be opened" : "does not exist for it")}"]);
        Part("network", [Network ? "the host's" : $"none for its commands{(partial ? ", no loopback either" : " but a loopback of their own")}"]);
        Part("Bash", NoBash is { } why ? ["none, because " + why] : [$"in a sandbox, level {SandboxLevel}", .. Narrower.Select(line => line.Trim())]);
        Part("not held", NotHeld);
        Part("limits", [
            $"{Limits.TurnsPerRun} model requests a run, {Limits.Children} living children, {Limits.Depth} levels below, {Limits.PodsInTree} Pods in the tree",
            $"a command: {CommandLimits.Processes} processes, {CommandLimits.MemoryMb} MiB of memory, {CommandLimits.FileMb} MiB a file, {CommandLimits.OutputMb} MiB of output, {CommandLimits.Seconds} s in the foreground",
        ]);
    }
}

/// <summary>A deny rule, and whether every Pod has it unless the human says otherwise.</summary>
internal sealed record ExplainedDeny(ScopeRule Rule, bool BuiltIn);
