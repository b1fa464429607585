using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The mounts as this process sees them, to find out that two resolved paths lead to one place: a bind mount gives a directory a
/// second path, which no resolving of links tells. Compares places as (device, path inside its file system).
/// </summary>
internal sealed class MountMap(IReadOnlyList<MountMap.Mount> mounts)
{
    /// <param name="Root">What of the file system is mounted.</param>
    /// <param name="Point">Where it is mounted.</param>
    internal sealed record Mount(string Device, string Root, string Point);

    private readonly record struct Region(Mount Mount, string Place, string Path);

    /// <exception cref="ScopeException">The kernel does not say what is mounted.</exception>
    internal static MountMap Read()
    {
        try
        {
            return Parse(File.ReadLines("/proc/self/mountinfo"));
        }
        catch (IOException e)
        {
            throw new ScopeException($"it cannot be known which directories are one: {e.Message}", cause: e);
        }
    }

    /// <summary>Lines as in proc(5): <c>36 35 8:2 /root /point options …</c>.</summary>
    internal static MountMap Parse(IEnumerable<string> lines) => new([.. lines.Select(line => line.Split(' ')).Where(words => words.Length > 4)
        .Select(words => new Mount(words[2], Unescape(words[3]), Unescape(words[4])))]);

    /// <summary>Two different paths, one that each rule covers, to the same place; null if there are none.</summary>
    internal (string Mine, string Other)? SamePlace(ScopeRule mine, ScopeRule other)
    {
        foreach (var here in Regions(mine))
            foreach (var there in Regions(other))
                if (here.Mount.Device == there.Mount.Device && Shared(here, there) is { } paths && paths.Mine != paths.Other
                    && mine.Covers(paths.Mine) && other.Covers(paths.Other)
                    && MountOf(paths.Mine) == here.Mount && MountOf(paths.Other) == there.Mount) return paths;
        return SameInode(mine.Target, other.Target) ? (mine.Target, other.Target) : null;
    }

    // Hard links of one file, which no mount tells.
    private static bool SameInode(string mine, string other) =>
        mine != other && Libc.Identify(mine, out var here) == 0 && Libc.Identify(other, out var there) == 0
        && here.IsFile && here.IsSameFile(there);

    private static (string Mine, string Other)? Shared(Region here, Region there)
    {
        if (ScopePath.IsAtOrBelow(there.Place, here.Place)) return (Moved(there.Place, here.Place, here.Path), there.Path);
        if (ScopePath.IsAtOrBelow(here.Place, there.Place)) return (here.Path, Moved(here.Place, there.Place, there.Path));
        return null;
    }

    /// <summary>What the rule covers of each file system: what its target is on, and what is mounted below.</summary>
    private IEnumerable<Region> Regions(ScopeRule rule)
    {
        if (MountOf(rule.Target) is { } mount) yield return new(mount, Moved(rule.Target, mount.Point, mount.Root), rule.Target);
        if (!rule.Recursive) yield break;
        foreach (var below in mounts)
            if (below.Point.Length > rule.Target.Length && ScopePath.IsAtOrBelow(below.Point, rule.Target)) yield return new(below, below.Root, below.Point);
    }

    // The longest mount point above a path; of several at one place the last one lies on top.
    private Mount? MountOf(string path)
    {
        Mount? found = null;
        foreach (var mount in mounts)
            if (mount.Point.Length >= (found?.Point.Length ?? 0) && ScopePath.IsAtOrBelow(path, mount.Point)) found = mount;
        return found;
    }

    private static string Moved(string path, string from, string to)
    {
        var rest = path[from.Length..].TrimStart('/');
        return rest.Length == 0 ? to : ScopePath.Join(to, rest);
    }

    // Space, tab, newline and backslash are written as \040 and the like: bytes in octal.
    private static string Unescape(string text)
    {
        if (!text.Contains('\\')) return text;
        var bytes = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length)
            {
                bytes.Add(Convert.ToByte(text.Substring(i + 1, 3), 8));
                i += 3;
            }
            else bytes.AddRange(Encoding.UTF8.GetBytes(text[i..(i + 1)]));
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }
}
