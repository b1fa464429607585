using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>The program, its arguments and environment, and the filter: all that starting a command takes.</summary>
/// <param name="View">Arguments that bubblewrap reads from a descriptor: inside, where its arguments can be seen, no path of the host is told.</param>
internal sealed record SandboxCommand(string Program, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment, byte[] Filter, byte[] View);

/// <summary>The back end of level <c>kernel</c>: a view as arguments of bubblewrap.</summary>
internal static class Bubblewrap
{
    /// <summary>Descriptors that bubblewrap reads and writes, and closes before the command begins.</summary>
    internal const int InformationFd = 3, FilterFd = 4, ViewFd = 5;

    /// <summary>The first that it leaves open for the command; the one before is the shell's above it.</summary>
    internal const int FirstFd = 7;

    private static readonly string[] Places = ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"];

    /// <summary>Root's bubblewrap, by absolute path; PATH and the working directory are never asked.</summary>
    /// <exception cref="SandboxException">There is none that can be trusted.</exception>
    internal static string Find()
    {
        foreach (var place in Places)
        {
            if (Libc.IdentifyTarget(place, out var found) != 0) continue;
            if (!found.IsFile) throw new SandboxException($"{place} is no file; nothing is started with it");
            if (found.Owner != 0 || (found.Permissions & 0x12) != 0) throw new SandboxException($"{place} can be changed by others than root; nothing is started with it");
            return place;
        }
        throw new SandboxException("bubblewrap is not installed (apt-get install bubblewrap, dnf install bubblewrap)");
    }

    /// <summary>All that starting the command takes.</summary>
    /// <param name="cwd">Where the command begins, as seen inside.</param>
    /// <param name="home">Where it begins if that is not there any more: the Pod's own working directory.</param>
    /// <exception cref="SandboxException">The policy cannot be held by this back end.</exception>
    internal static SandboxCommand Compose(
        string program, SandboxPolicy policy, SandboxView seen, PrivatePlaces own, CommandLimits limits, string cwd, string command, Func<string, string?> environment, string? home = null, bool background = false)
    {
        if (policy.Access.AccessAt(program) == Access.Write) throw new SandboxException($"{program} lies in the writable scope; a command could replace it");
        List<string> view = [.. policy.Network ? [] : new[] { "--unshare-net" }, .. View(policy, seen, own, limits), "--chdir", "/"];
        string[] arguments =
        [
            program, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
            "--die-with-parent", "--new-session", "--info-fd", Text(InformationFd), "--seccomp", Text(FilterFd), "--args", Text(ViewFd),
            "--", .. CommandGate.Arguments(limits, command, background ? null : PrivatePlaces.InsideTemp, cwd, home ?? cwd),
        ];
        byte[] read = [.. view.SelectMany(word => PathText.Encode(word))]; // Each ends with NUL.
        return new(program, arguments, CommandGate.Environment(environment, PrivatePlaces.InsideHome, PrivatePlaces.InsideTemp, policy.Network), SeccompFilter.Bytes(policy.Network), read);
    }

    /// <summary>Why no command runs under this policy; null if commands do.</summary>
    internal static string? WhyNot(SandboxPolicy policy)
    {
        try
        {
            RequireHoldable(SandboxView.Of(policy, []));
            return null;
        }
        catch (SandboxException e)
        {
            return e.Message;
        }
    }

    private static void RequireHoldable(SandboxView view)
    {
        var reserved = view.Places.FirstOrDefault(place => place.Path is "/" or "/dev" or "/sys" || ScopePath.IsAtOrBelow(place.Path, "/yoi") || ScopePath.IsAtOrBelow(place.Path, "/proc"));
        if (reserved is not null) throw new SandboxException($"a scope that holds {reserved.Path} itself cannot be held by the kernel: name the directories that are meant");
    }

    private static IEnumerable<string> View(SandboxPolicy policy, SandboxView view, PrivatePlaces own, CommandLimits limits)
    {
        RequireHoldable(view);
        var closed = new List<string>();
        foreach (var (name, target) in policy.Platform.Links) foreach (var word in new[] { "--symlink", target, name }) yield return word;
        foreach (var (name, real) in policy.Platform.Files)
            if (name != real) foreach (var word in new[] { "--ro-bind", real, name }) yield return word;
        string[] devices = ["--dev", "/dev", "--perms", "1777", "--size", Bytes(limits.TempMb), "--tmpfs", "/dev/shm"]; // Below the places: one may be in there.
        foreach (var word in devices.Concat(Temp(view, own, limits))) yield return word;
        foreach (var place in view.Places)
            foreach (var word in Of(place, own, closed)) yield return word;
        foreach (var path in closed) foreach (var word in new[] { "--remount-ro", path }) yield return word;
        string[] last =
        [
            "--proc", "/proc", "--remount-ro", "/proc", "--remount-ro", "/dev", "--bind", own.Home, PrivatePlaces.InsideHome, "--bind", own.Temp, PrivatePlaces.InsideTemp,
            "--ro-bind", own.Output, PrivatePlaces.InsideOutput, "--dir", "/run", "--remount-ro", "/",
        ];
        foreach (var word in last) yield return word;
    }

    /// <summary>The Pod's own temporary files; where a place lies below, one that is new for each command, so that nothing planted is mounted over.</summary>
    private static IEnumerable<string> Temp(SandboxView view, PrivatePlaces own, CommandLimits limits)
    {
        if (view.Places.Any(place => place.Path == "/tmp")) return [];
        var below = view.Places.Where(place => ScopePath.IsAtOrBelow(place.Path, "/tmp")).ToList();
        if (below.Count == 0) return ["--bind", own.Temp, "/tmp"];
        // The directories above a place are not on any disk: what was written there would be lost, so nothing is.
        var above = below.SelectMany(place => Above(place.Path)).Where(path => !view.Places.Any(place => ScopePath.IsAtOrBelow(path, place.Path))).Distinct().Order(StringComparer.Ordinal);
        return [.. (string[])["--perms", "1777", "--size", Bytes(limits.TempMb), "--tmpfs", "/tmp"], .. above.SelectMany(path => new[] { "--perms", "0555", "--dir", path })];
    }

    private static IEnumerable<string> Above(string path)
    {
        for (var end = path.LastIndexOf('/'); end > "/tmp".Length; end = path.LastIndexOf('/', end - 1)) yield return path[..end];
    }

    private static string[] Of(Place place, PrivatePlaces own, List<string> closed)
    {
        switch (place.Sight)
        {
            case Sight.Writable: return ["--bind", place.Path, place.Path];
            case Sight.ReadOnly: return ["--ro-bind", place.Path, place.Path];
            case Sight.Masked when place.IsFile: return ["--ro-bind", own.MaskFile, place.Path];
            default:
                closed.Add(place.Path);
                return ["--perms", place.Sight == Sight.Frame ? "0555" : place.Opaque ? "0000" : "0111", "--size", "65536", "--tmpfs", place.Path];
        }
    }

    private static string Bytes(int megabytes) => string.Create(CultureInfo.InvariantCulture, $"{(long)megabytes << 20}");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
