using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Spawning;

namespace Yoi.Runtime.Tools.Pods;

/// <summary>What a look at a child found.</summary>
/// <param name="Status">Its own words; null if it is gone or did not answer.</param>
/// <param name="End">How it ended; null while it lives.</param>
/// <param name="Silence">Why a living one did not answer.</param>
internal sealed record ChildLook(KnownChild Child, PodStatus? Status, string? End, string? Silence)
{
    /// <summary><c>alive</c>, <c>alive, not answering</c>, or the end reason. A Pod that is alive is never called anything else.</summary>
    internal string Liveness => End ?? (Status is null ? Children.NotAnswering : "alive");

    /// <summary>What it does: <c>running</c>, <c>idle</c>, …; its liveness if it says nothing.</summary>
    internal string State => Status?.State switch
    {
        PodState.Idle => "idle",
        PodState.Running => "running",
        PodState.Paused => "paused",
        PodState.Stopping => "stopping",
        _ => Liveness,
    };
}

/// <summary>This Pod's children, by the names that a model uses; asks them what they do, never longer than a limit.</summary>
internal sealed class Children(YoiDirectories directories, NewsDesk desk, TimeProvider time)
{
    internal const string NotAnswering = "alive, not answering";

    private const string Held = "it is held by SIGSTOP";

    internal NewsDesk Desk { get; } = desk;

    internal YoiDirectories Directories { get; } = directories;

    internal IReadOnlyList<KnownChild> All => Desk.Book.Newest;

    /// <summary>The newest child of that name.</summary>
    /// <exception cref="ToolFailure">There never was one; names those that exist.</exception>
    internal KnownChild Named(string name)
    {
        if (Desk.Book.Named(name) is { } child) return child;
        var known = All.Select(one => $"`{one.Name}`").ToArray();
        throw new ToolFailure($"no spawned pod named `{name}`; " + (known.Length == 0 ? "you have spawned none" : $"known: {string.Join(", ", known)}"));
    }

    internal KnownPod PodOf(KnownChild child) => new(child.Name, child.PodId, Directories.Pod(child.Name, child.PodId));

    /// <summary>What it does now. A child that is held by SIGSTOP is known not to answer without asking it.</summary>
    internal async Task<ChildLook> LookAsync(KnownChild child, TimeSpan limit, CancellationToken ct)
    {
        var pod = PodOf(child);
        if (!pod.IsAlive) return new ChildLook(child, null, EndOf(child, pod), null);
        if (IsHeld(child)) return new ChildLook(child, null, null, Held);
        using var limited = new CancellationTokenSource(limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limited.Token);
        try
        {
            return new ChildLook(child, await PodClient.StatusOfAsync(Directories.Socket(child.PodId), ct: both.Token), null, null);
        }
        catch (Exception e) when (e is IOException or SocketException or PodRefusedException)
        {
            return pod.IsAlive ? new ChildLook(child, null, null, e.Message) : new ChildLook(child, null, EndOf(child, pod), null);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return pod.IsAlive ? new ChildLook(child, null, null, $"no answer within {limit.TotalMilliseconds:0} ms") : new ChildLook(child, null, EndOf(child, pod), null);
        }
    }

    /// <summary>What it does by its journal, as far as that was read, without asking it; and why it would not answer, if it is held.</summary>
    internal (string State, string? Silence) StateOf(KnownChild child, ChildState now)
    {
        var pod = PodOf(child);
        if (!pod.IsAlive) return (EndOf(child, pod), null);
        if (IsHeld(child)) return (NotAnswering, Held);
        var waitsForResume = now.IsPaused || !now.RunIsOpen && now.LastRun?.Reason == RunEnd.Interrupted;
        // What it was sent starts a run in a moment; only after a cancelled run a notice waits for the next one.
        var works = now.RunIsOpen || now.InputsWaiting > 0 && now.LastRun?.Reason != RunEnd.Cancelled;
        return (waitsForResume ? "paused" : works ? "running" : "idle", null);
    }

    internal static bool IsHeld(KnownChild child) => PodProcess.IsHeldNow(child.Spawned.Pid, child.Spawned.StartTime);

    /// <summary>How a dead child ended, as far as that is recorded.</summary>
    private static string EndOf(KnownChild child, KnownPod pod)
    {
        if (EndRecord.Of(pod) is { } end) return NewsText.Reason(end.Reason, end.By, end.Detail);
        return child.Ended is { } ended ? NewsText.Reason(ended.Reason, ended.By, ended.Detail) : "ended, and its end is being recorded";
    }

    internal static string Rules(IReadOnlyList<ScopeRule> rules) => rules.Count == 0 ? "(none)" : string.Join(", ", rules.Select(rule => rule with { Target = PathText.Shown(rule.Target) }));
}
