namespace Yoi.Runtime.Sandbox;

/// <summary>The socket files that programs of the host listen at, as far as the kernel names them by an absolute path.</summary>
internal static class HostSockets
{
    internal static IReadOnlyList<string> Now() => Parse(File.ReadLines("/proc/net/unix"));

    /// <summary>Lines as in proc(5): seven columns and the path, if there is one; <c>@</c> begins an abstract name.</summary>
    internal static IReadOnlyList<string> Parse(IEnumerable<string> lines) =>
        [.. lines.Select(line => line.IndexOf(" /", StringComparison.Ordinal) is >= 0 and var at ? line[(at + 1)..] : "").Where(path => path.Length > 0).Distinct()];
}
