using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>Which part of the file system a command may write, as one looks through it.</summary>
/// <param name="Roots">The scope's writable roots: what is found is moved to the quarantine of the root that it lies in.</param>
/// <param name="Starts">Writable directories.</param>
/// <param name="Stops">What below them is not: masked, denied, lent out.</param>
internal sealed record WritablePart(IReadOnlyList<string> Roots, IReadOnlyList<string> Starts, IReadOnlyList<string> Stops)
{
    internal static WritablePart None { get; } = new([], [], []);

    /// <summary>The outermost root that holds the path; null if none does.</summary>
    internal string? RootOf(string path) => Roots.Where(root => ScopePath.IsAtOrBelow(path, root)).MinBy(root => root.Length);
}

/// <summary>
/// All of git's own directories in the writable part: what is called <c>.git</c>, bare repositories, submodules' and worktrees' inside
/// those; and what sockets lie on the way. A directory that has not changed since it was listed is asked for its times only: some microseconds each. Follows no link.
/// </summary>
internal sealed class RepositoryIndex(TimeProvider time)
{
    /// <summary>So many directories are looked at. What lies behind them is not found, and that is told.</summary>
    internal const int MostDirectories = 50_000;

    // Of a repository by its name; in one that only looks like one, everything is looked at: it may have been made to hide what lies below.
    private static readonly string[] Data = ["objects", "refs", "logs"];

    /// <summary>A listing is good for later only if the directory had rested so long: times have grains.</summary>
    internal static readonly TimeSpan Rest = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private Dictionary<string, Listing> _listings = new(StringComparer.Ordinal);

    /// <summary>True if the last look ended at <see cref="MostDirectories"/>.</summary>
    internal bool WasCutOff { get; private set; }

    /// <summary>So many directories were listed so far.</summary>
    internal long Listed { get; private set; }

    private sealed record Listing(FileVersion Version, bool Rested, string[] Directories, string[] Git, string[] Sockets);

    /// <summary>Their paths; of a worktree or submodule that of the file that leads away.</summary>
    /// <param name="unlock">Directories that cannot be listed, and could be before, are made so that they can.</param>
    internal IReadOnlyList<string> Find(WritablePart part, bool unlock) => Find(part, unlock, out _);

    /// <param name="sockets">All socket files that were met.</param>
    internal IReadOnlyList<string> Find(WritablePart part, bool unlock, out IReadOnlyList<string> sockets)
    {
        lock (_gate) return Find_NeedsLock(part, unlock, out sockets);
    }

    private List<string> Find_NeedsLock(WritablePart part, bool unlock, out IReadOnlyList<string> sockets)
    {
        List<string> found = [], met = [];
        sockets = met;
        WasCutOff = false;
        if (part.Starts.Count == 0) return found; // What another look listed stays good.
        var seen = new Dictionary<string, Listing>(StringComparer.Ordinal);
        var stops = part.Stops.Concat(part.Roots.Select(root => ScopePath.Join(root, Quarantine.Top))).ToHashSet(StringComparer.Ordinal);
        var open = new Stack<string>(part.Starts.Reverse());
        while (open.TryPop(out var path) && seen.Count < MostDirectories)
        {
            if (stops.Contains(path) || seen.ContainsKey(path) || !Libc.TryStatAt(Door.Slash, PathText.Encode(Door.Below("/", path)), out var status, out _) || !status.IsDirectory) continue;
            var listing = _listings.TryGetValue(path, out var known) && known.Rested && known.Version == status.Version ? known : List(path, status, unlock);
            seen[path] = listing;
            found.AddRange(listing.Git.Select(name => ScopePath.Normalize(ScopePath.Join(path, name))));
            met.AddRange(listing.Sockets.Select(name => ScopePath.Join(path, name)));
            foreach (var name in listing.Directories) open.Push(ScopePath.Join(path, name));
        }
        WasCutOff = open.Count > 0;
        _listings = seen;
        return [.. found.Distinct()];
    }

    private static SafeFileHandle? Open(string path, bool unlock, out int error)
    {
        var below = Door.Below("/", path);
        var directory = Door.OpenBeneath(Door.Slash, below, OpenFlags.ReadOnly | OpenFlags.Directory, out error);
        if (!unlock || (directory is null ? error != Errno.Acces : MayEnter(directory))) return directory;
        directory?.Dispose();
        using var handle = Door.LookBeneath(Door.Slash, below, out _);
        if (handle is not null) Quarantine.Unlock(handle);
        return Door.OpenBeneath(Door.Slash, below, OpenFlags.ReadOnly | OpenFlags.Directory, out error);
    }

    /// <summary>Of a directory that may be read and not entered the names can be seen, and nothing behind them.</summary>
    private static bool MayEnter(SafeFileHandle directory) => Libc.TryStatAt(directory, ".\0"u8, out _, out var error) || error != Errno.Acces;

    private Listing List(string path, FileStatus status, bool unlock)
    {
        Listed++;
        var rested = time.GetUtcNow() - status.Changed > Rest;
        using var directory = Open(path, unlock, out _);
        if (directory is null) return new(status.Version, false, [], [], []); // Whoever unlocks has not looked yet.
        if (Door.IsNoTree(directory)) return new(status.Version, rested, [], [], []);
        rested &= MayEnter(directory);
        List<(string Name, byte Kind)> entries;
        try
        {
            entries = Door.EntriesOf(directory);
        }
        catch (LinuxException)
        {
            return new(status.Version, false, [], [], []); // Gone meanwhile, or of a kind that cannot be listed.
        }
        var names = entries.Select(entry => entry.Name).ToHashSet(StringComparer.Ordinal);
        var worktree = names.Contains("HEAD") && names.Contains("commondir");
        var bare = worktree || (names.Contains("HEAD") && names.Contains("objects") && names.Contains("refs"));
        var inside = Door.NameOf(path) == ".git";
        List<string> directories = [], sockets = [], git = bare ? ["."] : [];
        // What it leads to is git's to read without a HEAD of its own. That it leads nowhere else is seen to where it is compared.
        if (worktree && Door.NameOf(Door.DirectoryOf(path)) == "worktrees") git.Add("../..");
        foreach (var (name, kind) in entries)
        {
            if (name == ".git") git.Add(name);
            if (inside && Data.Contains(name)) continue;
            var unknown = kind == 0 ? Door.StatusOf(directory, name) : null;
            if (kind == 4 || unknown is { IsDirectory: true }) directories.Add(name);
            if (kind == 12 || unknown is { IsSocket: true }) sockets.Add(name);
        }
        return new(status.Version, rested, [.. directories], [.. git], [.. sockets]);
    }
}
