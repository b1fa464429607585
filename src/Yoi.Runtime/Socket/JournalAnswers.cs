using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>Answers that come from the journal's file. They block on the disk: call them off the connection's loop.</summary>
internal static class JournalAnswers
{
    internal const int LargestPage = 4 << 20;

    /// <exception cref="RefusedException">The cursor is no place in a journal.</exception>
    internal static ReplyResult.Page Page(ServedPod pod, Method.Read read)
    {
        if (read.SinceSeq < 0 || read.MaxBytes < 1)
            throw new RefusedException(ErrorCode.InvalidRequest, "read: since_seq is 0 or the seq of an entry that was read; max_bytes is at least 1");
        var after = new Cursor(read.SinceSeq, read.SinceSeq == 0 ? 0 : read.SinceOffset);
        RequireJournal(pod);
        var head = pod.Journal.HeadSeq;
        // What is in the file and not published yet may still be taken back.
        var records = new JournalReader(pod.JournalPath).ReadAfter(after, out _, Math.Min(read.MaxBytes, LargestPage)).TakeWhile(record => record.Seq <= head).ToList();
        var end = records.Count > 0 ? records[^1].End : after;
        return new ReplyResult.Page([.. records.Select(JournalCodec.ToEvent)], end.Seq, end.Offset, end.Seq < head, pod.Status().State);
    }

    // A Pod has a journal: one that was taken away is never "nothing was said".
    private static void RequireJournal(ServedPod pod)
    {
        if (!File.Exists(pod.JournalPath)) throw new IOException($"{pod.JournalPath} is gone");
    }

    internal static ReplyResult.History History(ServedPod pod, bool forBase)
    {
        RequireJournal(pod);
        var greeting = pod.Greeting();
        return new ReplyResult.History(BaseHistory.Read(pod.JournalPath, forBase), forBase ? greeting with { SandboxLevel = null } : greeting);
    }
}
