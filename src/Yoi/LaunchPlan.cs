using Yoi.Protocol;
using Yoi.Runtime.Configuration;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>
/// From wishes, settings and environment to the launch document of a root Pod. The command line acquires nothing itself:
/// the Pod takes its scope, or says who holds it.
/// </summary>
internal sealed record LaunchPlan(LaunchDocument Document, LaunchSecrets Secrets, string ModelName, IReadOnlyList<string> Warnings)
{
    internal static Task<LaunchPlan> ComposeAsync(Surroundings s, LaunchWishes wishes, CancellationToken ct) => ComposeAsync(s, wishes, null, ct);

    /// <param name="known">The model; null to choose it.</param>
    internal static async Task<LaunchPlan> ComposeAsync(Surroundings s, LaunchWishes wishes, ResolvedModel? known, CancellationToken ct)
    {
        var cwd = Existing(s, wishes.Cwd ?? ".", "--cwd");
        if (!Directory.Exists(cwd)) throw new CommandException(ExitCode.Usage, $"--cwd {cwd} is no directory");
        var settings = Settings.Load(s.Directories, cwd, s.Home);
        var model = known ?? await new ModelResolver(settings, s.Environment, s.Home, s.Cwd, s.Time).ResolveAsync(wishes.Model, wishes.BaseUrl, ct);
        var id = PodName.NewId(s.Time);
        var name = wishes.Name ?? FreeName(s.Registry, cwd);
        if (PodName.Problem(name) is { } problem) throw new CommandException(ExitCode.Usage, $"a Pod cannot be called \"{name}\": {problem}");
        var sandbox = await SandboxProof.ChooseAsync(wishes.Sandbox ?? settings.Sandbox, s, ct);
        var scope = Scope(s, wishes, settings, cwd);
        List<string> warnings = [.. model.Warnings, .. settings.Ignored];
        if (wishes.Cwd is null && ReadablePlace(cwd, scope) is { } place)
        {
            warnings.Add($"it works in {place}: {cwd} cannot be read in this scope (`--read .` lets it)");
            cwd = place;
        }
        var document = new LaunchDocument(
            LaunchDocument.CurrentVersion, id, name, cwd, model.Choice, scope, null, null, id, 0, Role(s, wishes, settings),
            new PodLimits(
                wishes.MaxTurns ?? settings.Limits.TurnsPerRun, wishes.MaxChildren ?? settings.Limits.Children,
                wishes.MaxDepth ?? settings.Limits.Depth, wishes.MaxPods ?? settings.Limits.PodsInTree, wishes.MaxTokens ?? settings.Limits.Tokens),
            model.KeySource, s.Directories, settings.Timing, sandbox.Level, wishes.Network || settings.Network, settings.PlatformSet, Commands: settings.Commands);
        if (GitSight.WhyNot(cwd, new ScopePolicy(scope, [], 0)) is { } unseen) warnings.Add(unseen);
        return new LaunchPlan(document, new LaunchSecrets(model.ApiKey, null), model.Name, [.. warnings, .. sandbox.Warnings(document, s)]);
    }

    /// <summary>Null if the directory can be read, or nothing can; else the first of the scope's that can.</summary>
    private static string? ReadablePlace(string cwd, ScopeRules scope)
    {
        var policy = new ScopePolicy(scope, [], 0);
        return policy.AccessAt(cwd) >= Access.Read ? null
            : scope.Allow.Select(rule => rule.Target).FirstOrDefault(target => Directory.Exists(target) && policy.AccessAt(target) >= Access.Read);
    }

