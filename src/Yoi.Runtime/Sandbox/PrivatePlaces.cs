using System.Text;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What a Pod's commands have for themselves, in the Pod's own directory: a home, a place for temporary files, their output. Nothing is
/// ever mounted inside a directory that a command may write: what it leaves there cannot lead the next mount astray.
/// </summary>
internal sealed class PrivatePlaces
{
    /// <summary>Where they are mounted.</summary>
    internal const string InsideHome = "/yoi/home", InsideTemp = "/yoi/tmp", InsideOutput = "/yoi/output";

    /// <summary>Where below the temporary files a command leaves its working directory.</summary>
    internal const string WorkingDirectoryFile = ".yoi-cwd";
    private const int MostLinks = 4096;

    private static readonly EnumerationOptions WhatCanBeRead = new() { IgnoreInaccessible = true, AttributesToSkip = 0, MatchType = MatchType.Simple };

    /// <summary>Settings of git that say who and how, not what is run or where one logs in.</summary>
    private static readonly string[] HarmlessGit =
        ["user.name", "user.email", "init.defaultbranch", "core.autocrlf", "core.eol", "core.safecrlf", "core.quotepath", "pull.rebase", "pull.ff", "push.default", "merge.conflictstyle", "rebase.autostash"];

    private readonly bool _mounted;

    private PrivatePlaces(string root, bool mounted) => (Root, _mounted) = (root, mounted);

    internal string Root { get; }
    internal string Home => Root + "/home";
    internal string Temp => Root + "/tmp"; // As CommandMarks.PrivateTemp says, which may not name this room.
    internal string Output => Root + "/output";

    /// <summary>Where commands see them.</summary>
    internal string SeenHome => _mounted ? InsideHome : Home;
    internal string SeenTemp => _mounted ? InsideTemp : Temp;
    internal string SeenOutput => _mounted ? InsideOutput : Output;

    /// <summary>An empty file that nobody may read: what a denied file looks like.</summary>
    internal string MaskFile => Root + "/mask";

    /// <summary>Those of a Pod, made or not.</summary>
    internal static PrivatePlaces Of(string podDirectory, string level) => new(podDirectory + "/sandbox", mounted: level == SandboxLevel.Kernel);

    /// <summary>Makes them, whole: before the last step nothing runs there, and what was cut off half way is made anew.</summary>
    /// <param name="podDirectory">The Pod's durable directory.</param>
    /// <param name="home">The user's home, from which harmless settings are taken.</param>
    internal static PrivatePlaces Make(string podDirectory, string level, PlatformSet platform, string home)
    {
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var places = Of(podDirectory, level);
        if (File.Exists(places.MaskFile)) return places;
        if (Directory.Exists(places.Root)) Directory.Delete(places.Root, recursive: true);
        foreach (var path in new[] { places.Root, places.Home, places.Temp, places.Output }) Directory.CreateDirectory(path, owner);
        foreach (var name in platform.HomeNames)
        {
            var there = ScopePath.Join(home, name);
            if (File.Exists(there))
            {
                Directory.CreateDirectory(Door.DirectoryOf(places.Home + "/" + name), owner);
                File.CreateSymbolicLink(places.Home + "/" + name, there);
                continue;
            }
            // A directory of its own with a link for each thing that is there: tools find what the user has, and add their own beside it.
            var own = Directory.CreateDirectory(places.Home + "/" + name, owner).FullName;
            foreach (var path in Directory.EnumerateFileSystemEntries(there, "*", WhatCanBeRead).Take(MostLinks)) File.CreateSymbolicLink(own + "/" + Path.GetFileName(path), path);
        }
        File.WriteAllText(places.Home + "/.gitconfig", GitSettings(home + "/.gitconfig"));
        // Says that NuGet's settings are of today: to bring older ones up it takes a lock in /tmp, which level partial has not.
        File.Create(Directory.CreateDirectory(places.Home + "/.local/share/NuGet/Migrations", owner).FullName + "/1").Dispose();
        new FileStream(places.MaskFile, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.None }).Dispose();
        return places;
    }

    /// <summary>
    /// Where a command was when it ended; null if it left nothing that can be one. The file is the command's to write: it is opened
    /// without following a link or waiting, and what it says is only a wish.
    /// </summary>
    internal string? TakeWorkingDirectory()
    {
        var path = Temp + "/" + WorkingDirectoryFile;
        using var file = Libc.Open(path, OpenFlags.ReadOnly | OpenFlags.NoFollow | OpenFlags.NonBlock | OpenFlags.CloseOnExec, 0);
        if (file.IsInvalid) return null;
        _ = Libc.Unlink(path);
        if (!Libc.Identify(file).IsFile) return null;
        Span<byte> bytes = stackalloc byte[4096];
        var text = PathText.Decode(bytes[..RandomAccess.Read(file, bytes, 0)]).TrimEnd('\n');
        return ScopePath.Problem(text) is null ? text : null;
    }

    /// <summary>A file for a command's output that no other command has, nor one of an earlier process of this Pod.</summary>
    internal string NewOutput(string name, Func<int> next)
    {
        while (true)
        {
            var path = $"{Output}/{next()}-{name}.log";
            if (!Path.Exists(path)) return path;
        }
    }

    /// <summary>Removes the oldest outputs of commands until those that stay take less, but none that is being written: that would free nothing.</summary>
    internal void KeepOutputsBelow(long bytes, IReadOnlyCollection<string> written)
    {
        if (!Directory.Exists(Output)) return;
        foreach (var file in new DirectoryInfo(Output).GetFiles().Where(file => file.Exists).OrderByDescending(file => file.LastWriteTimeUtc).ThenByDescending(file => file.Name, StringComparer.Ordinal))
        {
            bytes -= file.Length;
            if (bytes < 0 && !written.Contains(file.FullName)) file.Delete();
        }
    }

    /// <summary>Removes all of it. Nothing of the Pod runs any more.</summary>
    internal static void Remove(string podDirectory)
    {
        try
        {
            DeepTree.Remove(podDirectory + "/sandbox");
        }
        catch (IOException)
        {
            // What is left is listed by `yoi gc`, which says why it cannot be removed.
        }
    }

    private static string GitSettings(string file)
    {
        // Files belong to the user inside as outside, but for those of other users, which show as nobody's.
        var text = new StringBuilder("[safe]\n\tdirectory = *\n");
        foreach (var (section, key, value) in GitConfig.Read(TextOf(file)))
            if (HarmlessGit.Contains($"{section}.{key}".ToLowerInvariant())) text.Append($"[{section}]\n\t{key} = {value}\n");
        return text.ToString();
    }

    private static string TextOf(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllText(file) : "";
        }
        catch (UnauthorizedAccessException)
        {
            return ""; // Not the user's to read: git would not, either.
        }
    }
}
