using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>Opening a journal to write it: replay of what is there, the tail's repair, and the report of it.</summary>
internal static class JournalOpening
{
    /// <exception cref="JournalException">It is of a newer version.</exception>
    /// <exception cref="IOException">It cannot be read or repaired.</exception>
    internal static (JournalAppender Appender, JournalHealth Found) Replay(
        string path, JournalFile file, TimeProvider time, IReadOnlyList<IJournalFold> folds, JournalTail tail)
    {
        void Apply(JournalRecord record)
        {
            foreach (var fold in folds) fold.Apply(record);
            tail.Publish(record);
        }

        using var pass = new JournalPass(file.Handle, 0, file.Length, 0);
        var reported = 0;
        while (pass.Next() is { } record)
        {
            RefuseNewer(path, record);
            if (record.Entry is Entry.Repaired before) reported = before.DamagedLines;
            Apply(record);
        }
        var found = pass.Health;
        if (found.UnfinishedBytes > 0) file.CutTo(pass.End);
        if (!file.IsNew) file.Sync(); // What a process wrote that is gone need not be on disk; from here on others act on it.
        // A damaged line at the end was a record, too: its seq is not given to another.
        var appender = new JournalAppender(path, file, time, pass.LastSeq + pass.RecordsLostAtEnd);
        var mark = appender.Mark;
        if (file.Length > 0 && (found.UnfinishedBytes > 0 || found.DamagedLines > reported))
        {
            var report = appender.Append([new Entry.Repaired(found.UnfinishedBytes, found.DamagedLines)]);
            appender.SyncOrCut(mark);
            foreach (var record in report) Apply(record);
        }
        return (appender, found);
    }

    private static void RefuseNewer(string path, JournalRecord record)
    {
        var version = record.Entry switch
        {
            Entry.PodCreated created => created.Version,
            Entry.Unknown { Kind: "pod_created" } unknown when unknown.Data.ValueKind == JsonValueKind.Object
                && unknown.Data.TryGetProperty("version", out var value) && value.TryGetInt32(out var number) => number,
            _ => 0,
        };
        if (version > JournalCodec.Version)
        {
            throw new JournalException(
                $"{path}: written in version {version} of the journal's format; this build writes {JournalCodec.Version}. Use the yoi that wrote it, or a later one");
        }
    }
}
