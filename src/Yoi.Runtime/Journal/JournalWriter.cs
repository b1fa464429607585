using System.Threading.Channels;
using Yoi.Protocol;

namespace Yoi.Runtime.Journal;

/// <summary>How durable an append must be before it counts.</summary>
internal enum Durability
{
    /// <summary>Written to the file in one write; survives the process.</summary>
    Written,
    /// <summary>Written and synced; survives a power loss.</summary>
    Synced,
}

/// <summary>What keeps memory equal to the journal: told of every record, in order, once it is in the file.</summary>
/// <remarks>Called on the journal's own loop; must be quick and must not throw.</remarks>
internal interface IJournalFold
{
    void Apply(JournalRecord record);
}

/// <summary>The journal cannot be written; the run ends with <c>disk_error</c> before the next tool.</summary>
internal sealed class JournalException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The single append path of one Pod's journal. Owns the file and a loop; appends are written in the order in which
/// they were asked for, one write a record, groups share one fsync. After a record is as durable as asked: folds,
/// then subscribers, then the caller. What they are given is what the line in the file says, read back.
/// </summary>
internal sealed class JournalWriter : IAsyncDisposable
{
    private const int MostCommandsAtOnce = 256;

    private readonly Channel<Command> _commands = Channel.CreateUnbounded<Command>(new() { SingleReader = true });
    private readonly JournalAppender _appender;
    private readonly PodLock _podLock;
    private readonly IReadOnlyList<IJournalFold> _folds;
    private readonly JournalTail _tail;
    private readonly Task _loop;
    private Command.Append? _last; // Only the loop's.
    private int _disposed;

    private JournalWriter(JournalAppender appender, PodLock podLock, IReadOnlyList<IJournalFold> folds, JournalTail tail, JournalHealth found)
    {
        (_appender, _podLock, _folds, _tail, Found) = (appender, podLock, folds, tail, found);
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>
    /// Opens (or creates) the journal in <paramref name="podDirectory"/>, repairs a torn tail and reports what it found
    /// with a <see cref="Entry.Repaired"/> entry. Replays every existing record through <paramref name="folds"/>.
    /// </summary>
    /// <exception cref="JournalException">Another writes it, it is of a newer version, or it cannot be read or written.</exception>
    internal static JournalWriter Open(string podDirectory, PodLock podLock, IReadOnlyList<IJournalFold> folds, TimeProvider time) =>
        Open(podDirectory, podLock, folds, time, path => new JournalFile(path));

    /// <summary>As above, on a file that a test has made.</summary>
    internal static JournalWriter Open(
        string podDirectory, PodLock podLock, IReadOnlyList<IJournalFold> folds, TimeProvider time, Func<string, JournalFile> open)
    {
        var path = Path.Combine(podDirectory, PodFiles.Journal);
        if (podLock.Directory != podDirectory) throw new JournalException($"{path}: the lock is that of {podLock.Directory}");
        if (!podLock.TryClaimWriter()) throw new JournalException($"{path}: this process writes it already");
        JournalFile? file = null;
        var opened = false;
        try
        {
            podLock.NothingSynced();
            file = open(path);
            if (file.IsNew)
            {
                Failpoint.Pass(Failpoints.ChildJournal);
                PrivateFile.SyncDirectory(podDirectory);
            }
            var tail = new JournalTail(path);
            var (appender, found) = JournalOpening.Replay(path, file, time, folds, tail);
            podLock.Synced(file.Length);
            opened = true;
            return new JournalWriter(appender, podLock, folds, tail, found);
        }
        catch (IOException e)
        {
            throw new JournalException($"{path}: cannot be opened: {e.Message}", e);
        }
        finally
        {
            if (!opened)
            {
                file?.Dispose();
                podLock.ReleaseWriter();
            }
        }
    }

    /// <summary>What opening found, before it was repaired.</summary>
    internal JournalHealth Found { get; }

    /// <summary>Seq of the newest record; 0 before the first.</summary>
    internal long HeadSeq => _tail.HeadSeq;

    /// <summary>Time of the newest record.</summary>
    internal DateTimeOffset LastTime => _tail.LastTime;

    /// <summary>Appends entries, in order, next to each other. Completes when they are durable as asked and applied to the folds.</summary>
    /// <exception cref="JournalException">The append or sync failed: nothing of this call counts, the tail was or will be repaired.</exception>
    internal Task<IReadOnlyList<JournalRecord>> AppendAsync(Durability durability, params IReadOnlyList<Entry> entries) =>
        AskAsync(new Command.Append(durability, entries));

    /// <summary>Appends the Pod's end, synced. Once it is written nothing comes behind it: what is asked for later fails.</summary>
    /// <exception cref="JournalException">It could not be written, and other entries still can be asked for.</exception>
    internal Task AppendLastAsync(Entry.PodEnded end) => AskAsync(new Command.Append(Durability.Synced, [end], Last: true));

    private Task<IReadOnlyList<JournalRecord>> AskAsync(Command.Append append)
    {
        if (!_commands.Writer.TryWrite(append)) append.Done.SetException(_appender.Closed());
        return append.Done.Task;
    }

    /// <summary>
    /// Everything from <paramref name="fromSeq"/> on: replay from the file, then the tail, without gap or double.
    /// Backlog in bytes is bounded; a reader that falls behind gets <see cref="FeedItem.Gap"/> and the feed ends.
    /// </summary>
    internal JournalFeed Subscribe(long fromSeq, int maxBacklogBytes) => _tail.Subscribe(Math.Max(1, fromSeq), maxBacklogBytes);

    /// <summary>What is appended from now on; reads nothing from the file.</summary>
    internal JournalFeed SubscribeFromNow(int maxBacklogBytes) => _tail.Subscribe(null, maxBacklogBytes);

    /// <summary>Hands a delta (no fact) to subscribers, behind all records appended before.</summary>
    internal void PublishDelta(Event.Delta delta) => _commands.Writer.TryWrite(new Command.Stream(delta));

    /// <summary>Writes and syncs what is queued, closes the file. Feeds end behind the last record.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _commands.Writer.TryComplete();
        try
        {
            await _loop;
        }
        finally
        {
            _tail.Close();
            _appender.Dispose();
            _podLock.ReleaseWriter();
        }
    }

