using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Control;

/// <summary>
/// What a Pod does first when its journal already has a life in it: calls without a result are closed as "outcome
/// unknown" and never run again, an unfinished run ends as <c>interrupted</c>, and the Pod waits for <c>resume</c>.
/// </summary>
internal static class Recovery
{
    internal static async Task RunAsync(PodLedger ledger, JournalWriter journal)
    {
        var entries = new List<Entry>();
        lock (ledger.Gate)
        {
            entries.AddRange(ledger.OpenCalls.Select(RunWorker.Closed));
            if (ledger.Run is { } run && !ledger.Held)
                entries.Add(new Entry.RunEnded(run, RunEnd.Interrupted, null, "the Pod's process went away in this run", ledger.TurnsOfRun));
        }
        if (entries.Count > 0) await journal.AppendAsync(Durability.Synced, entries);
    }
}
