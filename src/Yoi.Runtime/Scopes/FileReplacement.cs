using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// One write through the door: all of it relative to one handle on the directory, from resolving to rename. Beside the file if the
/// scope allows a second name there (then a reader sees the old or the new file and nothing between), else in place.
/// </summary>
internal static class FileReplacement
{
    private const int ForListing = OpenFlags.ReadOnly | OpenFlags.CloseOnExec;

    /// <summary>As an ordinary write does, it drops set-user-id and set-group-id.</summary>
    private const uint KeptMode = 0x3ff;

    /// <summary>What is true when a step has failed behind which nothing can be taken back.</summary>
    private const string Written = "it has its new content, which a power failure may still take back",
        InPlace = "it had to be written in place, so what it holds now is not certain; read it again";

    /// <param name="mark">Where the spare file is noted while it is there; null: nowhere.</param>
    internal static WrittenFile Run(ScopePolicy policy, string asked, Func<OpenedFile?, ReadOnlyMemory<byte>> change, SpareMark? mark, CancellationToken ct)
    {
        for (var tries = 0; tries < Door.MostTries; tries++)
        {
            var place = PathWalk.Follow(policy, asked);
            Refusal.Require(policy, place.Path, Access.Write, asked);
            Refusal.RequireNoGit(policy, place.Path, asked);
            if (!place.Exists && !place.Creatable) throw Door.Failed("cannot write", asked, place.Error);
            if (place is { Exists: false, AsDirectory: true }) throw new PathException($"{PathText.Shown(asked)} ends as a directory does; name a file");
            var from = place.Exists ? Door.DirectoryOf(place.Path) : place.Existing;
            using var directory = OpenParent(policy, place.Path, from, asked);
            if (directory is null) continue;
            if (!place.Exists) return Create(policy, directory, place, asked, change(null), mark, ct);
            using var existing = OpenExisting(directory, place.Path, asked);
            if (existing is not null) return Replace(policy, directory, place.Path, existing, asked, change(existing), mark, ct);
        }
        throw new PathException($"{PathText.Shown(asked)} was moved again and again while it was being opened");
    }

    /// <summary>The directory, opened beneath the root that contains the file; null if it is no longer where it was.</summary>
    private static SafeFileHandle? OpenParent(ScopePolicy policy, string file, string path, string asked)
    {
        var root = policy.Rules.Allow.Select(rule => rule.Target).Where(target => ScopePath.IsAtOrBelow(file, target)).MaxBy(target => target.Length)!;
        var top = ScopePath.IsAtOrBelow(path, root) ? root : Door.DirectoryOf(root);
        // A root that does not exist yet is made from the nearest directory above it.
        if (!ScopePath.IsAtOrBelow(path, top)) top = path;
        using var from = Door.LookAt(top, out var error);
        var directory = from is null ? null : Door.OpenBeneath(from, Door.Below(top, path), ForListing | OpenFlags.Directory, out error);
        if (directory is null) return error is Errno.NoEnt or Errno.NotDir or Errno.Loop or Errno.XDev ? null : throw Door.Failed("cannot write", asked, error);
        if (Door.IsProcess(directory)) throw Refusal.Process(policy, asked);
        if (Door.PathOf(directory) == path) return directory;
        directory.Dispose();
        return null;
    }

    private static OpenedFile? OpenExisting(SafeFileHandle directory, string path, string asked)
    {
        using var handle = Door.LookBeneath(directory, Door.NameOf(path), out _);
        return handle is null ? null : ScopedFiles.Read(handle, path, asked);
    }

    private static WrittenFile Create(
        ScopePolicy policy, SafeFileHandle directory, Place place, string asked, ReadOnlyMemory<byte> content, SpareMark? mark, CancellationToken ct)
    {
        var names = Door.Below(place.Existing, place.Path).Split('/');
        var made = new List<SafeFileHandle>();
        try
        {
            var here = directory;
            var path = place.Existing;
            foreach (var name in names[..^1])
            {
                path = ScopePath.Join(path, name);
                Refusal.Require(policy, path, Access.Write, asked);
                if (Libc.MakeDirectoryAt(here, PathText.Encode(name), 0x1ff) < 0 && LastError() is not Errno.Exist and var error) throw Door.Failed("cannot make the directory", path, error);
                Settle(here, path, "it is there, and nothing was written in it");
                here = Door.OpenBeneath(here, name, ForListing | OpenFlags.Directory, out error) ?? throw Door.Failed("cannot open the directory", path, error);
                made.Add(here);
            }
            var spare = SpareFile.NewName();
            var inPlace = policy.AccessAt(ScopePath.Join(path, spare)) != Access.Write;
            if (inPlace) WriteNew(here, names[^1], place.Path, content);
            else PutBeside(here, spare, names[^1], place.Path, null, content, mark, ct);
            Settle(here, place.Path, Written);
            return new(place.Path, Created: true, inPlace);
        }
        finally
        {
            made.ForEach(handle => handle.Dispose());
        }
    }

