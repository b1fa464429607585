using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// What git would run in one repository, each thing with a stamp that is another when the file is another or was changed: to compare before
/// and after. Names: <c>config</c>, <c>config.worktree</c>, <c>commondir</c>, <c>hooks/NAME</c>, those of <see cref="GitUnfinished"/>, and the empty one for a file
/// or link in the repository's place.
/// </summary>
internal static class RepositoryStamps
{
    internal const string Hooks = "hooks/";

    /// <summary>Empty if it is gone.</summary>
    internal static Dictionary<string, string> Of(string git)
    {
        var stamps = new Dictionary<string, string>(StringComparer.Ordinal);
        using var parent = Door.LookAt(Door.DirectoryOf(git), out _);
        if (parent is null || Door.StatusOf(parent, Door.NameOf(git)) is not { } status) return stamps;
        if (!status.IsDirectory) stamps[""] = status.Version.ToString();
        using var directory = status.IsDirectory ? Door.LookBeneath(parent, Door.NameOf(git), out _) : null;
        if (directory is null) return stamps;
        foreach (var name in GitNames.Settings)
            if (Door.StatusOf(directory, name) is { } setting) stamps[name] = setting.Version.ToString();
        AddUnfinished(directory, stamps);
        if (Door.StatusOf(directory, "hooks") is not { } hooks) return stamps;
        if (!hooks.IsDirectory) stamps["hooks"] = hooks.Version.ToString();
        else AddHooks(directory, hooks, stamps);
        return stamps;
    }

    /// <summary>Only what was left in the middle: where mounts lie on all else.</summary>
    internal static Dictionary<string, string> OfUnfinished(string git)
    {
        var stamps = new Dictionary<string, string>(StringComparer.Ordinal);
        using var directory = Door.LookAt(git, out _);
        if (directory is not null && Door.StatusOf(directory).IsDirectory) AddUnfinished(directory, stamps);
        return stamps;
    }

    /// <summary>The hooks that git would run, and whatever else is no sample.</summary>
    internal static IReadOnlyList<string> LiveHooks(SafeFileHandle hooks) =>
        [.. Door.NamesIn(hooks).Where(entry => !entry.EndsWith(".sample", StringComparison.Ordinal) || Door.StatusOf(hooks, entry) is not { IsFile: true })];

    private static void AddUnfinished(SafeFileHandle git, Dictionary<string, string> stamps)
    {
        foreach (var name in GitUnfinished.Names)
        {
            var top = name[..name.IndexOf('/')];
            if (Door.StatusOf(git, top) is not { } status) continue;
            if (!status.IsDirectory) stamps[top] = status.Version.ToString();
            using var directory = status.IsDirectory ? Door.LookBeneath(git, top, out _) : null;
            if (directory is not null && Door.StatusOf(directory, Door.NameOf(name)) is { } file) stamps[name] = file.Version.ToString();
        }
    }

    private static void AddHooks(SafeFileHandle directory, FileStatus status, Dictionary<string, string> stamps)
    {
        using var hooks = Door.OpenBeneath(directory, "hooks", OpenFlags.ReadOnly | OpenFlags.Directory, out _);
        // One that its owner may not list was made so: whoever takes things out makes it readable first.
        if (hooks is null) stamps["hooks"] = status.Version.ToString();
        else
            foreach (var entry in LiveHooks(hooks))
                if (Door.StatusOf(hooks, entry) is { } hook) stamps[Hooks + entry] = hook.Version + (hook.IsLink ? Behind(hooks, entry) : "");
    }

    // A hook that is a link is another when what it leads to is.
    private static string Behind(SafeFileHandle hooks, string entry) =>
        Libc.RealPath(ScopePath.Join(Door.PathOf(hooks), entry)) is { } real && Libc.Identify(real, out var status) == 0 ? $" to {status.Version}" : " to nothing";
}
