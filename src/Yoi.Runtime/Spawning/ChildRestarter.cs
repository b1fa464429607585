using System.Net.Sockets;
using System.Threading.Channels;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Starts children again that crashed, where their spawner asked for that (<c>restart: on_crash</c>): at most three times in a minute, each
/// time later, then the child has failed, and spawner and human decide. What ended on purpose, or while this Pod was not there, is not started again.
/// </summary>
/// <param name="restore">Brings a child back by its id; throws what <see cref="ChildSpawner.RestoreAsync"/> throws.</param>
internal sealed class ChildRestarter(Func<string, CancellationToken, Task> restore, JournalWriter journal, YoiDirectories directories, TimeProvider time) : IAsyncDisposable
{
    private const int MostInWindow = 3;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(60), FirstPause = TimeSpan.FromSeconds(1), AnswerLimit = TimeSpan.FromSeconds(10);

    private readonly Channel<Crash> _crashes = Channel.CreateUnbounded<Crash>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _closing = new();
    private readonly Dictionary<string, List<long>> _restarts = new(StringComparer.Ordinal);
    private Task _loop = Task.CompletedTask;

    private sealed record Crash(string Child, string ChildId, string How);

    internal void Start() => _loop = RunAsync(_closing.Token);

    /// <summary>A child's end that this process recorded.</summary>
    /// <param name="watched">
    /// True if this process saw it alive and did not end it. Of a child of an earlier process of ours the exit status is nobody's to see: one that is gone
    /// without having recorded an end, and without anybody's note that he kills it, crashed.
    /// </param>
    internal void Ended(Entry.ChildSpawned child, Entry.ChildEnded end, bool watched)
    {
        var crashed = end.Reason == PodEnd.Crashed || end is { Reason: PodEnd.Killed, By: null } || (end.Reason == PodEnd.Lost && watched);
        if (crashed && child.Restart == SpawnRequest.OnCrash) _crashes.Writer.TryWrite(new Crash(child.Child, child.ChildId, end.Detail ?? "crashed"));
    }

    public async ValueTask DisposeAsync()
    {
        _crashes.Writer.TryComplete();
        await _closing.CancelAsync();
        await _loop;
        _closing.Dispose();
    }

    private async Task RunAsync(CancellationToken ct)
    {
        try
        {
            await foreach (var crash in _crashes.Reader.ReadAllAsync(ct)) await RestartAsync(crash, ct);
        }
        catch (OperationCanceledException)
        {
            // We end first.
        }
        catch (JournalException)
        {
            // Nothing can be recorded any more; the run that meets this says so.
        }
    }

    private async Task RestartAsync(Crash crash, CancellationToken ct)
    {
        if (!_restarts.TryGetValue(crash.ChildId, out var before)) _restarts[crash.ChildId] = before = [];
        before.RemoveAll(then => time.GetElapsedTime(then) > Window);
        if (before.Count == MostInWindow)
        {
            await TellAsync("error", $"pod `{crash.Child}` crashed again ({crash.How}) after {MostInWindow} restarts within {Window.TotalSeconds:0} s; it has failed and is not started again");
            return;
        }
        await Task.Delay(FirstPause * (1 << before.Count), time, ct);
        before.Add(time.GetTimestamp());
        try
        {
            await restore(crash.ChildId, ct);
            await GoOnAsync(crash, ct);
            await TellAsync("warn", $"pod `{crash.Child}` crashed ({crash.How}) and was started again ({before.Count} of at most {MostInWindow} times within {Window.TotalSeconds:0} s)");
        }
        catch (Exception e) when (e is SpawnException or IOException or UnauthorizedAccessException or Scopes.ScopeException)
        {
            await TellAsync("error", $"pod `{crash.Child}` crashed ({crash.How}) and could not be started again: {e.Message}");
        }
    }

    /// <summary>Its run was cut off; that is what it was started again for.</summary>
    private async Task GoOnAsync(Crash crash, CancellationToken ct)
    {
        try
        {
            await using var client = await PodClient.ConnectAsync(directories.Socket(crash.ChildId), limit: AnswerLimit, ct: ct);
            await client.AskAsync(new Method.Resume(), ct);
        }
        catch (Exception e) when (e is PodRefusedException or IOException or SocketException or TimeoutException)
        {
            // It was between runs, or has crashed again, which comes here by itself.
        }
    }

    private async Task TellAsync(string level, string words) => await
        journal.AppendAsync(Durability.Synced, new Entry.Notification(level, "restart", words), new Entry.Correction("[yoi] " + words));
}
