using System.Buffers;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>What a spawner asks for.</summary>
/// <param name="Rules">What is lent; relative targets start at the spawner's working directory.</param>
/// <param name="Model">Another model of the same provider; null for the spawner's own.</param>
/// <param name="Cwd">The child's working directory; null chooses one that it may read.</param>
/// <param name="WaitForCommands">True: a running command that can write what is lent is waited for; else the spawn is refused and names it.</param>
/// <param name="Network">True: its commands have the network, which its spawner must have, too.</param>
/// <param name="Restart"><see cref="OnCrash"/>, or null: it stays ended.</param>
internal sealed record SpawnRequest(
    string Name, string Task, IReadOnlyList<ScopeRule> Rules, string? Role = null, string? Model = null, string? Cwd = null, string? CallId = null, bool Network = false,
    string? Restart = null, bool WaitForCommands = false)
{
    /// <summary>Started again when it crashes, a few times.</summary>
    internal const string OnCrash = "on_crash";
}

/// <summary>A spawn that came to nothing. Whatever had been done before was undone, or is being.</summary>
/// <param name="step">The step that failed.</param>
internal sealed class SpawnException(string step, string message) : Exception(message)
{
    internal string Step { get; } = step;

    /// <summary>What could not be undone yet and is tried again; null if all of it was.</summary>
    internal string? Left { get; init; }
}

/// <summary>
/// A checked spawn: everything that can be refused before anything changes has been. Holds what the steps after it need.
/// </summary>
/// <param name="Task">Null for a Pod that comes back: it has its tasks in its journal.</param>
/// <param name="From">Name of the Pod that spawned it, if that is another one.</param>
/// <param name="Told">Up to where that one had been told of it.</param>
internal sealed record SpawnPlan(LaunchDocument Document, TableRow Row, string? Task, string? From = null, IReadOnlyList<Told>? Told = null, string? Restart = null)
{
    internal const string Step = "validate";

    /// <summary>As many as there may be mounts. Each is compared with each of every row of the table, which all Pods share.</summary>
    private const int MostRules = SandboxView.MostPlaces;

    /// <summary>Checks a request against the spawner's scope as it is now.</summary>
    /// <exception cref="SpawnException">Refused, with what would have worked; nothing was changed.</exception>
    internal static SpawnPlan Make(SpawnRequest request, LaunchDocument own, ScopePolicy policy, PodRegistry registry, TimeProvider time)
    {
        CheckName(request.Name, own, registry);
        CheckTask(request, own);
        if (own.Depth + 1 > own.Limits.Depth)
            throw Refused($"pods may be nested {own.Limits.Depth} levels deep and `{own.Name}` is at level {own.Depth}; do the work here, or the human raises it with `limits` in yoi.jsonc or --max-depth");
        if (request.Network && !own.Network) throw Refused($"`{own.Name}` has no network, so it cannot give any; ask the user (`--network`)");
        IReadOnlyList<ScopeRule> rules = Resolve(request.Rules, own, policy);
        if (policy.WhyNotLendable(rules) is { } why) throw Refused($"requested scope is not within spawner `{own.Name}`'s effective scope: {why}");
        rules = WithWorkingDirectory(rules, own.Cwd, policy);
        var scope = new ScopeRules(rules, policy.InheritedDenies(rules), policy.Rules.UnguardedGit);
        var id = PodName.NewId(time);
        var document = new LaunchDocument(
            LaunchDocument.CurrentVersion, id, request.Name, WorkingDirectory(request, own, policy, scope),
            request.Model is { Length: > 0 } model ? own.Model with { Model = model } : own.Model,
            scope, null, new SpawnerRef(own.Name, own.PodId, own.Directories.Socket(own.PodId)), own.RootId, own.Depth + 1,
            request.Role, own.Limits, own.KeySource, own.Directories, own.Timing, own.SandboxLevel, request.Network, own.PlatformSet, Commands: own.Commands);
        var row = new TableRow(
            id, request.Name, own.Directories.Pod(request.Name, id), own.PodId, own.RootId, own.Depth + 1, Pending: true, 0, scope, own.Limits, null);
        return new SpawnPlan(document, row, request.Task, Restart: request.Restart);
    }

    /// <summary>A Pod that ended below this one and comes back with what it had, less what the spawner lost since.</summary>
    /// <exception cref="SpawnException">It cannot be served with what the spawner has.</exception>
    internal static SpawnPlan Again(LaunchRecord record, LaunchDocument own, ScopePolicy policy, bool withoutHeld)
    {
        var created = record.Created;
        if (created.KeySource != own.KeySource) throw Refused($"the key of `{created.Name}` came from {created.KeySource}, that of `{own.Name}` from {own.KeySource}");
        var scope = record.Scope with { Deny = [.. record.Scope.Deny.Union(policy.InheritedDenies(record.Scope.Allow))] };
        var hadShell = record.Process?.SandboxLevel is { } level && level != SandboxLevel.ToolsOnly;
        var document = record.Document(own.Directories, new Restoration(withoutHeld, [])) with
        {
            Scope = scope,
            RootId = own.RootId,
            SandboxLevel = hadShell ? own.SandboxLevel : SandboxLevel.ToolsOnly,
            Network = created.Network && own.Network,
            PlatformSet = own.PlatformSet,
        };
        var row = new TableRow(
            created.PodId, created.Name, own.Directories.Pod(created.Name, created.PodId), own.PodId, own.RootId, own.Depth + 1, Pending: true, 0, scope, created.Limits, null);
        return new SpawnPlan(document, row, null);
    }

