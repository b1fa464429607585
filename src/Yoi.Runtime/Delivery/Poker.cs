using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Delivery;

/// <summary>
/// Pokes the spawner when this Pod's journal has something for it. Best effort, a second at most, never in anybody's way:
/// a lost poke costs nothing, because the spawner reads on by itself.
/// </summary>
/// <param name="socketOfSpawner">Asked at each poke: with its spawner gone, a Pod is that of the next above.</param>
internal sealed class Poker(Func<string> socketOfSpawner, string token, string name, string podId, TimeProvider time) : IJournalFold, IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _wanted = new(0);
    private readonly CancellationTokenSource _closing = new();
    private Task _loop = Task.CompletedTask;
    private long _seq;
    private long _poked;

    /// <summary>After the journal was replayed: what it said before needs no poke.</summary>
    internal void Start()
    {
        _poked = Interlocked.Read(ref _seq);
        _loop = RunAsync();
    }

    public void Apply(JournalRecord record)
    {
        if (record.Entry is not (Entry.RunEnded or Entry.PodEnded or Entry.RunPaused)) return;
        Interlocked.Exchange(ref _seq, record.Seq);
        _wanted.Release();
    }

    /// <summary>Pokes once more if something is left to be poked about, then ends.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _loop;
        if (Interlocked.Read(ref _seq) > _poked) await PokeAsync();
        _wanted.Dispose();
        _closing.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _wanted.WaitAsync(_closing.Token);
                if (Interlocked.Read(ref _seq) > _poked) await PokeAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // Disposed.
        }
    }

    private async Task PokeAsync()
    {
        var seq = Interlocked.Read(ref _seq);
        using var limit = new CancellationTokenSource(Limit, time);
        try
        {
            await using var client = await PodClient.ConnectAsync(socketOfSpawner(), name, token, ct: limit.Token);
            await client.AskAsync(new Method.Poke(podId, seq), limit.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or PodRefusedException or OperationCanceledException)
        {
            // The spawner is gone, busy or held. It reads our journal when it can.
        }
        _poked = seq;
    }
}
