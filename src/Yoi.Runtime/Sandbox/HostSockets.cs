using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>The socket files that programs of the host listen at, as far as the kernel names them by an absolute path.</summary>
internal static class HostSockets
{
    /// <summary>With the links on the way resolved: a program may have named <c>/var/run</c> and be in <c>/run</c>.</summary>
    internal static IReadOnlyList<string> Now() => Resolved(Parse(File.ReadLines("/proc/net/unix")));

    /// <summary>Lines as in proc(5): seven columns and the path, if there is one; <c>@</c> begins an abstract name.</summary>
    internal static IReadOnlyList<string> Parse(IEnumerable<string> lines) =>
        [.. lines.Select(line => line.IndexOf(" /", StringComparison.Ordinal) is >= 0 and var at ? line[(at + 1)..] : "").Where(path => path.Length > 0).Distinct()];

    /// <summary>Many are in few directories, so each directory is asked for once. A name that has become a link is followed.</summary>
    private static List<string> Resolved(IEnumerable<string> paths)
    {
        var directories = new Dictionary<string, string?>(StringComparer.Ordinal);
        List<string> resolved = [];
        foreach (var path in paths)
        {
            var above = Door.DirectoryOf(path);
            if (!directories.TryGetValue(above, out var real)) directories[above] = real = Libc.RealPath(above);
            if (real is null) continue;
            var there = ScopePath.Join(real, Door.NameOf(path));
            if (Libc.Identify(there, out var found) == 0 && (found.IsLink ? Libc.RealPath(there) : there) is { } socket) resolved.Add(socket);
        }
        return resolved;
    }
}
