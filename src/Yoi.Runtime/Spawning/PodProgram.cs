using System.Runtime.CompilerServices;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>What to execute for a Pod process: the program and its arguments, <c>argv[0]</c> included.</summary>
internal sealed record PodProgram(string Path, IReadOnlyList<string> Arguments)
{
    private const string Deleted = " (deleted)";

    /// <summary>The verbs that only this program itself uses: a Pod, and the keeper of a Pod's commands.</summary>
    internal const string Serve = "serve", Keep = "keep";

    /// <summary>
    /// Addresses that the collector reserves, in hexadecimal: 16 GiB, which is also the most that a Pod's heap can have. Its map of them
    /// is memory that no two Pods share: 256 KiB for what it reserves by itself.
    /// </summary>
    private const string HeapRange = "400000000";

    /// <summary>This very program with the verb.</summary>
    /// <exception cref="LaunchException">It is no longer on disk.</exception>
    internal static PodProgram Own(string verb = Serve) =>
        Of(File.ResolveLinkTarget("/proc/self/exe", returnFinalTarget: false)?.FullName ?? "", Environment.GetCommandLineArgs()[0], verb);

    internal static PodProgram Of(string executable, string firstArgument, string verb = Serve)
    {
        if (System.IO.Path.GetFileName(executable) is "dotnet" && firstArgument.EndsWith(".dll", StringComparison.Ordinal))
            return new(executable, [executable, System.IO.Path.GetFullPath(firstArgument), verb]);
        if (!executable.EndsWith(Deleted, StringComparison.Ordinal) || File.Exists(executable))
            return new(executable, [executable, verb]);
        // Replaced or removed while we run. A native binary lives on as our own image; a host needs its files beside it.
        var replaced = executable[..^Deleted.Length];
        if (!RuntimeFeature.IsDynamicCodeSupported) return new("/proc/self/exe", [replaced, verb]);
        return File.Exists(replaced)
            ? new(replaced, [replaced, verb])
            : throw new LaunchException("exec", $"the program {replaced} was removed from disk while this Pod runs; install it again there, or restart this Pod from where it is now");
    }

    /// <summary>What of it somebody with this scope could replace before it is executed; null if nothing.</summary>
    internal string? WritableBy(ScopePolicy policy) =>
        Arguments.Append(Path).FirstOrDefault(word => word.StartsWith('/') && policy.AccessAt(word) == Access.Write);

    /// <summary>
    /// The environment of a Pod: the launcher's without API keys, which a Pod gets on its stdin, with the runtime's
    /// diagnostics socket (open to every process of the same user) switched off, and what keeps a Pod's memory small.
    /// </summary>
    internal static IReadOnlyList<string> PodEnvironment(string keySource)
    {
        var keyVariable = keySource.StartsWith("env:", StringComparison.Ordinal) ? keySource[4..] : null;
        var variables = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry pair in Environment.GetEnvironmentVariables())
        {
            var name = (string)pair.Key;
            if (name != keyVariable && !IsKey(name)) variables[name] = (string?)pair.Value ?? "";
        }
        foreach (var setting in Small.Select(setting => setting.Split('=', 2))) variables[setting[0]] = setting[1];
        return [.. variables.Select(v => $"{v.Key}={v.Value}")];
    }

    /// <summary>No diagnostics socket, no dump (a Pod's memory holds its key), little memory: for every process of ours that stays.</summary>
    internal static IReadOnlyList<string> Small { get; } =
    [
        "DOTNET_EnableDiagnostics=0", "DOTNET_DbgEnableMiniDump=0", "DOTNET_TieredPGO=0", "DOTNET_GCRegionRange=" + HeapRange,
        "DOTNET_GCgen0size=200000", // 2 MiB. By default as much as the processor's cache, which a Pod fills with garbage before it collects any.
        "DOTNET_JitHostMaxSlabCache=0", // Else the compiler keeps the memory that it compiled in at the start, 0.3 MB, for good.
        "MALLOC_ARENA_MAX=1", // Else each thread has one of its own, a page or more of it touched.
    ];

    private static bool IsKey(string name) =>
        name.EndsWith("_API_KEY", StringComparison.Ordinal) || name is "ANTHROPIC_AUTH_TOKEN";
}
