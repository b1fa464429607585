using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// What the writable part of a scope holds that reaches beyond it: git's own directories, and files that have other names. One bounded look,
/// nearest to the roots first; follows no link.
/// </summary>
/// <param name="Repositories">What is called <c>.git</c>, and bare repositories.</param>
/// <param name="Shared">Of each file with names (hard links) outside the writable part the first one inside.</param>
internal sealed record WritableLook(IReadOnlyList<string> Repositories, IReadOnlyList<string> Shared)
{
    /// <summary>So many names are looked at: some ten milliseconds. What lies behind them is not found.</summary>
    internal const int MostNames = 10_000;

    internal static WritableLook Of(ScopePolicy policy)
    {
        var look = new Walk(policy);
        foreach (var root in policy.Rules.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target).Distinct()) look.Start(root);
        look.Run();
        return new([.. look.Repositories.Distinct()], [.. look.Files.Values.Where(file => file.Inside < file.Links).Select(file => file.Path)]);
    }

    private sealed class Walk(ScopePolicy policy)
    {
        private const byte DirectoryKind = 4, FileKind = 8, UnknownKind = 0;

        private static readonly string[] OfGit = ["HEAD", "objects", "refs"];

        private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
        private readonly Queue<string> _open = new();
        private int _left = MostNames;

        internal List<string> Repositories { get; } = [];

        internal Dictionary<(ulong Device, ulong Inode), (string Path, uint Links, uint Inside)> Files { get; } = [];

        internal void Start(string root)
        {
            using var parent = Door.LookAt(Door.DirectoryOf(root), out _);
            if (root != "/" && parent is not null && Door.StatusOf(parent, Door.NameOf(root)) is { IsFile: true } file) Count(root, file);
            else _open.Enqueue(root);
        }

        internal void Run()
        {
            while (_left > 0 && _open.TryDequeue(out var path))
            {
                if (!_seen.Add(path)) continue;
                using var directory = Door.OpenBeneath(Door.Slash, Door.Below("/", path), OpenFlags.ReadOnly | OpenFlags.Directory, out _);
                if (directory is null || Door.IsNoTree(directory)) continue;
                Take(path, directory);
            }
        }

        private void Take(string path, SafeFileHandle directory)
        {
            List<(string Name, byte Kind)> entries;
            try
            {
                entries = Door.EntriesOf(directory);
            }
            catch (LinuxException)
            {
                return; // Gone meanwhile, or of a kind that cannot be listed.
            }
            if (OfGit.All(name => entries.Any(entry => entry.Name == name))) Repositories.Add(path);
            foreach (var (name, kind) in entries.Take(_left))
            {
                var at = ScopePath.Join(path, name);
                if (name == ".git") Repositories.Add(at);
                var status = kind is FileKind or UnknownKind ? Door.StatusOf(directory, name) : null;
                if (kind == DirectoryKind || status is { IsDirectory: true }) _open.Enqueue(at);
                else if (status is { IsFile: true } file) Count(at, file);
            }
            _left -= entries.Count;
        }

        private void Count(string path, in FileStatus file)
        {
            if (file.Links < 2 || policy.AccessAt(path) != Access.Write) return;
            var key = (file.Device, file.Inode);
            Files[key] = Files.TryGetValue(key, out var known) ? known with { Inside = known.Inside + 1 } : (path, file.Links, 1);
        }
    }
}
