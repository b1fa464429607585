using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>What stopping came to.</summary>
/// <param name="Returned">Rules that went back to the spawner, or became free.</param>
/// <param name="Below">Pods below it that were stopped with it, leaf first.</param>
/// <param name="WasEnded">True if it had ended before anybody asked.</param>
internal sealed record StopOutcome(
    string Name, string PodId, PodEnd Reason, string? By, string? Detail, IReadOnlyList<ScopeRule> Returned, IReadOnlyList<string> Below,
    bool WasEnded = false);

/// <summary>A Pod could not be stopped; it may still write, and its scope stays held.</summary>
internal sealed class StopException(string message) : Exception(message);

/// <summary>
/// Stops a Pod and its tree, leaf first: no new work, ask, wait, TERM, KILL through a pidfd, verify that the life-lock is
/// free and the process gone, give the scope back, write the end entry if the Pod did not. Idempotent.
/// The tree is known from the scope table and launch records, never by asking. Used by StopPod and the command line.
/// </summary>
internal sealed class TreeStopper(YoiDirectories directories, ScopeTable table, TimeProvider time)
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromMilliseconds(700), AskedLimit = TimeSpan.FromSeconds(3),
        TermLimit = TimeSpan.FromMilliseconds(800), KillLimit = TimeSpan.FromSeconds(3), LockPause = TimeSpan.FromMilliseconds(10);

    /// <summary>A tree that still grows after this many rounds of killing is reported, not chased.</summary>
    private const int KillRounds = 5;

    private readonly PodRegistry _registry = new(directories);

    /// <summary>Returns when nothing of the tree can write any more.</summary>
    /// <param name="by">Who stops it: a Pod's name or <c>human</c>.</param>
    /// <param name="force">Skips asking: KILL at once.</param>
    /// <exception cref="StopException">Something of it still lives.</exception>
    /// <exception cref="ScopeException">Nothing of it lives, and its scope could not be given back: the table cannot be used.</exception>
    internal async Task<StopOutcome> StopAsync(KnownPod pod, string by, bool force, CancellationToken ct)
    {
        var wasEnded = !pod.IsAlive;
        var tree = new PodTree(_registry, table);
        // As long as they live: later the release of one row drops those of the dead of its tree as well.
        var held = tree.Rows().ToDictionary(row => row.PodId, row => row.Scope.Allow, StringComparer.Ordinal);
        using var seen = new Seen();
        if (!force)
        {
            var asked = seen.Add(Living(tree, pod));
            foreach (var stopped in asked.Where(one => one.Process is { IsHeld: true })) Kill(stopped, by, "it was held by SIGSTOP and could not answer");
            // All at once, so that nobody begins new work when somebody below it ends.
            await Task.WhenAll(asked.Select(one => AskAsync(one, by, ct)));
            Failpoint.Pass(Failpoints.StopShutdown);
            await GoneAsync(asked, AskedLimit, ct);
            var left = seen.Add(Living(tree, pod));
            foreach (var one in left) one.Signal(Libc.SigTerm);
            await GoneAsync(left, TermLimit, ct);
        }
        for (var round = 0; ; round++)
        {
            // First the grants that nobody has adopted, then who lives: whoever adopted one before is seen, and nobody does after.
            foreach (var pending in tree.PendingBelow([pod.PodId, .. seen.All.Select(one => one.Pod.PodId)])) await table.ReleaseAsync(pending, ct);
            if (Living(tree, pod) is not { Count: > 0 } living) break;
            if (round == KillRounds) throw new StopException($"pod `{pod.Name}`: new Pods below it kept starting; still alive: {string.Join(", ", living.Select(one => one.Name))}. Stop it again.");
            var killed = seen.Add(living);
            foreach (var one in killed) Kill(one, by, force ? "stopped by force" : "it did not end when asked, nor on SIGTERM");
            await VerifiedAsync(killed, ct);
        }
        return await EndAsync(pod, seen, held, by, wasEnded, ct);
    }

    private static List<KnownPod> Living(PodTree tree, KnownPod top)
    {
        List<KnownPod> living = [.. tree.LivingBelow(top)];
        if (top.IsAlive) living.Add(top);
        return living;
    }

    private async Task<StopOutcome> EndAsync(
        KnownPod pod, Seen seen, Dictionary<string, IReadOnlyList<ScopeRule>> held, string by, bool wasEnded, CancellationToken ct)
    {
        Failpoint.Pass(Failpoints.StopVerified);
        List<string> below = [];
        foreach (var one in seen.All.Where(one => one.Pod.PodId != pod.PodId))
        {
            await ReturnAndRecordAsync(one.Pod, held, one.Exit, by, ct);
            below.Add(one.Pod.Name);
        }
        var (returned, end) = await ReturnAndRecordAsync(pod, held, seen.All.FirstOrDefault(one => one.Pod.PodId == pod.PodId)?.Exit, by, ct);
        return new StopOutcome(pod.Name, pod.PodId, end.Reason, end.By, end.Detail, returned.Count > 0 ? returned : end.Returned, below, wasEnded);
    }

    private async Task<(IReadOnlyList<ScopeRule> Returned, Entry.PodEnded End)> ReturnAndRecordAsync(
        KnownPod pod, Dictionary<string, IReadOnlyList<ScopeRule>> held, ProcessExit? exit, string by, CancellationToken ct)
    {
        var returned = await table.ReleaseAsync(pod.PodId, ct);
        if (returned.Count == 0) returned = held.GetValueOrDefault(pod.PodId, []);
        directories.RemoveRuntimeFiles(pod.PodId);
        Failpoint.Pass(Failpoints.StopReturned);
        var end = await EndRecord.CompleteAsync(pod, exit, returned, by, time, ct);
        Failpoint.Pass(Failpoints.StopEndEntry);
        return (returned, end);
    }

    /// <summary>Asks it to end. A Pod that does not answer, or is ending already, is waited for just the same; one that is still on its way to its socket is asked there.</summary>
    private async Task AskAsync(Target target, string by, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(AnswerLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            while (!await IsAskedAsync(target, by, both.Token) && target.WasStarting && target.Pod.IsAlive) await Task.Delay(LockPause, time, both.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // What happens to it then does not depend on why it was not asked.
        }
    }

    private async Task<bool> IsAskedAsync(Target target, string by, CancellationToken ct)
    {
        try
        {
            await using var client = await PodClient.ConnectAsync(directories.Socket(target.Pod.PodId), by, ct: ct);
            await client.AskAsync(new Method.Shutdown(), ct);
            return true;
        }
        catch (Exception e) when (e is IOException or SocketException or PodRefusedException)
        {
            return false;
        }
    }

    private static void Kill(Target target, string by, string why)
    {
        if (!target.Pod.IsAlive || target.IsElsewhere) return;
        EndRecord.TryNoteKill(target.Pod, by, why);
        target.Signal(Libc.SigKill);
        PodUsers.Continue(target.Pod);
    }

    /// <summary>Waits until all are gone, or the limit.</summary>
    private async Task GoneAsync(IReadOnlyList<Target> targets, TimeSpan limit, CancellationToken ct)
    {
        using var limited = new CancellationTokenSource(limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limited.Token);
        try
        {
            await Task.WhenAll(targets.Select(target => GoneAsync(target, both.Token)));
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Some are left; the next step is sharper.
        }
    }

    /// <summary>The process's end wakes us; its life-lock says that nothing else of the Pod lives on.</summary>
    private async Task GoneAsync(Target target, CancellationToken ct)
    {
        while (true)
        {
            if (target.Exit is null && target.Process is { } process) target.Exit = await process.Exited.WaitAsync(ct);
            if (!target.Pod.IsAlive) return;
            await Task.Delay(LockPause, time, ct);
        }
    }

    private async Task VerifiedAsync(IReadOnlyList<Target> killed, CancellationToken ct)
    {
        await GoneAsync([.. killed.Where(one => !one.IsElsewhere)], KillLimit, ct);
        if (killed.FirstOrDefault(one => one.Pod.IsAlive) is not { } left) return;
        throw left.IsElsewhere
            ? new StopException($"pod `{left.Pod.Name}` runs in another pid namespace (a container): from here its pid is another process's, so nobody was signalled. "
                + $"It ends when it is asked (`yoi stop {left.Pod.Name}`) and answers; `yoi stop --force {left.Pod.Name}` works where it runs. Its scope stays held.")
            : new StopException($"pod `{left.Pod.Name}` still holds its life-lock {KillLimit.TotalSeconds:0} s after SIGKILL "
                + $"({left.Process?.ToString() ?? "its process is not known"}; a process in a blocked system call ends only when that returns). Its scope stays held; try again.");
    }

    /// <summary>A Pod of the tree and its process.</summary>
    private sealed class Target : IDisposable
    {
        private PodProcess? _process;
        private long? _looked;
        private int? _due;

        internal Target(KnownPod pod)
        {
            Pod = pod;
            WasStarting = Process is null && !pod.IsElsewhere;
        }

        internal KnownPod Pod { get; }

        /// <summary>True if it was alive before its journal said which process it is: that, and its socket, come a moment later.</summary>
        internal bool WasStarting { get; }

        /// <summary>Looked for until it is found; null while it cannot be named.</summary>
        internal PodProcess? Process => _process ?? Find();

        /// <summary>True if it can only be asked.</summary>
        internal bool IsElsewhere => Process is null && Pod.IsElsewhere;

        internal ProcessExit? Exit { get; set; }

        /// <summary>Sends this; to a process that cannot be named yet, as soon as it can.</summary>
        internal void Signal(int signal)
        {
            _due = signal;
            if (_process is { } process) process.Signal(signal);
            else Find();
        }

        public void Dispose() => _process?.Dispose();

        /// <summary>Looks again only where the journal has more to say by now: it may be long.</summary>
        private PodProcess? Find()
        {
            var length = Pod.JournalLength;
            if (length == _looked) return null;
            _looked = length;
            _process = Pod.FindProcess();
            if (_due is { } signal) _process?.Signal(signal);
            return _process;
        }
    }

    /// <summary>All that were ever part of the tree while it was stopped, leaf first within a round.</summary>
    private sealed class Seen : IDisposable
    {
        private readonly Dictionary<string, Target> _targets = new(StringComparer.Ordinal);

        internal List<Target> All { get; } = [];

        internal IReadOnlyList<Target> Add(IReadOnlyList<KnownPod> pods)
        {
            foreach (var pod in pods.Where(pod => !_targets.ContainsKey(pod.PodId)))
            {
                _targets[pod.PodId] = new Target(pod);
                All.Add(_targets[pod.PodId]);
            }
            return [.. pods.Select(pod => _targets[pod.PodId])];
        }

        public void Dispose()
        {
            foreach (var target in All) target.Dispose();
        }
    }
}
