using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>How a shell is held at level <c>partial</c>: all that starting it takes.</summary>
/// <param name="Made">Which ruleset of its Pod it is: the same number, the same rules.</param>
/// <param name="Ruleset">Landlock's, complete; whoever starts the shell takes it on.</param>
internal sealed record LandlockShell(int Made, SafeFileHandle Ruleset, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment, byte[] Filter)
{
    /// <summary>True if a command of the one can as well be in the other.</summary>
    internal bool IsSameAs(LandlockShell other) =>
        Made == other.Made && Arguments.SequenceEqual(other.Arguments) && Environment.SequenceEqual(other.Environment) && Filter.AsSpan().SequenceEqual(other.Filter);
}

/// <summary>A command at level <c>partial</c>: the shell, and what it is handed when it is let go.</summary>
internal sealed record LandlockCommand(LandlockShell Shell, IReadOnlyList<string> Words) : IDisposable
{
    public void Dispose() => Shell.Ruleset.Dispose();
}

/// <summary>
/// The back end of level <c>partial</c>: a view as Landlock's rules. They allow a place with all below it, never "all but": a policy that needs
/// that is refused whole.
/// </summary>
internal static class Landlock
{
    /// <summary>The first that keeps signals in: below, a command could end its Pod, and whoever ends commands.</summary>
    internal const int LeastAbi = 6;

    /// <summary>The error of the first kernels with ABI 6: a restricted thread could not signal its own process.</summary>
    private const int SignalsOfOwnThreads = 1 << 1;

    /// <summary>Files of the machine that programs need; the platform set has no place for them, for bubblewrap makes its own.</summary>
    private static readonly string[] Devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

    /// <summary>Why this kernel's Landlock will not do; null if it will.</summary>
    internal static string? WhyNot((int Abi, int Mended, int Error) kernel) => kernel switch
    {
        { Abi: < 1, Error: Errno.NoSys } => "this kernel has no Landlock (or a filter of system calls hides it)",
        { Abi: < 1, Error: Errno.NotSupported } => "Landlock is switched off on this machine (add it to the kernel's `lsm=`)",
        { Abi: < 1 } => $"Landlock cannot be used: error {kernel.Error}",
        { Abi: < LeastAbi } => $"this kernel has Landlock ABI {kernel.Abi}, and {LeastAbi} is needed (Linux 6.12): below it a command could signal every process of the user",
        { Mended: var mended } when (mended & SignalsOfOwnThreads) == 0 => "this kernel's Landlock has an error in its scope for signals that later ones have not (Linux 6.12.23, 6.14.2): update the kernel",
        _ => null,
    };

    /// <summary>What this kernel has, in words.</summary>
    /// <exception cref="SandboxException">It will not do; says why.</exception>
    internal static string Find()
    {
        var kernel = Libc.LandlockVersion();
        return WhyNot(kernel) is { } why ? throw new SandboxException(why) : $"ABI {kernel.Abi}";
    }

    /// <summary>Why a policy cannot be held without mounts, as things are on the disk now; null if it can. In words for a model and a human.</summary>
    internal static string? Refusal(SandboxPolicy policy)
    {
        try
        {
            return Refusal(policy.Access, SandboxView.Of(policy, []));
        }
        catch (SandboxException e)
        {
            return e.Message;
        }
    }

    /// <summary>It reads the machine's settings of git, which are there and refused, and by that a build in a repository would fail.</summary>
    private const string WithoutSourceLink = "EnableSourceControlManagerQueries=false";

    /// <summary>All that starting the command takes.</summary>
    /// <param name="last">Where the ruleset of the command before it is.</param>
    /// <exception cref="SandboxException">The policy cannot be held by this back end.</exception>
    internal static LandlockCommand Compose(
        LastRuleset last, SandboxPolicy policy, SandboxView view, PrivatePlaces own, CommandLimits limits, string cwd, string command, Func<string, string?> environment, string? home = null, bool background = false) =>
        new(Compose(last, policy, view, own, limits, environment), CommandGate.Words(command, background ? null : own.SeenTemp, cwd, home ?? cwd));

