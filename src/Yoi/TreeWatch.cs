using System.Threading.Channels;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Terminal;

namespace Yoi;

/// <summary>
/// Follows one root Pod until its tree is quiet: the root is idle, no Pod below it runs, and no news is unread. Everything it knows
/// comes from the root's entries, from what living Pods answer, and from the journals of children.
/// </summary>
/// <param name="show">Gets each message, in order.</param>
internal sealed class TreeWatch(Surroundings s, KnownPod root, PodClient client, Action<PodMessage> show)
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    /// <summary>News that no entry tells after this long without any event is never told: a Pod's own matter, not ours to wait for.</summary>
    private static readonly TimeSpan NewsLimit = TimeSpan.FromSeconds(5);

    internal RunTally Tally { get; } = new();

    /// <summary>Returns when the tree is quiet, the root is gone, or a signal says: end now.</summary>
    internal async Task RunAsync(Interrupts interrupts, CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var channel = Channel.CreateBounded<PodMessage>(256);
        var pump = PumpAsync(channel.Writer, stop.Token);
        try
        {
            var cancelled = 0;
            var lastEvent = s.Time.GetTimestamp();
            var more = channel.Reader.WaitToReadAsync(ct).AsTask();
            while (true)
            {
                var signal = interrupts.After(interrupts.Raised);
                if (interrupts.EndCode is not null) return;
                if (interrupts.Count > cancelled)
                {
                    cancelled = interrupts.Count;
                    await CancelRunAsync(ct);
                }
                if (!Tally.Running && Tally.Runs > 0 && !more.IsCompleted && await IsQuietAsync(s.Time.GetElapsedTime(lastEvent), ct)) return;
                await Task.WhenAny(more, signal, Tally.Running ? more : Task.Delay(Look, s.Time, ct));
                if (!more.IsCompleted) continue;
                if (!await more) return;
                while (channel.Reader.TryRead(out var message)) Take(message);
                lastEvent = s.Time.GetTimestamp();
                more = channel.Reader.WaitToReadAsync(ct).AsTask();
            }
        }
        finally
        {
            await stop.CancelAsync();
            await pump;
        }
    }

    /// <summary>Takes what the root's journal says behind the last message: how it ended is written when nobody is attached any more.</summary>
    internal void TakeRest()
    {
        while (root.Journal.ReadAfter(new Cursor(Tally.HeadSeq, -1), out _) is { Count: > 0 } page)
            foreach (var record in page) Take(new PodMessage.Entered(record.Seq, record.Time, record.Entry));
    }

    private void Take(PodMessage message)
    {
        if (message is PodMessage.Entered entered) Tally.Take(entered.Seq, entered.Entry);
        show(message);
    }

    private async Task PumpAsync(ChannelWriter<PodMessage> writer, CancellationToken ct)
    {
        try
        {
            await foreach (var message in client.AttachAsync(1, ct)) await writer.WriteAsync(message, ct);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The Pod is gone or nobody looks any more; its journal says which.
        }
        finally
        {
            writer.TryComplete();
        }
    }

    private async Task CancelRunAsync(CancellationToken ct)
    {
        try
        {
            await client.AskAsync(new Method.Cancel(), ct);
            s.Screen.Remark("cancelled; Ctrl-C again stops the Pod and all below it");
        }
        catch (PodRefusedException)
        {
            s.Screen.Remark("no run to cancel: a Pod below still works; Ctrl-C again stops them all");
        }
    }

    private async Task<bool> IsQuietAsync(TimeSpan sinceLastEvent, CancellationToken ct)
    {
        if (await StatusAsync(root, client, ct) is not { } status) return !root.IsAlive;
        if (!IsResting(status) || status.HeadSeq > Tally.HeadSeq) return false;
        foreach (var (id, name) in Tally.Children)
        {
            var child = new KnownPod(name, id, s.Directories.Pod(name, id));
            if (await RunsBelowAsync(child, ct)) return false;
            if (sinceLastEvent < NewsLimit && HasUntoldNews(child)) return false;
        }
        return true;
    }

    private async Task<bool> RunsBelowAsync(KnownPod pod, CancellationToken ct)
    {
        if (!pod.IsAlive) return false;
        if (await StatusAsync(pod, null, ct) is not { } status) return pod.IsAlive;
        if (!IsResting(status)) return true;
        foreach (var child in status.Children.Where(child => !child.Ended))
            if (await RunsBelowAsync(new KnownPod(child.Name, child.PodId, s.Directories.Pod(child.Name, child.PodId)), ct)) return true;
        return false;
    }

    private bool HasUntoldNews(KnownPod child) =>
        child.Journal.ReadAfter(Tally.NewsToldOf(child.PodId), out _).Any(record => record.Entry is Entry.RunEnded or Entry.PodEnded);

    private static bool IsResting(PodStatus status) =>
        status is { State: PodState.Idle, QueuedInputs: 0, UnreadNews: 0 };

    private async Task<PodStatus?> StatusAsync(KnownPod pod, PodClient? connected, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(Look, s.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            return connected is not null ? await connected.StatusAsync(either.Token)
                : await PodClient.StatusOfAsync(s.Directories.Socket(pod.PodId), ct: either.Token);
        }
        catch (Exception e) when (e is IOException or TimeoutException or PodRefusedException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            return null;
        }
    }
}
