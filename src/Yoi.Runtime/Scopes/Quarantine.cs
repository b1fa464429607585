using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// Makes inert what a command left under a denied name, and keeps what was in it: it is moved to <c>.yoi/quarantine</c> of the scope root.
/// Commands chose what is looked at here, and others may still run: every step is on handles and follows no link.
/// </summary>
/// <param name="command">The command's name.</param>
/// <param name="mark">Hears each line before what it says is done.</param>
internal sealed class Quarantine(string command, CommandMark mark)
{
    /// <summary>Where it is, in each scope root.</summary>
    internal const string Top = ".yoi";

    private const string Name = "quarantine";
    private const int MostSettings = 1 << 20;

    private readonly List<string> _said = [];

    /// <summary>One line for each thing that was found.</summary>
    internal IReadOnlyList<string> Said => _said;

    internal void Say(string text)
    {
        mark.Tell(text);
        _said.Add(text);
    }

    /// <summary>Takes what is at the name, or in its way, out of it.</summary>
    /// <param name="was">What was there before and stays.</param>
    internal void Take(string root, string path, DeniedNames.Thing? was)
    {
        try
        {
            Settle(root, path, was, new HashSet<string>());
        }
        catch (IOException e)
        {
            Say($"{PathText.Shown(path)} may not be written and was made by the command, and it could not be moved away: {e.Message}. Remove it before anything outside uses it");
        }
    }

    private void Settle(string root, string path, DeniedNames.Thing? was, IReadOnlySet<string> all)
    {
        using var found = Find(root, path);
        if (found is null || found.Thing == was) return; // Moved already, with what it was in.
        var (at, status) = (found.Thing.At, found.Status);
        Unlock(found.Parent);
        var (name, git) = (Door.NameOf(at), at == path && IsGit(found.Parent, Door.DirectoryOf(at)));
        if (git && name == "hooks" && status.IsDirectory) Hooks(root, found, null);
        else if (at == path && status.IsFile && GitUnfinished.Names.FirstOrDefault(one => path.EndsWith("/" + one, StringComparison.Ordinal)) is { } left) Unfinished(root, found, left);
        else if (git && name is "config" or "config.worktree" && status.IsFile) Settings(root, found, name, all);
        else if (git && name == "commondir" && status.IsFile && Leads(found, "../..") && Door.NameOf(Door.DirectoryOf(Door.DirectoryOf(at))) == "worktrees" && IsKnown(Door.DirectoryOf(Door.DirectoryOf(Door.DirectoryOf(at))), all)) return;
        // On the way: a link leads git or an editor to what it points at, a file called .git does the same.
        else if (at == path || status.IsLink || Door.NameOf(at) == ".git")
            Move(root, found.Parent, Door.NameOf(at), at, to => $"{PathText.Shown(at)} may not be written and was made by the command: it was moved to {to}");
    }

    /// <summary>Takes out of a repository what git would run and was not there before.</summary>
    /// <param name="git">Its own directory, or the file that leads there.</param>
    /// <param name="names">What is new or changed in it, as <see cref="RepositoryStamps"/> calls it.</param>
    /// <param name="all">All repositories: a file may lead to one of them.</param>
    internal void Take(string root, string git, IReadOnlySet<string> names, IReadOnlySet<string> all)
    {
        try
        {
            foreach (var name in names.Where(name => name.Length > 0 && !name.StartsWith(RepositoryStamps.Hooks, StringComparison.Ordinal))) Settle(root, ScopePath.Join(git, name), null, all);
            if (!names.Any(name => name.Length == 0 || name.StartsWith(RepositoryStamps.Hooks, StringComparison.Ordinal))) return;
            using var found = Find(root, names.Contains("") ? git : ScopePath.Join(git, "hooks"));
            if (found is null) return;
            if (!names.Contains("")) Hooks(root, found, names);
            else if (!found.Status.IsFile || TargetOf(found, git) is not { } target || !all.Contains(target))
                Move(root, found.Parent, Door.NameOf(git), git, to => $"{PathText.Shown(git)} was made by the command and leads git to a place that is no repository of this scope: it was moved to {to}");
        }
        catch (IOException e)
        {
            Say($"{PathText.Shown(git)} was made or changed by the command, and what git would run there could not be moved away: {e.Message}. Look at it before you use git there");
        }
    }

