using System.Net.Sockets;
using System.Security.Cryptography;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>A child that runs and has its task.</summary>
/// <param name="Left">The spawner's own scope from here on.</param>
/// <param name="Reach">What the kernel makes of the child's scope; null where nobody asked for a platform set.</param>
/// <param name="OwnReach">The same of what is left.</param>
/// <param name="Beyond">What the child could change beyond its scope, through what lies in it.</param>
internal sealed record SpawnOutcome(
    string Name, string PodId, string Socket, ScopeRules Scope, string Cwd, ModelChoice Model, ScopePolicy Left, PodReach? Reach = null, PodReach? OwnReach = null,
    IReadOnlyList<string>? Beyond = null);

/// <summary>
/// Spawns children in the order of lending: no writer left, intent in the journal, grant pending in the table, process
/// started, task acknowledged, recorded. Whatever fails, every step before it is undone and the error names the step.
/// </summary>
/// <param name="find">The program, asked for at each start: it may be replaced or removed while we run.</param>
internal sealed class ChildSpawner(
    LaunchDocument own, LaunchSecrets secrets, Func<PodProgram> find, LiveScope scope, ScopeTable table, JournalWriter journal, ChildKeeper keeper, TimeProvider time,
    RunningCommands? running = null, PlatformSet? platform = null)
{
    private static readonly TimeSpan ReadyLimit = TimeSpan.FromSeconds(30), TaskLimit = TimeSpan.FromSeconds(30), CommandLimit = TimeSpan.FromSeconds(600);

    private readonly PodRegistry _registry = new(own.Directories);
    private readonly Lock _gate = new();
    private readonly HashSet<string> _starting = new(StringComparer.Ordinal);

    /// <summary>Returns when the child has its task in its journal.</summary>
    /// <exception cref="SpawnException">It came to nothing, and all of it is undone.</exception>
    /// <exception cref="JournalException">The own journal cannot be written.</exception>
    internal async Task<SpawnOutcome> SpawnAsync(SpawnRequest request, CancellationToken ct)
    {
        lock (_gate)
        {
            if (!_starting.Add(request.Name)) throw new SpawnException(SpawnPlan.Step, $"a pod called `{request.Name}` is being started this moment; choose another name");
        }
        try
        {
            var plan = SpawnPlan.Make(request, own, scope.Current(), _registry, time);
            var grant = await LendAsync(plan, request.WaitForCommands, () => table.LendAsync(own.PodId, plan.Row, ct), ct);
            return await StartAsync(plan with { Document = plan.Document with { Grant = grant } }, request.CallId, ct);
        }
        finally
        {
            lock (_gate) _starting.Remove(request.Name);
        }
    }

    /// <summary>
    /// Brings a Pod back that ended below this one, with no living Pod between: it is lent again what it had. Returns when it is served;
    /// it starts nothing by itself.
    /// </summary>
    /// <exception cref="SpawnException">It came to nothing, and all of it is undone.</exception>
    /// <exception cref="JournalException">The own journal cannot be written.</exception>
    internal async Task RestoreAsync(string podId, bool withoutHeld, CancellationToken ct)
    {
        var tree = new PodTree(_registry, table);
        var pod = _registry.All().FirstOrDefault(known => known.PodId == podId) ?? throw SpawnPlan.Refused($"no pod has the id {podId}");
        lock (_gate)
        {
            if (pod.IsAlive || !_starting.Add(pod.Name)) throw SpawnPlan.Refused($"pod `{pod.Name}` is alive, or being started this moment");
        }
        try
        {
            if (tree.LivingAbove(pod)?.PodId != own.PodId) throw SpawnPlan.Refused($"`{own.Name}` is not the nearest living pod above `{pod.Name}`");
            await EndAsync(pod, ct);
            await keeper.SettledAsync(podId, ct); // What it had is back, and its end stands before its second life.
            if (keeper.IsUndoing(podId)) throw SpawnPlan.Refused($"the last start of pod `{pod.Name}` failed and could not be undone yet, on a full disk perhaps; that is tried again, try this again then");
            var record = LaunchRecord.Read(pod) ?? throw SpawnPlan.Refused($"the journal of pod `{pod.Name}` does not say who it is");
            var plan = SpawnPlan.Again(record, own, scope.Current(), withoutHeld) with { Restart = keeper.RestartOf(podId) };
            if (record.Created.Spawner is { } spawner && spawner.PodId != own.PodId)
                plan = plan with { From = spawner.Name, Told = ToldOf(spawner, podId) };
            var row = await LendAsync(plan, wait: false, () => table.LendAgainAsync(own.PodId, plan.Row, tree.SpawnerOf, withoutHeld, ct), ct);
            await StartAsync(plan with { Document = plan.Document with { Grant = row.Generation } }, null, ct);
            await keeper.HandOverAsync(pod.Name, [.. table.Read().Pods.Where(below => below.SpawnerId == podId).Select(below => below.PodId)]);
        }
        finally
        {
            lock (_gate) _starting.Remove(pod.Name);
        }
    }

    /// <summary>A second life begins behind the recorded end of the first.</summary>
    private async Task EndAsync(KnownPod pod, CancellationToken ct)
    {
        try
        {
            await EndRecord.CompleteAsync(pod, null, [], own.Name, time, ct);
        }
        catch (JournalException e)
        {
            throw SpawnPlan.Refused($"the end of pod `{pod.Name}` cannot be recorded: {e.Message}"); // Its journal, not ours.
        }
    }

    private IReadOnlyList<Told> ToldOf(SpawnerRef spawner, string childId)
    {
        try
        {
            return [.. SpawnerRecord.Read(new KnownPod(spawner.Name, spawner.PodId, own.Directories.Pod(spawner.Name, spawner.PodId))).Told[childId]];
        }
        catch (IOException)
        {
            return []; // Told again rather than never.
        }
    }

    /// <summary>Moves the grant. From here on nobody writes there until a child has adopted it or it is withdrawn.</summary>
    /// <param name="lend">The change of the table.</param>
    private async Task<T> LendAsync<T>(SpawnPlan plan, bool wait, Func<Task<T>> lend, CancellationToken ct)
    {
        var (name, id) = (plan.Document.Name, plan.Document.PodId);
        using var lending = await HoldLendingAsync(plan.Row.Scope.Allow, wait, ct);
        // Again with no writer left: what is lent now may have changed while we waited. What comes back is judged by the table.
        if (plan.Task is not null && scope.Current().WhyNotLendable(plan.Row.Scope.Allow) is { } why)
            throw new SpawnException(SpawnPlan.Step, $"requested scope is not within spawner `{own.Name}`'s effective scope: {why}");
        await journal.AppendAsync(Durability.Synced, new Entry.LendIntended(name, id, plan.Row.Scope.Allow));
        try
        {
            Failpoint.Pass(Failpoints.LendIntended);
            var grant = await lend();
            Failpoint.Pass(Failpoints.LendPending);
            return grant;
        }
        catch (Exception e) when (e is ScopeException or IOException or OperationCanceledException)
        {
            var left = await UndoAsync(plan, null, "lend", e);
            if (e is OperationCanceledException) throw;
            throw new SpawnException("lend", e.Message) { Left = left };
        }
    }

    /// <summary>The lease under which a grant moves; while it is held, no file tool and no command can write what is lent.</summary>
    /// <param name="wait">True: waits for commands that can; else their presence is a refusal.</param>
    private async Task<IDisposable> HoldLendingAsync(IReadOnlyList<ScopeRule> rules, bool wait, CancellationToken ct)
    {
        var began = time.GetTimestamp();
        while (true)
        {
            var lending = await scope.HoldLendingAsync(ct);
            if (running?.Writer(rules) is not { } writer) return lending;
            lending.Dispose();
            var left = CommandLimit - time.GetElapsedTime(began);
            if (!wait || left <= TimeSpan.Zero)
            {
                var until = wait ? $"it did not end within {CommandLimit.TotalSeconds:0} s" : "wait for its end (`when_busy`: `wait`)";
                throw new SpawnException(SpawnPlan.Step, $"{writer.Path} can be written by the command `{writer.Name}`, which is running: {until}, or end it with KillBash");
            }
            try
            {
                await writer.Gone.WaitAsync(left, time, ct);
            }
            catch (TimeoutException)
            {
                continue; // Once more under the lease: it is refused there.
            }
        }
    }

    private async Task<SpawnOutcome> StartAsync(SpawnPlan plan, string? callId, CancellationToken ct)
    {
        var document = plan.Document;
        var step = "start";
        LaunchedPod? launched = null;
        try
        {
            var token = RandomNumberGenerator.GetHexString(32, lowercase: true);
            var program = find();
            if (program.WritableBy(scope.Current()) is { } writable) throw new LaunchException(step, $"{writable}, which Pods are started from, lies in the writable scope: whoever writes it runs outside every sandbox. Install yoi elsewhere");
            launched = await PodLauncher.StartAsync(program, document, secrets with { SpawnerToken = token }, ReadyLimit, time, ct);
            step = "task";
            Failpoint.Pass(Failpoints.SpawnTask);
            if (plan.Task is { } task) await HandTaskAsync(launched, task, ct);
            step = "record";
            Failpoint.Pass(Failpoints.SpawnRecord);
            var spawned = new Entry.ChildSpawned(
                document.Name, document.PodId, launched.Pid, launched.StartTime, launched.BootId, document.Scope.Allow, document.Grant ?? 0, callId, plan.From, plan.Told, plan.Restart);
            var left = scope.Current();
            await journal.AppendAsync(Durability.Synced, spawned, new Entry.ScopeChanged(left.Rules, left.Lent, left.Generation, $"lent to pod `{document.Name}`"));
            keeper.Track(spawned, launched.Process);
            var outcome = new SpawnOutcome(document.Name, document.PodId, launched.Socket, document.Scope, document.Cwd, document.Model, left);
            return platform is null ? outcome : WithReach(outcome, document, platform);
        }
        catch (Exception e) when (e is LaunchException or IOException or ScopeException or JournalException or UnauthorizedAccessException or OperationCanceledException)
        {
            if (e is LaunchException failed) step = failed.Step;
            var left = await UndoAsync(plan, launched?.Process, step, e);
            if (e is OperationCanceledException or JournalException) throw;
            throw new SpawnException(step, e.Message) { Left = left };
        }
    }

    private SpawnOutcome WithReach(SpawnOutcome outcome, LaunchDocument child, PlatformSet platform)
    {
        var policy = new SandboxPolicy(new(child.Scope, [], child.Grant ?? 0) { Platform = scope.Current().Platform }, platform, child.Network);
        return outcome with
        {
            Reach = PodReach.Of(policy, child.SandboxLevel),
            OwnReach = PodReach.Of(new(outcome.Left, platform, own.Network), own.SandboxLevel),
            Beyond = PodReach.Beyond(policy, child.SandboxLevel),
        };
    }

    /// <summary>The task counts as handed over when the child says that its journal holds it.</summary>
    private async Task HandTaskAsync(LaunchedPod launched, string task, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(TaskLimit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            await using var client = await PodClient.ConnectAsync(launched.Socket, own.Name, limit: TaskLimit, ct: both.Token);
            if (await client.AskAsync(new Method.Run(task, From: own.Name), both.Token) is not ReplyResult.Accepted)
                throw new IOException("the pod answered the task with something else than `accepted`");
        }
        catch (Exception e) when (e is TimeoutException || (e is OperationCanceledException && limit.IsCancellationRequested && !ct.IsCancellationRequested))
        {
            throw new IOException($"the pod is ready but did not acknowledge its task within {TaskLimit.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is IOException or SocketException or PodRefusedException)
        {
            var ended = await launched.Process.ExitedWithin(TimeSpan.FromMilliseconds(200), time, ct);
            throw new IOException(ended is null ? $"the pod did not take its task: {e.Message}" : $"the pod ended before it had acknowledged its task ({ended})");
        }
    }

    /// <summary>
    /// Takes everything back, each step even if one before it fails: process gone, grant withdrawn, files of a Pod that never
    /// had a task removed, outcome in the journal. A grant whose process still lives is not given back. What cannot be done now is done later.
    /// </summary>
    /// <returns>What is left to do; null if nothing is.</returns>
    private async Task<string?> UndoAsync(SpawnPlan plan, PodProcess? process, string step, Exception cause)
    {
        var pod = new KnownPod(plan.Document.Name, plan.Document.PodId, plan.Row.Directory);
        List<string> failures = [];
        async Task<bool> Try(string what, Func<Task> undo)
        {
            try
            {
                await undo();
                return true;
            }
            catch (Exception e) when (e is IOException or ScopeException or StopException or UnauthorizedAccessException)
            {
                failures.Add($"{what}: {e.Message}");
                return false;
            }
        }

        await Try("undo", () => { Failpoint.Pass(Failpoints.SpawnUndo); return Task.CompletedTask; });
        ProcessExit? exit = null;
        var gone = true;
        if (process is not null)
        {
            // One that has ended by itself already was not killed by us, and its end says so.
            if (!process.Exited.IsCompleted) EndRecord.TryNoteKill(pod, own.Name, $"its spawn failed at step {step}");
            process.Signal(Libc.SigKill);
            exit = await process.ExitedWithin(TimeSpan.FromSeconds(3), time, CancellationToken.None);
            gone = exit is not null;
            if (!gone) failures.Add($"{process} does not end; its scope stays held");
            process.Dispose();
        }
        else if (Directory.Exists(pod.Directory) && pod.IsAlive)
        {
            gone = false;
            failures.Add($"pod `{pod.Name}` was killed and still holds its life-lock; its scope stays held");
        }
        var whole = gone;
        if (gone)
        {
            IReadOnlyList<ScopeRule> back = [];
            whole = await Try("taking the grant back", async () => back = await table.ReleaseAsync(pod.PodId, CancellationToken.None));
            whole &= await Try("removing its files", () => EndRecord.RemoveUnbornAsync(pod, own.Directories, exit, back, own.Name, time));
        }
        var why = failures.Count == 0 ? cause.Message : $"{cause.Message} (not all could be undone: {string.Join("; ", failures)})";
        var failed = new Entry.SpawnFailed(pod.Name, pod.PodId, step, why);
        if (!whole) keeper.UndoLater(failed, exit);
        else if (cause is not JournalException) await journal.AppendAsync(Durability.Synced, failed);
        return whole ? null : string.Join("; ", failures);
    }
}
