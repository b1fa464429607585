using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models.Wire;
using Yoi.Runtime.Scopes;

namespace Yoi.Shared.Invariants;

/// <summary>Something that must never be, and was.</summary>
/// <param name="Invariant">Which of the invariants: a short name, the same in docs/reliability.md.</param>
internal sealed record Violation(string Invariant, string What)
{
    public override string ToString() => $"[{Invariant}] {What}";
}

/// <summary>Input that a client was told is accepted.</summary>
internal sealed record Acknowledged(string PodId, long Seq, string Text);

/// <summary>A request as the model server got it.</summary>
/// <param name="Pod">Name of the Pod that sent it.</param>
internal sealed record SentRequest(string Pod, byte[] Body);

/// <summary>A Pod's journal, read from its file alone.</summary>
/// <param name="IsAlive">Its life-lock is held.</param>
internal sealed record PodJournal(string Name, string PodId, string Directory, IReadOnlyList<JournalRecord> Records, JournalHealth Health, bool IsAlive)
{
    internal Entry.PodCreated? Created => Records.Select(record => record.Entry).OfType<Entry.PodCreated>().FirstOrDefault();

    /// <summary>The recorded end, unless the Pod was brought back behind it.</summary>
    internal Entry.PodEnded? End => Records.Select(record => record.Entry).LastOrDefault(entry => entry is Entry.PodEnded or Entry.ProcessStarted) as Entry.PodEnded;

    /// <summary>How many processes have served it.</summary>
    internal int Processes => Records.Count(record => record.Entry is Entry.ProcessStarted);

    public override string ToString() => $"{Name} ({PodId[^6..]})";
}

/// <summary>
/// All that is known of a root when it is judged: what its files say now, and what was written down while it worked.
/// </summary>
/// <param name="Tables">Versions of the scope table in the order in which a reader without a lock saw them.</param>
/// <param name="Requests">What the model server received.</param>
/// <param name="Wire">How requests are written; null if none are compared.</param>
internal sealed record Evidence(
    YoiDirectories Directories, IReadOnlyList<TableDocument> Tables, IReadOnlyList<Acknowledged> Inputs, IReadOnlyList<SentRequest> Requests, IWire? Wire)
{
    internal static Evidence Of(YoiDirectories directories) => new(directories, [], [], [], null);

    /// <summary>The journals of all Pods of the root, by id, oldest first.</summary>
    internal IReadOnlyList<PodJournal> Journals()
    {
        if (!Directory.Exists(Directories.Pods)) return [];
        return [.. Directory.GetDirectories(Directories.Pods)
            .Select(path => (Path: path, Words: Path.GetFileName(path).Split('.')))
            .Where(pod => pod.Words.Length == 2)
            .OrderBy(pod => pod.Words[1], StringComparer.Ordinal)
            .Select(pod => new PodJournal(
                pod.Words[0], pod.Words[1], pod.Path, new JournalReader($"{pod.Path}/{PodFiles.Journal}").ReadAfter(Cursor.Start, out var health), health, PodLock.IsAlive(pod.Path)))];
    }

    /// <summary>The table as it is; null if there is none.</summary>
    internal TableDocument? Table()
    {
        using var file = new TableFile(Directories);
        return file.Read();
    }

    internal static string Text(byte[] body) => Encoding.UTF8.GetString(body);
}