    private static bool IsGit(SafeFileHandle directory, string path) => Door.NameOf(path) == ".git" || Door.StatusOf(directory, "HEAD") is not null;

    /// <summary>Whether a repository's settings were looked at: what is called <c>.git</c> always is.</summary>
    private static bool IsKnown(string git, IReadOnlySet<string> all) => Door.NameOf(git) == ".git" || all.Contains(git);

    private static bool Leads(Found found, string where) => Text(found, 64)?.TrimEnd('\n') == where;

    /// <summary>Where a file called <c>.git</c> leads, by the letter.</summary>
    private static string? TargetOf(Found found, string git) =>
        Text(found, 4096) is { } text && text.StartsWith("gitdir: ", StringComparison.Ordinal) && text[8..].TrimEnd('\n') is { Length: > 0 } target
            ? ScopePath.Normalize(target[0] == '/' ? target : ScopePath.Join(Door.DirectoryOf(git), target)) : null;

    /// <summary>What a file says; null if it cannot be read or says more.</summary>
    private static string? Text(Found found, int most)
    {
        Unlock(found.Parent, Door.NameOf(found.Thing.At));
        using var opened = Door.OpenBeneath(found.Parent, Door.NameOf(found.Thing.At), OpenFlags.ReadOnly | OpenFlags.NonBlock, out _);
        if (opened is null) return null;
        var bytes = new byte[most + 1];
        var length = RandomAccess.Read(opened, bytes, 0);
        return length > most ? null : PathText.Decode(bytes.AsSpan(0, length));
    }

    /// <summary>A new repository has hooks that are only samples: they stay.</summary>
    /// <param name="names">Which of them; null: all.</param>
    private void Hooks(string root, Found found, IReadOnlySet<string>? names)
    {
        Unlock(found.Parent, "hooks");
        using var hooks = Door.OpenBeneath(found.Parent, "hooks", OpenFlags.ReadOnly | OpenFlags.Directory, out var error) ?? throw new LinuxException("open hooks", error);
        var live = RepositoryStamps.LiveHooks(hooks).Where(entry => names is null || names.Contains(RepositoryStamps.Hooks + entry)).ToList();
        if (live.Count == 0) return;
        Say($"git on the host would run what is in {PathText.Shown(found.Thing.At)}: {string.Join(", ", live.Select(PathText.Shown))} moved to {Top}/{Name}");
        foreach (var entry in live) Move(root, hooks, entry, found.Thing.At, null);
    }

    /// <summary>A new repository has settings: those that git would run something for are taken out.</summary>
    private void Settings(string root, Found found, string name, IReadOnlySet<string> all)
    {
        // A submodule's leads to its files, and those back: both were found without following a link.
        var git = Door.DirectoryOf(found.Thing.At);
        bool IsOurs(string worktree) => all.Contains(ScopePath.Join(ScopePath.Normalize(worktree[0] == '/' ? worktree : ScopePath.Join(git, worktree)), ".git"));
        Unlock(found.Parent, name);
        var (kept, left) = Text(found, MostSettings) is { } text ? GitConfig.Inert(text, IsOurs) : ("", ["more than a mebibyte, or unreadable"]);
        TakeOut(root, found, name, kept, left, "settings that git on the host might run something for");
    }

    /// <summary>A rebase or a cherry-pick that was left in the middle goes on without what it would run.</summary>
    private void Unfinished(string root, Found found, string which)
    {
        Unlock(found.Parent, Door.NameOf(which));
        var (kept, left) = Text(found, MostSettings) is { } text ? GitUnfinished.Inert(which, text) : ("", ["more than a mebibyte, or unreadable"]);
        TakeOut(root, found, Door.NameOf(which), kept, left, "steps for which git on the host would run something when somebody goes on (`git rebase --continue`)");
    }

    private void TakeOut(string root, Found found, string name, string kept, IReadOnlyList<string> left, string what)
    {
        if (left.Count == 0) return;
        Move(root, found.Parent, name, found.Thing.At, to =>
            $"{PathText.Shown(found.Thing.At)} had {what} ({string.Join(", ", left.Take(8).Select(PathText.Shown))}): they were taken out; the whole is in {to}");
        const int fresh = OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive | OpenFlags.CloseOnExec;
        using var file = Libc.TryOpenAt(found.Parent, PathText.Encode(name), fresh | OpenFlags.NoFollow, 0x1a4 /* 0644 */, out var refused) ?? throw new LinuxException("create " + name, refused);
        RandomAccess.Write(file, PathText.Encode(kept).AsSpan()[..^1], 0);
    }

