using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What a mask cannot do. A mask lies on what is there: a denied name that is not there can be made by a command, and what is there can be
/// replaced from outside. Both are seen by comparing before and after. What appeared is made inert and reported; what was in it is kept.
/// Commands chose what is looked at here, and others may still run: every step is on handles and follows no link.
/// </summary>
internal sealed class DeniedNames
{
    private const string Yoi = ".yoi", Quarantine = "quarantine";

    private readonly IReadOnlyList<Watched> _watched;

    private DeniedNames(IReadOnlyList<Watched> watched) => _watched = watched;

    /// <param name="Root">The writable scope root that holds it.</param>
    /// <param name="Covered">True if a mount lies on it: the command cannot change it.</param>
    /// <param name="Was">What was at the name, or what stood in its way.</param>
    private sealed record Watched(string Root, string Path, bool Covered, Thing? Was);

    /// <param name="At">The name itself, or the link or file on the way to it.</param>
    private readonly record struct Thing(string At, ulong Device, ulong Inode);

    /// <summary>To be called before the command may begin.</summary>
    internal static DeniedNames Look(ScopePolicy policy, SandboxView view)
    {
        var covered = view.Places.Select(place => place.Path).ToHashSet(StringComparer.Ordinal);
        var watched = new List<Watched>();
        foreach (var path in policy.Rules.Deny.Select(deny => deny.Target).Concat(view.Absent).Distinct())
        {
            var root = policy.Rules.Allow.Where(rule => rule.Permission == Permission.Write && ScopePath.IsAtOrBelow(path, rule.Target)).Select(rule => rule.Target).MinBy(target => target.Length);
            if (root is null || root == path) continue;
            using var found = Find(root, path);
            watched.Add(new(root, path, covered.Contains(path), found?.Thing));
        }
        return new(watched);
    }

    /// <summary>To be called when the command's tree is gone. One line for each thing that was found, for model and human.</summary>
    internal IReadOnlyList<string> Check(string name)
    {
        var reports = new List<string>();
        var appeared = new List<Watched>();
        foreach (var one in _watched)
        {
            using var found = Find(one.Root, one.Path, unlock: true);
            if (found?.Thing == one.Was) continue;
            if (one.Covered) reports.Add($"{one.Path} was {(found is null ? "removed" : "replaced")} from outside while the command ran; look at it before you trust what is there");
            else if (found is not null) appeared.Add(one);
        }
        // What lies where the quarantine will be is moved first; the quarantine that we make is no find.
        foreach (var one in appeared.OrderByDescending(found => ScopePath.IsAtOrBelow(found.Path, ScopePath.Join(found.Root, Yoi))))
        {
            try
            {
                if (Settle(one, name) is { } report) reports.Add(report);
            }
            catch (IOException e)
            {
                reports.Add($"{one.Path} may not be written and was made by the command, and it could not be moved away: {e.Message}. Remove it before anything outside uses it");
            }
        }
        return reports;
    }

    private static string? Settle(Watched one, string name)
    {
        using var found = Find(one.Root, one.Path);
        if (found is null || found.Thing == one.Was) return null; // Moved already, with what it was in.
        var (at, status) = (found.Thing.At, found.Status);
        Unlock(found.Parent);
        if (at == one.Path && at.EndsWith("/.git/hooks", StringComparison.Ordinal) && status.IsDirectory) return Hooks(one.Root, found, name);
        if (at == one.Path && at.EndsWith("/.git/config", StringComparison.Ordinal) && status.IsFile) return Settings(one.Root, found, name);
        // On the way: a link leads git or an editor to what it points at, a file called .git does the same.
        if (at != one.Path && !status.IsLink && Door.NameOf(at) != ".git") return null;
        return $"{at} may not be written and was made by the command: it was moved to {Move(one.Root, found.Parent, Door.NameOf(at), at, name)}";
    }

