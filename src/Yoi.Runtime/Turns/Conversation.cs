using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;

namespace Yoi.Runtime.Turns;

/// <summary>
/// The records that the next request is made of. Memory holds them while a run goes on: what was before it is read from the journal's
/// file for its first request. A Pod at rest holds none, however long its history is.
/// </summary>
/// <param name="journal">Path of the journal that this is a fold of.</param>
internal sealed class Conversation(string journal) : IJournalFold
{
    private readonly Lock _gate = new();
    private readonly List<JournalRecord> _run = [];
    private List<JournalRecord>? _before;
    private long? _begin; // Offset of the run's first record; null between runs.

    public void Apply(JournalRecord record)
    {
        lock (_gate)
        {
            if (record.Entry is Entry.RunStart or Entry.RunResumed) Forget_NeedsLock(record.Offset);
            else if (record.Entry is Entry.RunEnded or Entry.RunPaused) Forget_NeedsLock(null);
            if (_begin is not null && RequestBuilder.Uses.Contains(record.Entry.GetType())) _run.Add(record);
        }
    }

    /// <summary>The request of a turn that begins with the record <paramref name="turnStart"/>.</summary>
    /// <exception cref="JournalException">The file cannot be read.</exception>
    internal ModelRequest RequestAt(long turnStart)
    {
        long? begin;
        List<JournalRecord>? before;
        lock (_gate) (begin, before) = (_begin, _before);
        before ??= Read(begin ?? long.MaxValue);
        JournalRecord[] run;
        lock (_gate)
        {
            if (begin is not null && begin == _begin) _before = before;
            run = [.. _run];
        }
        return RequestBuilder.Build(before.Concat(run).TakeWhile(record => record.Seq <= turnStart));
    }

    private void Forget_NeedsLock(long? begin)
    {
        _run.Clear();
        _run.Capacity = 0;
        (_before, _begin) = (null, begin);
    }

    private List<JournalRecord> Read(long to)
    {
        try
        {
            using var file = PrivateFile.OpenToRead(journal) ?? throw new IOException("it is gone");
            using var pass = new JournalPass(file, 0, to, 0, RequestBuilder.Uses);
            List<JournalRecord> records = [];
            while (pass.Next() is { } record) records.Add(record);
            return records;
        }
        catch (IOException e)
        {
            throw new JournalException($"{journal}: what was said before cannot be read: {e.Message}", e);
        }
    }
}
