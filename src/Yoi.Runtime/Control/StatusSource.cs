using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Control;

/// <summary>Puts a Pod's status together from what is in memory; waits for nothing.</summary>
/// <param name="scope">The scope now and what is lent out.</param>
/// <param name="activity">What runs now: <c>tool:NAME</c>, or null.</param>
internal sealed class StatusSource(
    PodLedger ledger, JournalWriter journal, NewsDesk news, Func<(ScopeRules Rules, IReadOnlyList<LentRules> Lent)> scope, Func<string?> activity)
{
    /// <param name="head">The entry up to which <paramref name="state"/> is true.</param>
    /// <param name="trouble">What stands in the way (a full disk, say); shown instead of what is waited for.</param>
    internal PodStatus Make(PodState state, long head, string? trouble)
    {
        var (rules, lent) = scope();
        var waitingFor = trouble ?? (state == PodState.Running ? activity() ?? "model" : null);
        lock (ledger.Gate)
        {
            var created = ledger.Created ?? throw new InvalidOperationException("a Pod answers only after its first entry");
            return new PodStatus(
                created.PodId, created.Name, state, Environment.ProcessId, created.Cwd, created.Model.Alias ?? created.Model.Provider, created.Model.Model,
                ledger.SandboxLevel, rules, lent, created.Spawner, ledger.Children, waitingFor, journal.LastTime, head,
                ledger.Totals, ledger.QueuedInputs, news.Untold, journal.Found.Words);
        }
    }
}