    /// <summary>A new repository has hooks that are only samples: they stay.</summary>
    private static string? Hooks(string root, Found found, string name)
    {
        Unlock(found.Parent, "hooks");
        using var hooks = Door.OpenBeneath(found.Parent, "hooks", OpenFlags.ReadOnly | OpenFlags.Directory, out var error) ?? throw new LinuxException("open hooks", error);
        var moved = new List<string>();
        foreach (var entry in Directory.EnumerateFileSystemEntries(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{hooks.DangerousGetHandle()}")).Select(Door.NameOf).ToList())
        {
            if (entry.EndsWith(".sample", StringComparison.Ordinal) && Door.StatusOf(hooks, entry) is { IsFile: true }) continue;
            moved.Add(entry);
            Move(root, hooks, entry, found.Thing.At, name);
        }
        return moved.Count == 0 ? null : $"git on the host would run what is in {found.Thing.At}: {string.Join(", ", moved)} moved to {Yoi}/{Quarantine}";
    }

    /// <summary>A new repository has settings: those that git would run something for are taken out.</summary>
    private static string? Settings(string root, Found found, string name)
    {
        Unlock(found.Parent, "config");
        var bytes = new byte[1 << 20];
        int length;
        using (var opened = Door.OpenBeneath(found.Parent, "config", OpenFlags.ReadOnly | OpenFlags.NonBlock, out var error) ?? throw new LinuxException("open config", error))
            length = RandomAccess.Read(opened, bytes, 0);
        var (kept, left) = GitConfig.Inert(PathText.Decode(bytes.AsSpan(0, length)));
        if (length == bytes.Length) (kept, left) = ("", ["more than a mebibyte"]);
        if (left.Count == 0) return null;
        var moved = Move(root, found.Parent, "config", found.Thing.At, name);
        const int fresh = OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive | OpenFlags.CloseOnExec;
        using var file = Libc.TryOpenAt(found.Parent, "config\0"u8, fresh | OpenFlags.NoFollow, 0x1a4 /* 0644 */, out var refused) ?? throw new LinuxException("create config", refused);
        RandomAccess.Write(file, PathText.Encode(kept).AsSpan()[..^1], 0);
        return $"{found.Thing.At} had settings that git on the host might run something for ({string.Join(", ", left.Take(8))}): they were taken out; the whole is in {moved}";
    }

    /// <summary>Out of the way, into the scope root's quarantine: a name is moved, whatever it names.</summary>
    private static string Move(string root, SafeFileHandle parent, string entry, string path, string name)
    {
        using var top = Door.LookAt(root, out var error) ?? throw new LinuxException("open " + root, error);
        Unlock(top);
        Unlock(parent, entry);
        var aside = entry;
        if (path == ScopePath.Join(root, Yoi))
        {
            aside = $"{Yoi}-of-command-{name}";
            Rename(parent, entry, top, aside);
            parent = top;
        }
        using var yoi = Enter(top, Yoi);
        using var quarantine = Enter(yoi, Quarantine);
        for (var number = 0; ; number++)
        {
            var to = string.Create(CultureInfo.InvariantCulture, $"{name}-{number}-{entry}");
            if (Door.StatusOf(quarantine, to) is not null) continue;
            Rename(parent, aside, quarantine, to);
            return ScopePath.Join(root, $"{Yoi}/{Quarantine}/{to}");
        }
    }

    private static SafeFileHandle Enter(SafeFileHandle directory, string name)
    {
        _ = Libc.MakeDirectoryAt(directory, PathText.Encode(name), 0x1c0 /* 0700 */); // It may be there.
        return Door.OpenBeneath(directory, name, OpenFlags.Path | OpenFlags.Directory, out var error) ?? throw new LinuxException("open " + name, error);
    }

    /// <summary>A command can take rights from its owner, too; without them nothing could be looked at or moved. Of others' things nothing changes.</summary>
    private static void Unlock(SafeFileHandle parent, string name)
    {
        using var handle = Door.LookBeneath(parent, name, out _); // Null for a link.
        if (handle is not null && Door.StatusOf(handle) is { } status && (status.IsDirectory || status.IsFile)) Unlock(handle);
    }

    private static void Unlock(SafeFileHandle handle)
    {
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var status = Door.StatusOf(handle);
        var missing = status.IsDirectory ? owner : UnixFileMode.UserRead;
        var mode = (UnixFileMode)(status.Mode & 0xfff);
        if ((mode & missing) == missing) return;
        try
        {
            File.SetUnixFileMode(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{handle.DangerousGetHandle()}"), mode | missing);
        }
        catch (UnauthorizedAccessException)
        {
            // What needs the right fails next, and is reported.
        }
    }

    private static void Rename(SafeFileHandle from, string name, SafeFileHandle to, string newName)
    {
        if (Libc.RenameAt(from, PathText.Encode(name), to, PathText.Encode(newName)) != 0) throw Libc.Failed("rename " + name);
    }

    /// <summary>What is at the name, or the first thing on the way to it that is no directory; null if it is not there.</summary>
    /// <param name="unlock">Directories on the way that cannot be entered any more are made so that they can.</param>
    private static Found? Find(string root, string path, bool unlock = false)
    {
        var directory = Door.LookAt(root, out _);
        var at = root;
        foreach (var name in Door.Below(root, path).Split('/'))
        {
            if (directory is null) return null;
            at = ScopePath.Join(at, name);
            if (unlock && (Door.StatusOf(directory).Mode & 0x40 /* 0100 */) == 0) Unlock(directory);
            if (Door.StatusOf(directory, name) is not { } status)
            {
                directory.Dispose();
                return null;
            }
            if (at == path || !status.IsDirectory) return new(new(at, status.Device, status.Inode), status, directory);
            using var above = directory;
            directory = Door.LookBeneath(above, name, out _);
        }
        directory?.Dispose();
        return null;
    }

    private sealed record Found(Thing Thing, PathStatus Status, SafeFileHandle Parent) : IDisposable
    {
        public void Dispose() => Parent.Dispose();
    }
}