    private async Task LoopAsync()
    {
        var batch = new List<Command>();
        try
        {
            while (await _commands.Reader.WaitToReadAsync())
            {
                while (batch.Count < MostCommandsAtOnce && _commands.Reader.TryRead(out var command)) batch.Add(command);
                Write(batch);
                foreach (var command in batch) Publish(command);
                batch.Clear();
            }
            _appender.SyncBeforeClose();
        }
        catch (Exception e)
        {
            // A fold threw, or we are wrong in another way: whoever waits must hear of it, and nothing is written any more.
            _commands.Writer.TryComplete(e);
            while (_commands.Reader.TryRead(out var command)) batch.Add(command);
            foreach (var command in batch) (command as Command.Append)?.Done.TrySetException(_appender.Closed(e));
            throw;
        }
    }

    // All records of the batch, then one sync for all. A call that fails stands alone; a failed sync takes all with it.
    private void Write(List<Command> batch)
    {
        var mark = _appender.Mark;
        var sync = false;
        foreach (var command in batch)
        {
            if (command is not Command.Append append) continue;
            try
            {
                if (_last is not null) throw _appender.Closed();
                append.Records = _appender.Append(append.Entries);
                sync |= append.Durability == Durability.Synced;
                if (append.Last) _last = append;
            }
            catch (JournalException e)
            {
                append.Failure = e;
            }
        }
        if (!sync) return;
        try
        {
            _appender.SyncOrCut(mark);
            _podLock.Synced(_appender.Mark.Length);
        }
        catch (JournalException e)
        {
            foreach (var command in batch)
            {
                if (command is Command.Append append) append.Failure ??= e;
            }
            if (_last is { Failure: not null }) _last = null;
        }
    }

    private void Publish(Command command)
    {
        switch (command)
        {
            case Command.Append { Failure: { } failure } append:
                append.Done.SetException(failure);
                break;
            case Command.Append append:
                foreach (var record in append.Records)
                {
                    foreach (var fold in _folds) fold.Apply(record);
                    _tail.Publish(record);
                }
                append.Done.SetResult(append.Records);
                break;
            case Command.Stream stream:
                _tail.Publish(stream.Delta);
                break;
        }
    }

    private abstract record Command
    {
        private Command() { }

        internal sealed record Append(Durability Durability, IReadOnlyList<Entry> Entries, bool Last = false) : Command
        {
            internal TaskCompletionSource<IReadOnlyList<JournalRecord>> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

            internal IReadOnlyList<JournalRecord> Records { get; set; } = [];

            internal JournalException? Failure { get; set; }
        }

        internal sealed record Stream(Event.Delta Delta) : Command;
    }
}
