using System.Globalization;
using System.Text;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// One command's mark, a file of lines: the process, what is to be settled when it is gone, then what was found while that was done, each
/// line on disk before the step that it tells. So a process that dies on the way leaves the next one everything.
/// </summary>
internal sealed class CommandMark(string path)
{
    internal const string AboutWord = "about ";
    private const string ToldWord = "told ", MadeWord = "made ", SettledWord = "settled";

    internal string Path => path;

    internal string Name => System.IO.Path.GetFileName(path);

    internal string FirstLine => Lines()[0];

    /// <summary>What is to be settled; null if nothing is.</summary>
    internal string? About => Lines().FirstOrDefault(line => line.StartsWith(AboutWord, StringComparison.Ordinal))?[AboutWord.Length..];

    /// <summary>What was found, once each.</summary>
    internal IReadOnlyList<string> Told => [.. Lines().Where(line => line.StartsWith(ToldWord, StringComparison.Ordinal)).Select(line => line[ToldWord.Length..]).Distinct()];

    /// <summary>Nothing is left to do but to tell what was found.</summary>
    internal bool IsSettled => Lines().Contains(SettledWord);

    /// <summary>Makes it durable. To be called before the command may begin.</summary>
    internal void Sync()
    {
        Failpoint.Pass(Failpoints.CommandMark);
        using (var file = PrivateFile.OpenToWrite(path))
            if (Libc.Fsync(file) != 0) throw Libc.Failed("fsync " + path);
        PrivateFile.SyncDirectory(System.IO.Path.GetDirectoryName(path)!);
    }

    /// <summary>Adds one finding. A full disk keeps nothing from being settled: the step matters, not the words.</summary>
    internal void Tell(string text)
    {
        try
        {
            Add(ToldWord + text.ReplaceLineEndings(" "));
        }
        catch (IOException)
        {
            // Whoever settles has the words, too, and tells them where it can.
        }
    }

    /// <summary>A directory that whoever settles makes, and that is no finding.</summary>
    /// <exception cref="IOException">It could not be noted.</exception>
    internal void TellMade(ulong device, ulong inode) => Add(Made(device, inode));

    internal bool HasMade(ulong device, ulong inode) => Lines().Contains(Made(device, inode));

    /// <summary>What is left is to tell what was found; if nothing was, the mark goes.</summary>
    internal void Settle()
    {
        if (Told.Count == 0) Remove();
        else Add(SettledWord);
    }

    internal void Remove()
    {
        Failpoint.Pass(Failpoints.CommandRemove);
        File.Delete(path);
    }

    private static string Made(ulong device, ulong inode) => string.Create(CultureInfo.InvariantCulture, $"{MadeWord}{device} {inode}");

    private void Add(string line)
    {
        using var file = PrivateFile.OpenToWrite(path);
        // A line that a crash cut off ends here.
        RandomAccess.Write(file, Encoding.UTF8.GetBytes($"\n{line}\n"), RandomAccess.GetLength(file));
        Failpoint.Pass(Failpoints.CommandFound);
        if (Libc.Fdatasync(file) != 0) throw Libc.Failed("fdatasync " + path);
    }

    private string[] Lines() => (PrivateFile.ReadText(path) ?? throw new FileNotFoundException("no such mark", path)).Split('\n');
}
