using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>A name in a directory.</summary>
internal readonly record struct DirectoryEntry(string Name, NodeKind Kind);

/// <summary>
/// A directory that was opened through the door. Shows only what the scope lets one see, follows no link, and opens everything
/// relative to its own handle, so that moving it meanwhile leads nowhere else.
/// </summary>
internal sealed class OpenedDirectory(ScopePolicy policy, string path, SafeFileHandle handle) : IDisposable
{
    /// <summary>The resolved, absolute path.</summary>
    internal string Path => path;

    /// <summary>Names that the scope hides, found by <see cref="Entries"/>.</summary>
    internal int Hidden { get; private set; }

    /// <summary>What is in it and may be seen, sorted by name.</summary>
    /// <exception cref="PathException">The directory cannot be read.</exception>
    internal IReadOnlyList<DirectoryEntry> Entries()
    {
        var entries = new List<DirectoryEntry>();
        try
        {
            foreach (var (name, type) in Door.EntriesOf(handle)) Add(entries, name, type);
        }
        catch (LinuxException e)
        {
            throw Door.Failed("cannot list", path, e.Errno);
        }
        entries.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return entries;
    }

    /// <summary>Opens a file in it for reading; null if it is gone, may not be read, or is no regular file (any more).</summary>
    internal OpenedFile? OpenFile(string name)
    {
        var full = ScopePath.Join(path, name);
        if (policy.AccessAt(full) == Access.None) return null;
        const int flags = OpenFlags.ReadOnly | OpenFlags.NonBlock | OpenFlags.NoTerminal;
        if (Door.StatusOf(handle, name) is not { IsFile: true }) return null;
        var file = Door.OpenBeneath(handle, name, flags | OpenFlags.NoFollow, out _);
        if (file is null) return null;
        var status = Door.StatusOf(file);
        if (status.IsFile) return new(full, file, status);
        file.Dispose();
        return null;
    }

    /// <summary>Opens a directory in it; null if it is gone, a link, hidden, /proc or the like, or was moved.</summary>
    internal OpenedDirectory? OpenDirectory(string name)
    {
        var full = ScopePath.Join(path, name);
        if (!Refusal.MayPass(policy, full)) return null;
        var found = Door.OpenBeneath(handle, name, OpenFlags.ReadOnly | OpenFlags.Directory | OpenFlags.NoFollow, out _);
        if (found is null) return null;
        if (!Door.IsNoTree(found) && Door.PathOf(found) == full) return new(policy, full, found);
        found.Dispose();
        return null;
    }

    /// <summary>When it was last written, the link itself if it is one; null if it is gone.</summary>
    internal DateTimeOffset? ModifiedOf(string name) => Door.StatusOf(handle, name)?.Modified;

    /// <summary>Keeps it open for one more, who lets go of it.</summary>
    internal void Hold()
    {
        var held = false;
        handle.DangerousAddRef(ref held);
    }

    internal void LetGo() => handle.DangerousRelease();

    public void Dispose() => handle.Dispose();

    private void Add(List<DirectoryEntry> entries, string name, byte type)
    {
        var full = ScopePath.Join(path, name);
        var kind = type switch
        {
            8 => NodeKind.File,
            4 => NodeKind.Directory,
            10 => NodeKind.Link,
            0 => Door.StatusOf(handle, name) is { } status ? Door.KindOf(status) : NodeKind.Other,
            _ => NodeKind.Other,
        };
        if (policy.AccessAt(full) != Access.None || (kind == NodeKind.Directory && Refusal.MayPass(policy, full))) entries.Add(new(name, kind));
        else Hidden++;
    }
}
