using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi;

/// <summary>A Pod that the command line started.</summary>
internal sealed record StartedPod(KnownPod Pod, LaunchedPod Process, LaunchPlan Plan);

/// <summary>Starts root Pods. A generated name that another start took in the same moment is replaced by the next.</summary>
internal static class RootLauncher
{
    /// <summary>As many may start in one directory at the same moment.</summary>
    private const int MostTries = 100;

    /// <summary>Gives up at a signal.</summary>
    /// <returns>Null if one came first: then nothing of the Pod is left.</returns>
    internal static async Task<StartedPod?> StartAsync(Surroundings s, LaunchWishes wishes, Interrupts interrupts, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var signal = interrupts.After(0);
        var start = StartAsync(s, wishes, limit.Token);
        if (await Task.WhenAny(start, signal) == signal) await limit.CancelAsync();
        try
        {
            return await start;
        }
        catch (OperationCanceledException) when (signal.IsCompleted)
        {
            return null;
        }
    }

    internal static async Task<StartedPod> StartAsync(Surroundings s, LaunchWishes wishes, CancellationToken ct)
    {
        for (var tries = 1; ; tries++)
        {
            var plan = await LaunchPlan.ComposeAsync(s, wishes, ct);
            try
            {
                if (tries == 1)
                    foreach (var warning in plan.Warnings) s.Screen.Warn(warning);
                var process = await PodLauncher.StartAsync(plan.Document, plan.Secrets, PodLauncher.LongestStart, ct);
                var (name, id) = (plan.Document.Name, plan.Document.PodId);
                return new StartedPod(new KnownPod(name, id, s.Directories.Pod(name, id)), process, plan);
            }
            catch (LaunchException)
            {
                await ForgetAsync(s, plan.Document);
                // A generated name that another has by now is composed again: it counts as taken.
                if (wishes.Name is not null || tries == MostTries || (s.Registry.Newest(plan.Document.Name)?.PodId ?? plan.Document.PodId) == plan.Document.PodId) throw;
            }
        }
    }

    /// <summary>Connects to a Pod that has just said it is ready: it answers, if need be late, on a busy machine.</summary>
    internal static Task<PodClient> ConnectAsync(StartedPod started, CancellationToken ct) => PodClient.ConnectAsync(started.Process.Socket, limit: PodLauncher.LongestStart, ct: ct);

    /// <summary>A Pod that never began its journal never was: its files and its row go, and nothing lists it.</summary>
    private static async Task ForgetAsync(Surroundings s, LaunchDocument document)
    {
        var pod = new KnownPod(document.Name, document.PodId, s.Directories.Pod(document.Name, document.PodId));
        if (!File.Exists($"{pod.Directory}/{PodFiles.Journal}")) EndRecord.RemoveNeverBegun(pod.Directory);
        if (Directory.Exists(pod.Directory)) return;
        EndRecord.RemoveRuntimeFiles(pod, s.Directories);
        try
        {
            await s.Table.ReleaseAsync(pod.PodId, CancellationToken.None);
        }
        catch (ScopeException)
        {
            // Its row is a dead Pod's: whoever changes the table next drops it. Why the Pod did not start is what is told.
        }
    }
}
