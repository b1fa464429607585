using System.Net.Sockets;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Delivery;

/// <summary>
/// Pokes the spawner when this Pod's journal has something for it. Best effort, never in anybody's way: a poke that was not taken within a second
/// is tried again <see cref="Pauses"/> later, and after the last of them left to the spawner, which reads on by itself once a minute.
/// </summary>
/// <param name="socketOfSpawner">Asked at each poke: with its spawner gone, a Pod is that of the next above.</param>
internal sealed class Poker(Func<string> socketOfSpawner, string token, string name, string podId, TimeProvider time) : IJournalFold, IAsyncDisposable
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    /// <summary>Before the second try and those behind it.</summary>
    internal static readonly IReadOnlyList<TimeSpan> Pauses = [.. new[] { 1, 2, 4, 8, 16 }.Select(seconds => TimeSpan.FromSeconds(seconds))];

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
        if (Interlocked.Read(ref _seq) > _poked) await TryAsync();
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

    /// <summary>Whoever cannot take it, a busy machine's or a stopped one, is asked again: else it sat out its minute.</summary>
    private async Task PokeAsync()
    {
        foreach (var pause in Pauses)
        {
            if (await TryAsync()) return;
            await Task.Delay(pause, time, _closing.Token);
        }
        await TryAsync();
    }

    /// <returns>The spawner has it.</returns>
    private async Task<bool> TryAsync()
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
            return false; // The spawner is gone, busy or held.
        }
        _poked = seq;
        return true;
    }
}
