using Yoi.Protocol;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Wire;

/// <summary>A base client that counts ends of runs: the journal says them a moment before the connections hear them.</summary>
internal sealed class Witness : IAsyncDisposable
{
    private readonly RawClient _client;
    private readonly int _before;
    private readonly Task _reading;
    private int _heard;

    private Witness(RawClient client, int before)
    {
        (_client, _before) = (client, before);
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>To be called while the Pod rests.</summary>
    internal static async Task<Witness> ListenAsync(RealPod pod)
    {
        var client = await pod.ConnectAsync();
        await client.SendAsync("""{"method":"get_history"}""");
        while (await client.LineAsync() is { } line && !line.StartsWith("""{"event":"history""", StringComparison.Ordinal)) { }
        return new Witness(client, Ends(pod));
    }

    internal bool HasHeardAll(RealPod pod) => Volatile.Read(ref _heard) >= Ends(pod) - _before;

    private static int Ends(RealPod pod) => pod.Records().Count(record => record.Entry is Entry.RunEnded { Reason: RunEnd.Completed });

    private async Task ReadAsync()
    {
        try
        {
            while (await _client.LineAsync() is { } line)
                if (line.StartsWith("""{"event":"run_end""", StringComparison.Ordinal)) Interlocked.Increment(ref _heard);
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException or ObjectDisposedException or TimeoutException or OperationCanceledException)
        {
            return; // Closed by us, or nothing more was said.
        }
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _reading;
    }
}