    /// <summary>Out of the way, into the scope root's quarantine: a name is moved, whatever it names.</summary>
    /// <param name="say">What is said of where it goes, before it does.</param>
    private void Move(string root, SafeFileHandle parent, string entry, string path, Func<string, string>? say)
    {
        using var top = Door.LookAt(root, out var error) ?? throw new LinuxException("open " + root, error);
        Unlock(top);
        Unlock(parent, entry);
        var aside = entry;
        if (path == ScopePath.Join(root, Top))
        {
            aside = $"{Top}-of-command-{command}";
            Rename(parent, entry, top, aside);
            parent = top;
        }
        using var yoi = Enter(top, Top);
        using var quarantine = Enter(yoi, Name);
        HideFromGit(quarantine);
        for (var number = 0; ; number++)
        {
            var to = string.Create(CultureInfo.InvariantCulture, $"{command}-{number}-{entry}");
            if (Door.StatusOf(quarantine, to) is not null) continue;
            if (say is not null) Say(say(PathText.Shown(ScopePath.Join(root, $"{Top}/{Name}/{to}"))));
            Failpoint.Pass(Failpoints.QuarantineMove);
            Rename(parent, aside, quarantine, to);
            Failpoint.Pass(Failpoints.QuarantineMoved);
            return;
        }
    }

    /// <summary>What is in the quarantine is for somebody to look at, not to be added with all else.</summary>
    private static void HideFromGit(SafeFileHandle quarantine)
    {
        const int fresh = OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive | OpenFlags.CloseOnExec;
        using var file = Libc.TryOpenAt(quarantine, PathText.Encode(".gitignore"), fresh | OpenFlags.NoFollow, 0x1a4 /* 0644 */, out _); // Null if it is there.
        if (file is not null) RandomAccess.Write(file, "*\n"u8, 0);
    }

    private SafeFileHandle Enter(SafeFileHandle directory, string name)
    {
        if (name == Top) MakeTop(directory);
        else _ = Libc.MakeDirectoryAt(directory, PathText.Encode(name), 0x1c0 /* 0700 */); // It may be there.
        return Door.OpenBeneath(directory, name, OpenFlags.Path | OpenFlags.Directory, out var error) ?? throw new LinuxException("open " + name, error);
    }

    /// <summary>Ours is known before it has its name: if we die, the next one does not take it for the command's.</summary>
    private void MakeTop(SafeFileHandle root)
    {
        if (Door.StatusOf(root, Top) is not null) return;
        var aside = $"{Top}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}";
        if (Libc.MakeDirectoryAt(root, PathText.Encode(aside), 0x1c0) != 0) throw Libc.Failed("mkdir " + aside);
        var status = Door.StatusOf(root, aside) ?? throw new LinuxException("stat " + aside, Errno.NoEnt);
        mark.TellMade(status.Device, status.Inode);
        Rename(root, aside, root, Top);
    }

    /// <summary>A command can take rights from its owner, too; without them nothing could be looked at or moved. Of others' things nothing changes.</summary>
    private static void Unlock(SafeFileHandle parent, string name)
    {
        using var handle = Door.LookBeneath(parent, name, out _); // Null for a link.
        if (handle is not null && Door.StatusOf(handle) is { } status && (status.IsDirectory || status.IsFile)) Unlock(handle);
    }

    internal static void Unlock(SafeFileHandle handle)
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
    internal static Found? Find(string root, string path, bool unlock = false)
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
            if (at == path || !status.IsDirectory) return new(new(at, status.Device, status.Inode, status.Born), status, directory);
            using var above = directory;
            directory = Door.LookBeneath(above, name, out _);
        }
        directory?.Dispose();
        return null;
    }

    internal sealed record Found(DeniedNames.Thing Thing, FileStatus Status, SafeFileHandle Parent) : IDisposable
    {
        public void Dispose() => Parent.Dispose();
    }
}
