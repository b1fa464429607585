using System.Threading.Channels;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;

namespace Yoi.Demo;

/// <summary>Something that a Pod of the tree said.</summary>
internal sealed record TreeMessage(KnownPod Pod, PodMessage Message);

/// <summary>
/// Follows a Pod and all below it, live: attached to each as soon as an entry names it, and from its journal for what it could no
/// longer send. The channel ends when every Pod has ended.
/// </summary>
internal sealed class DemoTree(Surroundings s, KnownPod root) : IAsyncDisposable
{
    private readonly Channel<TreeMessage> _channel = Channel.CreateUnbounded<TreeMessage>();
    private readonly CancellationTokenSource _stop = new();
    private Task _following = Task.CompletedTask;

    internal ChannelReader<TreeMessage> Messages => _channel.Reader;

    internal void Begin() => _following = Task.Run(async () =>
    {
        try
        {
            await FollowAsync(root);
            _channel.Writer.Complete();
        }
        catch (Exception e)
        {
            _channel.Writer.Complete(e);
            throw;
        }
    });

    private async Task FollowAsync(KnownPod pod)
    {
        var next = 1L;
        List<Task> below = [];
        void Pass(PodMessage message)
        {
            if (message is PodMessage.Entered entered) next = entered.Seq + 1;
            _channel.Writer.TryWrite(new TreeMessage(pod, message));
            if (message is PodMessage.Entered { Entry: Entry.ChildSpawned child })
                below.Add(FollowAsync(new KnownPod(child.Child, child.ChildId, s.Directories.Pod(child.Child, child.ChildId))));
        }
        try
        {
            await using var client = await PodClient.ConnectAsync(s.Directories.Socket(pod.PodId), "demo", ct: _stop.Token);
            await foreach (var message in client.AttachAsync(1, _stop.Token)) Pass(message);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            // It ended, or will not answer: what it wrote is in its journal.
        }
        foreach (var record in pod.Journal.ReadAfter(new Cursor(next - 1, -1), out _)) Pass(new PodMessage.Entered(record.Seq, record.Time, record.Entry));
        await Task.WhenAll(below);
    }

    /// <summary>Stops following.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await _following;
        }
        catch (OperationCanceledException)
        {
            // As asked.
        }
        _stop.Dispose();
    }
}
