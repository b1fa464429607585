using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What every Pod may read besides its scope: the system's programs and libraries, a named list of <c>/etc</c>, and toolchains and
/// package caches by name beneath the user's home; never the home itself, never what keeps credentials.
/// </summary>
/// <param name="Paths">Resolved directories and files that exist.</param>
/// <param name="Links">Top-level names that are links on this system (<c>/bin</c> to <c>usr/bin</c>).</param>
/// <param name="Files">Names of <c>/etc</c> and where they really are.</param>
/// <param name="HomeNames">Names beneath the user's home that are in <see cref="Paths"/>.</param>
internal sealed record PlatformSet(
    IReadOnlyList<string> Paths, IReadOnlyList<(string Name, string Target)> Links, IReadOnlyList<(string Name, string Real)> Files,
    IReadOnlyList<string> HomeNames)
{
    /// <summary>The user's home.</summary>
    internal string Home { get; init; } = "/";

    private static readonly string[] TopLevel = ["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/snap"];

    private static readonly string[] Etc =
    [
        "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "passwd", "group", "nsswitch.conf", "hosts", "host.conf", "gai.conf",
        "localtime", "timezone", "os-release", "debian_version", "lsb-release", "redhat-release", "ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem",
        "ca-certificates", "ca-certificates.conf", "pki/tls/certs", "pki/tls/cert.pem", "pki/ca-trust", "crypto-policies", "services",
        "protocols", "mime.types", "terminfo", "inputrc", "locale.alias", "locale.conf", "fonts", "magic", "perl", "java", "dotnet",
        "python3", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "xdg/locale",
    ];

    private static readonly string[] BelowHome =
    [
        ".pyenv", ".rbenv", ".nodenv", ".nvm", ".volta", ".asdf", ".sdkman", ".rustup", ".cargo/bin", ".cargo/registry", ".cargo/git",
        ".dotnet/dotnet", ".dotnet/sdk", ".dotnet/shared", ".dotnet/host", ".dotnet/packs", ".dotnet/templates", ".dotnet/sdk-manifests", ".dotnet/metadata", ".dotnet/workloads",
        ".dotnet/library-packs", ".dotnet/tools",
        ".nuget/packages", ".npm/_cacache", ".cache/pip", ".cache/uv", ".cache/go-build", "go/pkg", "go/bin", ".local/bin", ".local/lib",
        ".local/share/pnpm", ".local/share/uv/python", ".local/share/uv/tools", ".local/share/pipx", ".bun/bin", ".deno/bin", ".m2/repository", ".gradle/caches", ".gradle/wrapper", "bin",
    ];

    /// <summary>The user's home as a Pod's environment has it.</summary>
    internal static string HomeOf(Func<string, string?> environment) => environment("HOME") is { Length: > 0 } home ? home : "/";

    /// <summary>The set on this machine.</summary>
    /// <param name="path">The PATH that commands get.</param>
    /// <param name="more">Directories that the user's settings add; one that is not there, or was replaced by a link, adds nothing.</param>
    internal static PlatformSet Find(string home, string path, bool network, IReadOnlyList<string>? more = null)
    {
        var paths = new SortedSet<string>(StringComparer.Ordinal);
        var links = new List<(string, string)>();
        foreach (var top in TopLevel)
        {
            if (new FileInfo(top).LinkTarget is { } target) links.Add((top, target));
            else if (Directory.Exists(top)) paths.Add(top);
        }
        var files = new List<(string, string)>();
        foreach (var name in network ? [.. Etc, "resolv.conf"] : Etc)
            if (Libc.RealPath("/etc/" + name) is { } real && (File.Exists(real) || Directory.Exists(real))) files.Add(("/etc/" + name, real));
        var atHome = BelowHome.Where(name => System.IO.Path.Exists(ScopePath.Join(home, name)) && Libc.RealPath(ScopePath.Join(home, name)) == ScopePath.Join(home, name)).ToList();
        foreach (var name in atHome) paths.Add(ScopePath.Join(home, name));
        foreach (var directory in more ?? [])
            if (Directory.Exists(directory) && Libc.RealPath(directory) == directory) paths.Add(directory);
        foreach (var directory in path.Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!directory.StartsWith('/') || Libc.RealPath(directory) is not { } real || !Directory.Exists(real)) continue;
            if (ScopePath.IsAtOrBelow(home, real) || real == ScopePath.Join(home, ".dotnet") || IsShared(real) || paths.Any(known => ScopePath.IsAtOrBelow(real, known))) continue;
            paths.Add(real);
        }
        return new(Outermost(paths), links, files, atHome) { Home = home };
    }

    /// <summary>As rules: read, all below. Of a link both its name and what it leads to.</summary>
    internal IEnumerable<ScopeRule> Rules => Paths.Concat(Files.SelectMany(file => new[] { file.Name, file.Real })).Distinct().Select(path => new ScopeRule(path, Permission.Read));

    /// <summary>What a Pod with this scope may read besides it, under the built-in denies of what is secret.</summary>
    internal ScopeRules Reach(YoiDirectories directories, string home, IEnumerable<ScopeRule> scope)
    {
        ScopeRule[] allow = [.. Rules];
        return new(allow, BuiltInDenies.Secrets(directories, home, [.. scope, .. allow]));
    }

    /// <summary>A directory that others may write, and the places that are never a toolchain.</summary>
    private static bool IsShared(string path) =>
        path is "/" or "/tmp" or "/var" or "/etc" or "/home" or "/root" or "/run" or "/dev" or "/proc" or "/sys"
        || Libc.Identify(path, out var found) != 0 || (found.Permissions & 2) != 0;

    private static List<string> Outermost(SortedSet<string> paths) => [.. paths.Where(path => !paths.Any(other => other != path && ScopePath.IsAtOrBelow(path, other)))];
}
