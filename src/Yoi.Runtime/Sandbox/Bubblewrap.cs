using System.Globalization;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>Limits of one command; the shell at the gate takes them on before it waits.</summary>
/// <param name="Processes">Of the sandbox's user namespace; the kernel does not hold root to it.</param>
/// <param name="DataBytes">Private memory of one process.</param>
/// <param name="FileBytes">Largest file.</param>
internal sealed record CommandLimits(int Processes = 1024, long DataBytes = 8L << 30, long FileBytes = 8L << 30, int OpenFiles = 4096, long OutputBytes = 64L << 20);

/// <summary>The program, its arguments and environment, and the filter: all that starting a command takes.</summary>
/// <param name="View">Arguments that bubblewrap reads from a descriptor: inside, where its arguments can be seen, no path of the host is told.</param>
internal sealed record SandboxCommand(string Program, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment, byte[] Filter, byte[] View);

/// <summary>The back end of level <c>kernel</c>: a view as arguments of bubblewrap.</summary>
internal static class Bubblewrap
{
    /// <summary>Descriptors that bubblewrap reads and writes, and closes before the command begins.</summary>
    internal const int InformationFd = 3, FilterFd = 4, ViewFd = 5;

    /// <summary>What the gate says when the view stands, and what it waits for. At the end of its stdin it ends, having run nothing.</summary>
    internal const string ReadyLine = "yoi: at the gate\n", GoLine = "go\n";

    // One shell is gate and command: $1 is the command, $2 where it leaves its working directory, $3 where it begins, and if that was
    // removed meanwhile, $4. As text it is only ever an argument.
    private const string Gate = """
        printf 'yoi: at the gate\n'; IFS= read -r yoi && [ "$yoi" = go ] || exit 125
        builtin cd -P -- "$3" 2>/dev/null || { builtin cd -P -- "$4" 2>/dev/null; printf '[yoi] %s cannot be entered any more; the working directory is %s\n' "$3" "$PWD"; }
        exec </dev/null; yoi=$1; trap "builtin pwd -P 2>/dev/null >'$2'" EXIT; set --; unset OLDPWD; eval "$yoi"
        """;

    private static readonly string[] Places = ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"];

