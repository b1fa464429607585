using System.Runtime.InteropServices;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// From what a human or a model wrote to rules that may enter the table: every target becomes the path that the kernel resolves,
/// so that two spellings of one directory are one; what names cannot be told apart in is refused.
/// </summary>
internal static class ScopeRoots
{
    private const int MostLinks = 40;

    /// <summary>The rules with resolved targets. Relative targets start at <paramref name="cwd"/>; nothing is expanded.</summary>
    /// <exception cref="ScopeException">A target that cannot be a scope root; names it and says why.</exception>
    internal static IReadOnlyList<ScopeRule> Resolve(IEnumerable<ScopeRule> rules, string cwd) =>
        [.. rules.Select(rule => rule with { Target = Resolve(rule.Target, cwd) }).Distinct()];

    /// <summary>One target. A path that is not there yet is resolved as far as it is.</summary>
    /// <exception cref="ScopeException">It cannot be a scope root.</exception>
    internal static string Resolve(string target, string cwd)
    {
        if (string.IsNullOrEmpty(target) || target.Contains('\0')) throw new ScopeException("a scope's path is empty or has a NUL in it");
        var path = target[0] == '/' ? target : ScopePath.Join(cwd, target);
        if (ScopePath.IsTooLong(path)) throw new ScopeException($"a scope's path is longer than {ScopePath.MostBytes} bytes");
        var resolved = Follow(path);
        return ScopePath.Problem(resolved) is { } problem ? throw new ScopeException(problem) : resolved;
    }

    /// <summary>Why these allow rules may not stand in the table as they are; null if they may.</summary>
    internal static string? Problem(ScopeRules scope)
    {
        foreach (var rule in scope.Allow)
        {
            if (Resolve(rule.Target, "/") is var resolved && resolved != rule.Target)
                return $"{rule.Target} leads to {resolved}: name that in the rule";
            if (FoldsCase(rule.Target)) return FoldingText(rule.Target);
        }
        return null;
    }

    /// <summary>True if names that differ in case are one file there.</summary>
    internal static bool FoldsCase(string path)
    {
        using var directory = Libc.Open(path, OpenFlags.ReadOnly | OpenFlags.Directory | OpenFlags.NoFollow | OpenFlags.NonBlock | OpenFlags.CloseOnExec, 0);
        return !directory.IsInvalid && FoldsCase(Libc.InodeFlags(directory), Libc.FileSystemOf(directory, path));
    }

    /// <summary>The decision apart from the question: the inode's flags (null where a file system has none) and the kind of file system.</summary>
    internal static bool FoldsCase(long? inodeFlags, long fileSystem)
    {
        const long caseFold = 0x40000000;
        const long fat = 0x4d44, exfat = 0x2011bab0, ntfs3 = 0x7366746e, cifs = 0xff534d42, smb2 = 0xfe534d42, hfs = 0x4244, hfsPlus = 0x482b;
        return (inodeFlags & caseFold) > 0 || (fileSystem & 0xffffffff) is fat or exfat or ntfs3 or cifs or smb2 or hfs or hfsPlus;
    }

    internal static string FoldingText(string path) =>
        $"{path} takes names that differ in case for one file, and Yoi's rules compare names as bytes: it cannot be a scope root";

    // Not by calling itself: of a repository's settings, a link or a model's text the names can be many thousands.
    private static string Follow(string path)
    {
        var rest = new Stack<string>(); // What is behind the path, the next name on top.
        for (var links = 0; ;)
        {
            if (RealPath(path) is { } real)
            {
                if (!rest.TryPop(out var next)) return real;
                path = ScopePath.Join(real, next);
                if (Libc.Identify(path, out var found) != 0) return string.Join('/', rest.Prepend(path)); // Not there, and so nothing behind it.
                if (!found.IsLink || new FileInfo(path).LinkTarget is not { } target)
                {
                    if (RealPath(path) is null) return string.Join('/', rest.Prepend(path)); // Gone this moment.
                    continue;
                }
                if (++links > MostLinks) throw new ScopeException($"{path}: too many symbolic links");
                path = target.StartsWith('/') ? target : ScopePath.Join(real, target);
                continue;
            }
            // Not there: resolve what is above it. `..` of something that is not there has no meaning that the kernel shares.
            var plain = path.TrimEnd('/');
            var slash = plain.LastIndexOf('/');
            var name = plain[(slash + 1)..];
            if (name is "..") throw new ScopeException($"{path}: what is before `..` does not exist");
            if (name is not ".") rest.Push(name);
            path = slash == 0 ? "/" : plain[..slash];
        }
    }

    private static string? RealPath(string path) => Libc.RealPath(path) ?? Marshal.GetLastPInvokeError() switch
    {
        Errno.NoEnt or Errno.NotDir => null,
        var errno => throw new ScopeException($"{path}: {Marshal.GetPInvokeErrorMessage(errno)}"),
    };
}