    /// <summary>The same of a shell that no command is known for yet. Its ruleset is the caller's.</summary>
    /// <exception cref="SandboxException">The policy cannot be held by this back end.</exception>
    internal static LandlockShell Compose(LastRuleset last, SandboxPolicy policy, SandboxView view, PrivatePlaces own, CommandLimits limits, Func<string, string?> environment)
    {
        if (Refusal(policy.Access, view) is { } why) throw new SandboxException(why);
        var kernel = Libc.LandlockVersion();
        if (WhyNot(kernel) is { } unable) throw new SandboxException(unable);
        var (files, net, scoped) = LandlockRights.Of(kernel.Abi);
        var (made, ruleset) = last.Get(new(files, policy.Network ? 0 : net, scoped), Rules(policy, view, own));
        return new(
            made, ruleset, CommandGate.Waiting(limits), [.. CommandGate.Environment(environment, own.SeenHome, own.SeenTemp, policy.Network), WithoutSourceLink],
            SeccompFilter.Bytes(policy.Network, ownNamespaces: false));
    }

    private static string? Refusal(ScopePolicy access, SandboxView view)
    {
        foreach (var place in view.Places)
        {
            if (place.Path is "/" or "/proc" or "/dev" or "/sys") return $"level partial cannot hold a scope of {place.Path} itself: name the directories that are meant";
            if (place.Sight == Sight.Frame) return $"level partial cannot hold {place.Path} without what lies deeper in it: make that rule recursive, or give single files";
            var around = view.Places.LastOrDefault(other => other != place && ScopePath.IsAtOrBelow(place.Path, other.Path));
            if (around is not null && place.Sight < around.Sight) return Hole(access, view, place, around);
        }
        return null;
    }

    private static string Hole(ScopePolicy access, SandboxView view, Place place, Place around)
    {
        const string need = "and level partial can only allow a directory with all that is in it";
        var may = around.Sight == Sight.Writable ? "written" : "read";
        if (view.NotYet.FirstOrDefault(awaited => awaited.Directory == place.Path) is { } awaited)
            return $"{awaited}, which lies in {around.Path}, which may be {may}, {need}; Bash works again when {awaited.Child} is stopped (StopPod), or where a whole root is lent";
        return access.Decide(place.Path) switch
        {
            { Holder: { } holder } => $"{place.Path} is lent to {holder.Child} and lies in {around.Path}, which may be {may}, {need}; Bash works again when {holder.Child} is stopped (StopPod), or where a whole root is lent",
            _ => $"{place.Path} may not be {(place.Sight == Sight.Masked ? "read" : "written")} and lies in {around.Path}, which may be {may}, {need}: name the directories that are meant, so that it lies in none of them, or use level kernel",
        };
    }

    /// <summary>What is allowed, and where, as things are now.</summary>
    private static List<LandlockRule> Rules(SandboxPolicy policy, SandboxView view, PrivatePlaces own)
    {
        List<LandlockRule> rules = [];
        void Allow(string path, ulong rights)
        {
            if (Libc.Identify(path, out var there) == 0) rules.Add(LandlockRule.Of(path, rights, there)); // Else it is not on this machine.
        }
        foreach (var place in view.Places)
            if (place.Sight is Sight.ReadOnly or Sight.Writable)
                rules.Add(LandlockRule.Of(place.Path, place.Sight == Sight.Writable ? LandlockRights.Write : LandlockRights.Read, place.OnHost));
        foreach (var (name, real) in policy.Platform.Files)
            if (name != real) Allow(real, LandlockRights.Read);
        foreach (var device in Devices) Allow(device, LandlockRights.ReadFile | LandlockRights.WriteFile);
        Allow("/proc", LandlockRights.Read);
        foreach (var path in new[] { own.Home, own.Temp }) Allow(path, LandlockRights.Write);
        Allow(own.Output, LandlockRights.Read);
        return rules;
    }
}