    private static WrittenFile Replace(
        ScopePolicy policy, SafeFileHandle directory, string path, OpenedFile existing, string asked, ReadOnlyMemory<byte> content, SpareMark? mark, CancellationToken ct)
    {
        var before = Door.StatusOf(existing.Handle);
        var spare = SpareFile.NewName();
        var inPlace = policy.AccessAt(ScopePath.Join(Door.DirectoryOf(path), spare)) != Access.Write;
        if (!inPlace) inPlace = !PutBeside(directory, spare, Door.NameOf(path), path, before, content, mark, ct);
        if (inPlace)
        {
            const int flags = OpenFlags.WriteOnly | OpenFlags.NonBlock | OpenFlags.NoTerminal;
            using var file = Door.OpenBeneath(directory, Door.NameOf(path), flags, out var error) ?? throw Door.Failed("cannot write", asked, error);
            if (!Door.StatusOf(file).IsUnchanged(before)) throw Changed(path);
            if (before.Links > 1) throw new PathException($"{PathText.Shown(path)} has other names (hard links), which may lie outside the scope, and cannot be replaced under this name alone; it is not written");
            Fill(file, content, path, InPlace);
        }
        Settle(directory, path, Written);
        return new(path, Created: false, inPlace);
    }

    /// <summary>Writes a spare file and renames it over the name. False, with nothing done, if the owner cannot be kept.</summary>
    private static bool PutBeside(
        SafeFileHandle directory, string spare, string name, string path, FileStatus? before, ReadOnlyMemory<byte> content, SpareMark? mark, CancellationToken ct)
    {
        var renamed = false;
        using var marked = mark?.Put(ScopePath.Join(Door.DirectoryOf(path), spare));
        using var file = SpareFile.Make(directory, spare, path, before is null ? 0x1b6u : 0x180u);
        try
        {
            if (before is { } old)
            {
                var mine = Door.StatusOf(file);
                if ((mine.Owner != old.Owner || mine.Group != old.Group) && Libc.ChangeOwner(file, old.Owner, old.Group) < 0)
                    return old.Links == 1 ? false : throw new PathException($"{PathText.Shown(path)} belongs to another user and has other names (hard links); it is not written");
                if (Libc.Fchmod(file, old.Mode & KeptMode) < 0) throw Door.Failed("cannot set the mode of", path, LastError());
            }
            Fill(file, content, path, "nothing was changed");
            Pass(path);
            ct.ThrowIfCancellationRequested();
            if (before is null) SpareFile.PutWhereNothingIs(directory, spare, name, path);
            else
            {
                if (Door.StatusOf(directory, name) is not { } now || !now.IsUnchanged(before.Value)) throw Changed(path);
                if (Libc.RenameAt(directory, PathText.Encode(spare), directory, PathText.Encode(name)) < 0) throw Door.Failed("cannot write", path, LastError());
            }
            SpareFile.Release(file);
            return renamed = true;
        }
        finally
        {
            if (!renamed) Libc.UnlinkAt(directory, PathText.Encode(spare), 0);
        }
    }

    /// <summary>A new file of a rule that allows this one name only.</summary>
    private static void WriteNew(SafeFileHandle directory, string name, string path, ReadOnlyMemory<byte> content)
    {
        using var file = Make(directory, name, path, 0x1b6);
        Fill(file, content, path, InPlace);
    }

    internal static SafeFileHandle Make(SafeFileHandle directory, string name, string path, uint mode)
    {
        const int flags = OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive | OpenFlags.CloseOnExec;
        return Libc.TryOpenAt(directory, PathText.Encode(name), flags | OpenFlags.NoFollow, mode, out var error)
            ?? throw Door.Failed("cannot write", path, error);
    }

    /// <param name="failed">What holds of the file if this fails.</param>
    private static void Fill(SafeFileHandle file, ReadOnlyMemory<byte> content, string path, string failed)
    {
        try
        {
            RandomAccess.Write(file, content.Span, 0);
            RandomAccess.SetLength(file, content.Length);
        }
        catch (IOException e)
        {
            throw new PathException($"cannot write {PathText.Shown(path)}: {e.Message}; {failed}");
        }
        try
        {
            Failpoint.Pass(Failpoints.FileSync);
            if (Libc.Fsync(file) < 0) throw new LinuxException("fsync", LastError());
        }
        catch (LinuxException e)
        {
            throw NotDurable(path, e.Errno, failed);
        }
    }

    /// <param name="failed">What holds of the file or directory at this path if this fails.</param>
    private static void Settle(SafeFileHandle directory, string path, string failed)
    {
        try
        {
            Failpoint.Pass(Failpoints.FileDirectorySync);
            if (Libc.Fsync(directory) < 0 && LastError() is not Errno.Inval and var error) throw new LinuxException("fsync", error);
        }
        catch (LinuxException e)
        {
            throw NotDurable(path, e.Errno, failed);
        }
    }

    private static PathException NotDurable(string path, int error, string failed) =>
        new(string.Create(CultureInfo.InvariantCulture, $"cannot make durable {PathText.Shown(path)}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}); {failed}"));

    private static void Pass(string path)
    {
        try
        {
            Failpoint.Pass(Failpoints.FileBeforeRename);
        }
        catch (LinuxException e)
        {
            throw Door.Failed("cannot write", path, e.Errno);
        }
    }

    internal static PathException Changed(string path) => new($"{PathText.Shown(path)} was changed by somebody else meanwhile; nothing was written. Read it again.");

    private static int LastError() => Marshal.GetLastPInvokeError();
}
