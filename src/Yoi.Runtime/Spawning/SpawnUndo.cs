using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Takes back what spawns that came to nothing have left: process, grant and files, on a disk that was full perhaps. The intent stays open in the
/// journal until all of it is done: it is tried again, and by this Pod's next process if this one ends first.
/// </summary>
internal sealed class SpawnUndo(LaunchDocument own, ScopeTable table, JournalWriter journal, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(200), LongestPause = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private Task _going = Task.CompletedTask;

    /// <summary>Something of that Pod is left: whoever brought it back now would have it taken away again.</summary>
    internal bool IsOf(string podId)
    {
        lock (_gate) return _ids.Contains(podId);
    }

    /// <summary>Returns when it was tried once; what could not be done then is done later.</summary>
    internal async Task BeginAsync(Entry.SpawnFailed failed)
    {
        if (!await TryAsync(failed, null)) Later(failed, null);
    }

    /// <summary>Goes on with it until it is done, then appends <paramref name="failed"/>.</summary>
    internal void Later(Entry.SpawnFailed failed, ProcessExit? exit)
    {
        lock (_gate)
        {
            _ids.Add(failed.ChildId);
            _going = Task.WhenAll(_going, AgainAsync(failed, exit));
        }
    }

    private async Task AgainAsync(Entry.SpawnFailed failed, ProcessExit? exit)
    {
        try
        {
            for (var pause = ShortestPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
            {
                await Task.Delay(pause, time, _closing.Token);
                if (!await TryAsync(failed, exit)) continue;
                lock (_gate) _ids.Remove(failed.ChildId);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // We end first: the next start finds the intent.
        }
    }

    private async Task<bool> TryAsync(Entry.SpawnFailed failed, ProcessExit? exit)
    {
        try
        {
            var pod = new KnownPod(failed.Child, failed.ChildId, own.Directories.Pod(failed.Child, failed.ChildId));
            if (Directory.Exists(pod.Directory)) await new TreeStopper(own.Directories, table, time).StopAsync(pod, own.Name, force: true, _closing.Token);
            var back = await table.ReleaseAsync(pod.PodId, _closing.Token);
            await EndRecord.RemoveUnbornAsync(pod, own.Directories, exit, back, own.Name, time);
            await journal.AppendAsync(Durability.Synced, failed);
            return true;
        }
        catch (Exception e) when (e is ScopeException or StopException or JournalException or IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        Task going;
        lock (_gate) going = _going;
        await going;
        _closing.Dispose();
    }
}