    /// <summary>Variables that may pass from the Pod to a command: where things are and how text is shown.</summary>
    private static readonly string[] Passed =
        ["LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "DOTNET_ROOT", "JAVA_HOME", "GOROOT", "PYENV_ROOT", "NVM_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

    /// <summary>Root's bubblewrap, by absolute path; PATH and the working directory are never asked.</summary>
    /// <exception cref="SandboxException">There is none that can be trusted.</exception>
    internal static string Find()
    {
        foreach (var place in Places)
        {
            if (Libc.IdentifyTarget(place, out var found) != 0) continue;
            if (!found.IsFile || found.Uid != 0 || (found.Permissions & 0x12) != 0) throw new SandboxException($"{place} can be changed by others than root; nothing is started with it");
            return place;
        }
        throw new SandboxException("bubblewrap is not installed (apt-get install bubblewrap, dnf install bubblewrap)");
    }

    /// <summary>All that starting the command takes.</summary>
    /// <param name="cwd">Where the command begins, as seen inside.</param>
    /// <param name="home">Where it begins if that is not there any more: the Pod's own working directory.</param>
    /// <exception cref="SandboxException">The policy cannot be held by this back end.</exception>
    internal static SandboxCommand Compose(
        string program, SandboxPolicy policy, SandboxView seen, PrivatePlaces own, CommandLimits limits, string cwd, string command, Func<string, string?> environment, string? home = null)
    {
        if (policy.Access.AccessAt(program) == Access.Write) throw new SandboxException($"{program} lies in the writable scope; a command could replace it");
        List<string> view = [.. policy.Network ? [] : new[] { "--unshare-net" }, .. View(policy, seen, own), "--chdir", "/"];
        string[] arguments =
        [
            program, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
            "--die-with-parent", "--new-session", "--info-fd", Text(InformationFd), "--seccomp", Text(FilterFd), "--args", Text(ViewFd),
            "--", "/bin/bash", "--noprofile", "--norc", "-c", GateText(limits), "bash", command, PrivatePlaces.InsideWorkingDirectory, cwd, home ?? cwd,
        ];
        byte[] read = [.. view.SelectMany(word => PathText.Encode(word))]; // Each ends with NUL.
        return new(program, arguments, Environment(environment), SeccompFilter.Bytes(policy.Network), read);
    }

    private static IEnumerable<string> View(SandboxPolicy policy, SandboxView view, PrivatePlaces own)
    {
        var reserved = view.Places.FirstOrDefault(place => place.Path == "/" || ScopePath.IsAtOrBelow(place.Path, "/yoi") || place.Path is "/proc" or "/dev" or "/sys");
        if (reserved is not null) throw new SandboxException($"a scope that holds {reserved.Path} itself cannot be held by the kernel: name the directories that are meant");
        var closed = new List<string>();
        foreach (var (name, target) in policy.Platform.Links) foreach (var word in new[] { "--symlink", target, name }) yield return word;
        foreach (var (name, real) in policy.Platform.Files)
            if (name != real) foreach (var word in new[] { "--ro-bind", real, name }) yield return word;
        foreach (var word in Temp(view, own)) yield return word;
        foreach (var place in view.Places)
            foreach (var word in Of(place, own, closed)) yield return word;
        foreach (var path in closed) foreach (var word in new[] { "--remount-ro", path }) yield return word;
        string[] last =
        [
            "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--bind", own.Home, PrivatePlaces.InsideHome, "--bind", own.Temp, PrivatePlaces.InsideTemp,
            "--ro-bind", own.Output, PrivatePlaces.InsideOutput, "--dir", "/run", "--remount-ro", "/",
        ];
        foreach (var word in last) yield return word;
    }

    /// <summary>The Pod's own temporary files; where a place lies below, one that is new for each command, so that nothing planted is mounted over.</summary>
    private static IEnumerable<string> Temp(SandboxView view, PrivatePlaces own)
    {
        if (view.Places.Any(place => place.Path == "/tmp")) return [];
        var below = view.Places.Where(place => ScopePath.IsAtOrBelow(place.Path, "/tmp")).ToList();
        if (below.Count == 0) return ["--bind", own.Temp, "/tmp"];
        // The directories above a place are not on any disk: what was written there would be lost, so nothing is.
        var above = below.SelectMany(place => Above(place.Path)).Where(path => !view.Places.Any(place => ScopePath.IsAtOrBelow(path, place.Path))).Distinct().Order(StringComparer.Ordinal);
        return [.. (string[])["--perms", "1777", "--size", "1073741824", "--tmpfs", "/tmp"], .. above.SelectMany(path => new[] { "--perms", "0555", "--dir", path })];
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

    private static List<string> Environment(Func<string, string?> environment)
    {
        List<string> variables =
        [
            "PATH=" + PathOf(environment), "HOME=" + PrivatePlaces.InsideHome, "TMPDIR=" + PrivatePlaces.InsideTemp, "SHELL=/bin/bash", "TERM=dumb",
            "PAGER=cat", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "DOTNET_NOLOGO=1", "DOTNET_CLI_TELEMETRY_OPTOUT=1", "MSBUILDDISABLENODEREUSE=1",
        ];
        foreach (var name in Passed)
            if (environment(name) is { Length: > 0 and < 4096 } value) variables.Add($"{name}={value}");
        return variables;
    }

    /// <summary>The PATH that commands get.</summary>
    internal static string PathOf(Func<string, string?> environment) =>
        environment("PATH") is { Length: > 0 } path ? path : "/usr/local/bin:/usr/bin:/bin";

    private static string GateText(CommandLimits limits) =>
        $"ulimit -c 0; {Limit('n', limits.OpenFiles)} {Limit('u', limits.Processes)} {Limit('d', limits.DataBytes / 1024)} {Limit('f', limits.FileBytes / 1024)}\n{Gate}";

    private static string Limit(char what, long most) => string.Create(CultureInfo.InvariantCulture, $"ulimit -{what} {most} 2>/dev/null;");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
