using System.Security.Cryptography;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>Brings one ended Pod back: in the same journal, with the same id, and nothing starts by itself.</summary>
internal sealed class PodRestorer(Surroundings s, bool withoutHeld)
{
    /// <exception cref="CommandException">It lives, or its journal does not say who it is.</exception>
    /// <exception cref="LaunchException">Its process says why it cannot be: most often, who holds its paths.</exception>
    internal async Task<RestoredRow> RestoreAsync(KnownPod pod, CancellationToken ct)
    {
        if (pod.IsAlive) throw new CommandException(ExitCode.Refused, $"{pod.Name} is alive; `yoi attach {pod.Name}` follows it");
        if (pod.IsStarting) throw new CommandException(ExitCode.Refused, $"{pod.Name} is being started this moment");
        if (LaunchRecord.Read(pod) is not { } record) throw new CommandException(ExitCode.Refused, $"the journal of {pod.Name} does not say who it is; it cannot be restored");
        if (record.EndedOnPurpose) s.Screen.Remark($"{pod.Name} had ended on purpose: {EntryText.EndText(record.End!.Reason, record.End.By, record.End.Detail)}");
        if (new PodTree(s.Registry, s.Table).LivingAbove(pod) is { } above)
        {
            await AskAsync(above, pod, ct);
            return await RowAsync(pod, record.Scope, [], [], ct);
        }
        var plan = await RestorePlan.ComposeAsync(s, pod, record, withoutHeld, ct);
        using var process = await LaunchAsync(pod, record, plan, ct);
        return await RowAsync(pod, plan.Document.Scope, plan.Document.Restored!.Changes, plan.Differences, ct);
    }

    /// <summary>What it held went back to a living Pod: only that one can lend it again, with none of its own writes under way.</summary>
    private async Task AskAsync(KnownPod above, KnownPod pod, CancellationToken ct)
    {
        await using var client = await PodClient.ConnectAsync(s.Directories.Socket(above.PodId), limit: PodLauncher.LongestStart, ct: ct);
        await client.AskAsync(new Method.Restore(pod.PodId, withoutHeld), ct);
    }

    private async Task<PodProcess> LaunchAsync(KnownPod pod, LaunchRecord record, RestorePlan plan, CancellationToken ct)
    {
        // Nobody above it lives; whoever comes back there knows it by its token.
        var token = plan.Document.Spawner is null ? null : RandomNumberGenerator.GetHexString(32, lowercase: true);
        try
        {
            return (await PodLauncher.StartAsync(plan.Document, plan.Secrets with { SpawnerToken = token }, PodLauncher.LongestStart, ct)).Process;
        }
        catch (LaunchException)
        {
            // It would have recorded the end of its life before itself.
            if (record.End is null) await EndRecord.CompleteAsync(pod, null, [], "human", s.Time, ct);
            throw;
        }
    }

    private async Task<RestoredRow> RowAsync(KnownPod pod, ScopeRules asked, IReadOnlyList<string> changes, IReadOnlyList<string> differences, CancellationToken ct)
    {
        await using var client = await PodClient.ConnectAsync(s.Directories.Socket(pod.PodId), limit: PodLauncher.LongestStart, ct: ct);
        var status = await client.StatusAsync(ct);
        return new RestoredRow(
            pod.Name, pod.PodId, status.Pid, s.Directories.Socket(pod.PodId), Amounts.Name(status.State),
            [.. changes, .. Restoration.Held(asked, status.Scope)], differences, status.Scope, status.Damaged);
    }
}
