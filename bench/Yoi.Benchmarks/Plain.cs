using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Benchmarks;

/// <summary>Programs that this process starts itself, by the same call as a Pod does, with nothing around them: what commands are compared with.</summary>
internal static class Plain
{
    private static readonly string[] Shell = ["/bin/bash", "--noprofile", "--norc", "-c"];

    /// <summary>bash with a command, from its start to its end.</summary>
    internal static TimeSpan Bash(string command) => Run([.. Shell, command], Environs());

    /// <summary>The same in the least that bubblewrap can be asked for: the whole file system as it is.</summary>
    internal static TimeSpan Bubblewrap(string command) => Run([Yoi.Runtime.Sandbox.Bubblewrap.Find(), "--dev-bind", "/", "/", .. Shell, command], Environs());

    /// <summary>The same with a Pod's namespaces, mounts and filter, and nothing of the Pod's own work.</summary>
    internal static TimeSpan Bubblewrap(SandboxCommand made, string command)
    {
        using var information = Libc.MemoryFile([]);
        using var filter = Libc.MemoryFile(made.Filter);
        using var view = Libc.MemoryFile(made.View);
        return Run([.. made.Arguments.TakeWhile(word => word != "--"), "--", .. Shell, command], made.Environment, information, filter, view);
    }

    /// <summary>A program; its output goes to a file in memory.</summary>
    /// <exception cref="InvalidOperationException">It did not exit with 0.</exception>
    internal static TimeSpan Run(IReadOnlyList<string> words, IReadOnlyList<string> environment, params SafeFileHandle[] more)
    {
        using var input = Libc.MemoryFile([]);
        using var output = Libc.MemoryFile([]);
        var began = Stopwatch.GetTimestamp();
        var pid = NativeSpawn.Start(new PodProgram(words[0], words), environment, [input, output, output, .. more]);
        var end = Libc.Reap(pid);
        var taken = Stopwatch.GetElapsedTime(began);
        return end == (1 /* CLD_EXITED */, 0) ? taken : throw new InvalidOperationException($"{string.Join(' ', words)}: {end}\n{Said(output)}");
    }

    /// <summary>What bubblewrap is asked for when a Pod with this scope runs a command.</summary>
    internal static SandboxCommand Compose(Place place, string name, ScopeRules scope, string cwd)
    {
        Func<string, string?> environment = Environment.GetEnvironmentVariable;
        var home = PlatformSet.HomeOf(environment);
        var platform = PlatformSet.Find(home, CommandGate.PathOf(environment), network: false);
        var policy = SandboxPolicy.Of(new ScopePolicy(scope, [], 0), platform, place.Directories, home, network: false);
        var pod = Directory.CreateDirectory(place.Directories.Pod(name, PodName.NewId(TimeProvider.System))).FullName;
        var own = PrivatePlaces.Make(pod, SandboxLevel.Kernel, platform, home);
        return Yoi.Runtime.Sandbox.Bubblewrap.Compose(Yoi.Runtime.Sandbox.Bubblewrap.Find(), policy, SandboxView.Of(policy, HostSockets.Now()), own, new CommandLimits(), cwd, "true", environment);
    }

    /// <summary>What commands get, with the user's own home.</summary>
    internal static IReadOnlyList<string> Environs()
    {
        Func<string, string?> environment = Environment.GetEnvironmentVariable;
        return CommandGate.Environment(environment, PlatformSet.HomeOf(environment), Path.GetTempPath(), network: false);
    }

    private static string Said(SafeFileHandle output)
    {
        var bytes = new byte[4096];
        return Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(output, bytes, 0));
    }
}