    /// <summary>Flags replace the default (write the working directory); what the settings allow or deny comes on top.</summary>
    private static ScopeRules Scope(Surroundings s, LaunchWishes wishes, Settings settings, string cwd)
    {
        List<ScopeRule> allow = [], deny = [];
        void Add(List<ScopeRule> to, IEnumerable<string>? paths, Permission permission, Func<string, string> resolve)
        {
            foreach (var path in paths ?? [])
                if (new ScopeRule(resolve(path), permission) is var rule && !to.Contains(rule)) to.Add(rule);
        }
        Add(allow, wishes.Write, Permission.Write, path => Existing(s, path, "--write"));
        Add(allow, wishes.Read, Permission.Read, path => Existing(s, path, "--read"));
        if (allow.Count == 0)
        {
            allow.Add(new ScopeRule(cwd, Permission.Write));
            Add(allow, settings.Scope.Write, Permission.Write, path => Existing(s, path, "scope.write in yoi.jsonc:"));
            Add(allow, settings.Scope.Read, Permission.Read, path => Existing(s, path, "scope.read in yoi.jsonc:"));
        }
        Add(deny, wishes.DenyWrite, Permission.Write, path => ScopeRoots.Resolve(path, s.Cwd));
        Add(deny, wishes.DenyRead, Permission.Read, path => ScopeRoots.Resolve(path, s.Cwd));
        deny.AddRange(Denied(s, settings, cwd, allow).Except(deny));
        return new ScopeRules(allow, deny, UnguardedGit: settings.Scope.BuiltInDenies == false);
    }

    /// <summary>What the settings and Yoi itself deny to a Pod with these allow rules.</summary>
    internal static IReadOnlyList<ScopeRule> Denied(Surroundings s, Settings settings, string cwd, IReadOnlyList<ScopeRule> allow)
    {
        IEnumerable<ScopeRule> Rules(IReadOnlyList<string>? paths, Permission permission) => (paths ?? []).Select(path => new ScopeRule(ScopeRoots.Resolve(path, cwd), permission));
        var builtIn = BuiltInDenies.For(s.Directories, s.Home, allow);
        return
        [
            .. Rules(settings.Scope.DenyWrite, Permission.Write)
                .Concat(Rules(settings.Scope.DenyRead, Permission.Read))
                // What Yoi and the user keep secret is never readable; the human may only free what a Pod may write.
                .Concat(settings.Scope.BuiltInDenies == false ? builtIn.Where(rule => rule.Permission == Permission.Read) : builtIn)
                .Concat(BuiltInDenies.OwnProgram(allow))
                .Distinct(),
        ];
    }

    private static string Existing(Surroundings s, string path, string flag)
    {
        if (path.Length == 0) throw new CommandException(ExitCode.Usage, $"{flag}: an empty path");
        var real = ScopeRoots.Resolve(path, s.Cwd);
        return System.IO.Path.Exists(real) ? real : throw new CommandException(ExitCode.Usage, $"{flag} {path}: {real} does not exist; create it first");
    }

    private static string? Role(Surroundings s, LaunchWishes wishes, Settings settings)
    {
        if (wishes.Role is not { } role) return settings.Role;
        if (role.Length >= 1024 || role.Contains('\n')) return role;
        var file = System.IO.Path.GetFullPath(role, s.Cwd);
        if (File.Exists(file)) return File.ReadAllText(file);
        if (Directory.Exists(file) || (!role.Contains(' ') && (role.Contains('/') || role.EndsWith(".md", StringComparison.Ordinal) || role.EndsWith(".txt", StringComparison.Ordinal))))
            throw new CommandException(ExitCode.Usage, $"--role {role}: {file} is no file; name one, or write the role itself");
        return role;
    }

    /// <summary>The directory's name and the first number that no Pod of that name ever had.</summary>
    internal static string FreeName(PodRegistry registry, string cwd)
    {
        var letters = System.IO.Path.GetFileName(cwd).Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-').ToArray();
        var stem = new string(letters).Trim('-', '_');
        stem = stem.Length == 0 ? "pod" : stem[..Math.Min(stem.Length, PodName.MaxLength - 8)];
        var taken = registry.All().Select(pod => pod.Name).ToHashSet(StringComparer.Ordinal);
        for (var number = 1; ; number++)
            if (!taken.Contains($"{stem}-{number}")) return $"{stem}-{number}";
    }
}
