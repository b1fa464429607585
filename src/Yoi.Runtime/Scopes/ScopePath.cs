using System.Text;
using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Absolute paths as text: absolute, no <c>.</c>, <c>..</c>, <c>//</c> or slash at the end. Names compare as bytes.
/// Pure: what a path leads to is <see cref="ScopeRoots"/>' to say.
/// </summary>
internal static class ScopePath
{
    /// <summary>The kernel opens no longer path.</summary>
    internal const int MostBytes = 4095;

    internal static bool IsTooLong(string path) => path.Length > MostBytes || Encoding.UTF8.GetByteCount(path) > MostBytes;

    /// <summary>Null if the path has the one form that a rule's target has, else what is wrong with it.</summary>
    internal static string? Problem(string? path)
    {
        if (string.IsNullOrEmpty(path)) return "the path is empty";
        if (path[0] != '/') return $"`{path}` is not absolute";
        if (path.Contains('\0')) return "the path has a NUL in it";
        if (IsTooLong(path)) return $"the path is longer than {MostBytes} bytes";
        if (HasLoneSurrogate(path)) return "the path is no valid Unicode text";
        return Normalize(path) == path ? null : $"`{path}` is not in its plain form `{Normalize(path)}`";
    }

    /// <summary>Removes <c>.</c>, <c>//</c> and slashes at the end, and takes <c>..</c> by the letter. For an absolute path.</summary>
    internal static string Normalize(string path)
    {
        var names = new List<string>();
        foreach (var name in path.Split('/'))
        {
            if (name is "" or ".") continue;
            if (name is not "..") names.Add(name);
            else if (names.Count > 0) names.RemoveAt(names.Count - 1);
        }
        return "/" + string.Join('/', names);
    }

    internal static bool IsAtOrBelow(string path, string target) =>
        path.StartsWith(target, StringComparison.Ordinal)
        && (path.Length == target.Length || target.Length == 1 || path[target.Length] == '/');

    /// <summary>The target and all below, or the target and its direct children.</summary>
    internal static bool Covers(this ScopeRule rule, string path)
    {
        if (!IsAtOrBelow(path, rule.Target)) return false;
        if (rule.Recursive || path.Length == rule.Target.Length) return true;
        var below = rule.Target.Length == 1 ? 1 : rule.Target.Length + 1;
        return path.IndexOf('/', below) < 0;
    }

    internal static string Join(string directory, string name) => directory.Length == 1 ? "/" + name : directory + "/" + name;

    private static bool HasLoneSurrogate(string path)
    {
        for (var i = 0; i < path.Length; i++)
        {
            if (!char.IsSurrogate(path[i])) continue;
            if (i + 1 == path.Length || !char.IsSurrogatePair(path[i], path[i + 1])) return true;
            i++;
        }
        return false;
    }
}