    private static void CheckName(string name, LaunchDocument own, PodRegistry registry)
    {
        if (PodName.Problem(name) is { } problem) throw Refused($"invalid name `{name}`: {problem}");
        if (name == own.Name) throw Refused($"spawned pod name `{name}` collides with spawner's own name; choose another");
        if (registry.Newest(name) is { IsAlive: true }) throw Refused($"a living pod is called `{name}`; choose another name, or stop it first");
    }

    private static void CheckTask(SpawnRequest request, LaunchDocument own)
    {
        if (string.IsNullOrWhiteSpace(request.Task)) throw Refused("`task` is empty: say what the pod shall do");
        var line = new ArrayBufferWriter<byte>(request.Task.Length + 256);
        WireCodec.Write(line, new Method.Run(request.Task, From: own.Name));
        if (line.WrittenCount + WireCodec.MaxIdBytes + 16 > WireCodec.MaxLineBytes)
            throw Refused($"`task` is too long ({line.WrittenCount} bytes as a line; at most {WireCodec.MaxLineBytes}): put the material into a file that the pod may read, and name the file");
    }

    /// <summary>Absolute targets without links: a link is judged by where it leads, before anything is lent.</summary>
    private static List<ScopeRule> Resolve(IReadOnlyList<ScopeRule> rules, LaunchDocument own, ScopePolicy policy)
    {
        if (rules.Count > MostRules) throw Refused($"`scope` has {rules.Count} rules and at most {MostRules} are lent to a pod: name directories instead of what is in them");
        List<ScopeRule> resolved = [];
        foreach (var rule in rules)
        {
            if (rule.Target.Length == 0 || rule.Target.Contains('\0')) throw Refused("a scope rule needs a `target`: an absolute path, or one relative to your working directory");
            if (ScopePath.IsTooLong(rule.Target)) throw Refused($"a `target` is longer than {ScopePath.MostBytes} bytes: no path is");
            var written = rule with { Target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(rule.Target, own.Cwd)) };
            // First as it is written: of what lies outside, not even the existence is looked up.
            if (policy.WhyNotLendable([written]) is { } why)
                throw Refused($"requested scope `{written.Target}` is not within spawner `{own.Name}`'s effective scope: {why}");
            resolved.Add(written with { Target = WithoutLinks(written.Target) });
        }
        return resolved;
    }

    /// <summary>The path as the kernel resolves it, as far as it exists.</summary>
    internal static string WithoutLinks(string path)
    {
        var rest = "";
        for (var there = path; ; there = Path.GetDirectoryName(there)!)
        {
            if (Libc.RealPath(there) is { } real) return rest.Length == 0 ? real : Path.Combine(real, rest);
            if (new FileInfo(there).LinkTarget is not null) throw Refused($"requested scope `{path}`: `{there}` is a link that leads nowhere");
            if (there == "/") return path;
            rest = rest.Length == 0 ? Path.GetFileName(there) : Path.Combine(Path.GetFileName(there), rest);
        }
    }

    /// <summary>By default a child may read its spawner's working directory, as far as the spawner may lend that.</summary>
    private static IReadOnlyList<ScopeRule> WithWorkingDirectory(IReadOnlyList<ScopeRule> rules, string cwd, ScopePolicy policy)
    {
        foreach (var recursive in (ReadOnlySpan<bool>)[true, false])
        {
            var read = new ScopeRule(cwd, Permission.Read, recursive);
            if (rules.Any(rule => rule.Target == cwd && (rule.Recursive || !recursive)) || rules.Any(rule => rule.Recursive && IsWithin(cwd, rule.Target))) return rules;
            if (policy.WhyNotLendable([read]) is null) return [.. rules, read];
        }
        return rules;
    }

    private static string WorkingDirectory(SpawnRequest request, LaunchDocument own, ScopePolicy policy, ScopeRules scope)
    {
        var child = new ScopePolicy(scope, [], 0);
        bool Readable(string path) => child.AccessAt(path) >= Access.Read;
        if (request.Cwd is { Length: > 0 } asked)
        {
            if (asked.Contains('\0') || ScopePath.IsTooLong(asked)) throw Refused($"`cwd` has a NUL in it, or is longer than {ScopePath.MostBytes} bytes");
            var cwd = WithoutLinks(Path.TrimEndingDirectorySeparator(Path.GetFullPath(asked, own.Cwd)));
            if (!Readable(cwd)) throw Refused($"working directory `{cwd}` would not be readable for `{request.Name}`: add {{\"target\": \"{cwd}\", \"permission\": \"read\"}} to `scope`, or choose another `cwd`");
            return Directory.Exists(cwd) ? cwd : throw Refused($"working directory `{cwd}` does not exist");
        }
        if (Readable(own.Cwd) && Directory.Exists(own.Cwd)) return own.Cwd;
        bool CanWorkIn(string target) => Directory.Exists(target) && Readable(target);
        if (scope.Allow.Select(rule => rule.Target).FirstOrDefault(CanWorkIn) is { } lent) return lent;
        var mine = policy.Rules.Allow.Select(rule => rule.Target).FirstOrDefault(target => Directory.Exists(target) && policy.AccessAt(target) >= Access.Read) ?? own.Cwd;
        throw Refused($"`{request.Name}` would have no readable directory to work in: add a rule such as {{\"target\": \"{mine}\", \"permission\": \"read\"}} to `scope`");
    }

    private static bool IsWithin(string path, string root) =>
        path == root || root == "/" || (path.StartsWith(root, StringComparison.Ordinal) && path[root.Length] == '/');

    internal static SpawnException Refused(string message) => new(Step, message);
}
