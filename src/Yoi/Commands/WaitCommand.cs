using System.CommandLine;
using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi.Commands;

/// <summary><c>yoi wait NAME…</c>: until Pods are idle with nothing unread, or have ended. Woken by their events, not by polling.</summary>
internal static class WaitCommand
{
    private static readonly TimeSpan FirstLook = TimeSpan.FromMilliseconds(250), LaterLook = TimeSpan.FromSeconds(60);

    private const int MostSeconds = 30 * 24 * 3600, PageBytes = 4 << 20;

    internal static Command Create(Surroundings s)
    {
        var names = PodFinder.Argument<string[]>(s, "NAME", "The Pods.", ArgumentArity.OneOrMore, pod => pod.IsAlive);
        var any = new Option<bool>("--any") { Description = "Return when one of them is done." };
        var all = new Option<bool>("--all") { Description = "Return when all of them are done (the default)." };
        var timeout = new Option<double?>("--timeout") { Description = "Longest wait in seconds; then the exit code is 124.", HelpName = "SECONDS" };
        var json = new Option<bool>("--json") { Description = "Print an array of objects." };
        var command = new Command("wait", "Wait until Pods have done their work.") { names, any, all, timeout, json };
        command.Validators.Add(result =>
        {
            if (result.GetValue(any) && result.GetValue(all)) result.AddError("--any and --all exclude each other");
        });
        timeout.Validators.Add(result =>
        {
            // What is no number at all is the parser's error: to ask for its value here would throw.
            if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var seconds) && seconds is not (>= 0 and <= MostSeconds))
                result.AddError($"--timeout is a number of seconds from 0 to {MostSeconds}");
        });
        command.SetAction(async (parsed, ct) =>
        {
            var pods = parsed.GetRequiredValue(names).Select(name => PodFinder.Find(s, name)).ToList();
            return await WaitAsync(s, pods, parsed.GetValue(any), parsed.GetValue(timeout), parsed.GetValue(json), ct);
        });
        return command;
    }

    private static async Task<int> WaitAsync(Surroundings s, IReadOnlyList<KnownPod> pods, bool any, double? timeout, bool json, CancellationToken ct)
    {
        using var limit = timeout is { } seconds ? new CancellationTokenSource(TimeSpan.FromSeconds(seconds), s.Time) : new CancellationTokenSource();
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var waits = pods.Select(pod => WaitOneAsync(s, pod, enough.Token)).ToList();
        var winner = any ? await Task.WhenAny(waits) : null;
        if (any) await enough.CancelAsync();
        var rows = await Task.WhenAll(waits);
        ct.ThrowIfCancellationRequested();
        if (json) s.Screen.Json(rows, TerminalJson.Default.IReadOnlyListWaitRow);
        else foreach (var row in rows) s.Screen.Line($"{row.Name}: {Words(row)}");
        var judged = winner is null ? rows : [await winner];
        if (judged.Any(row => !row.Done && row.State == "running")) return ExitCode.WaitTimeout;
        return judged.Select(Code).Max();
    }

    /// <summary>As `yoi run` would have ended; of several, the highest.</summary>
    private static int Code(WaitRow row) => row switch
    {
        { Done: true, RunEnd: null or "completed" } => ExitCode.Ok,
        { RunEnd: { } end } when end.StartsWith("provider_error", StringComparison.Ordinal) => ExitCode.Provider,
        { RunEnd: "disk_error" } => ExitCode.Disk,
        { RunEnd: "cancelled" } => ExitCode.Cancelled,
        _ => ExitCode.RunFailed,
    };

    private static string Words(WaitRow row) =>
        row.End is { } end ? $"ended: {end}" : row.Done ? $"{row.State}{(row.RunEnd is { } run ? $", last run {run}" : ", no run yet")}" : $"still {row.State}";

    private static async Task<WaitRow> WaitOneAsync(Surroundings s, KnownPod pod, CancellationToken ct)
    {
        try
        {
            while (pod.IsAlive)
            {
                try
                {
                    await using var client = await PodClient.ConnectAsync(s.Directories.Socket(pod.PodId), ct: ct);
                    for (var pause = FirstLook; ;)
                    {
                        var status = await client.StatusAsync(ct);
                        if (status.State == PodState.Paused || status is { State: PodState.Idle, QueuedInputs: 0, UnreadNews: 0 })
                            return new WaitRow(pod.Name, pod.PodId, Amounts.Name(status.State), LastRun(pod), null, status.State == PodState.Idle);
                        pause = await ChangedAsync(s, client, status.HeadSeq + 1, pause, ct) ? FirstLook : LaterLook;
                    }
                }
                catch (Exception e) when (e is IOException or TimeoutException)
                {
                    // Ending, or just restarted: look again in a moment.
                    await Task.Delay(TimeSpan.FromMilliseconds(50), s.Time, ct);
                }
            }
            return new WaitRow(pod.Name, pod.PodId, "ended", LastRun(pod), PodFinder.EndOf(pod)?["ended: ".Length..] ?? "end not recorded", true);
        }
        catch (OperationCanceledException)
        {
            return new WaitRow(pod.Name, pod.PodId, "running", null, null, false);
        }
    }

    /// <summary>
    /// Until something ends, or the pause is over: the status may have come between the entry of an end and the state that follows from it, and
    /// then nothing comes any more.
    /// </summary>
    /// <returns>True if something ended.</returns>
    private static async Task<bool> ChangedAsync(Surroundings s, PodClient client, long from, TimeSpan pause, CancellationToken ct)
    {
        using var over = new CancellationTokenSource(pause, s.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, over.Token);
        try
        {
            await foreach (var message in client.AttachAsync(from, either.Token))
                if (message is PodMessage.Entered { Entry: Entry.RunEnded or Entry.RunPaused or Entry.PodEnded }) return true;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // It is looked at again.
        }
        return false;
    }

    /// <summary>How the last run ended; one that began and has no end, or input that never had a run, was interrupted.</summary>
    private static string? LastRun(KnownPod pod)
    {
        string? last = null;
        var at = Cursor.Start;
        while (pod.Journal.ReadAfter(at, out _, PageBytes) is { Count: > 0 } page)
        {
            at = page[^1].End;
            foreach (var record in page)
                last = record.Entry switch
                {
                    Entry.RunEnded run => Amounts.Name(run.Reason),
                    Entry.RunStart or Entry.Input => Amounts.Name(RunEnd.Interrupted),
                    Entry.RunPaused => null,
                    _ => last,
                };
        }
        return last;
    }
}
