using Yoi.Protocol;
using Yoi.Runtime.Delivery;
using Yoi.Runtime.Journal;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Delivery;

/// <summary>A Pod that is nothing but a journal: this process writes it as that Pod's process would.</summary>
internal sealed class JournalledPod : IAsyncDisposable
{
    private readonly PodLock _lock;

    internal JournalledPod(SpawningRoot root, string name, string? id = null, params IReadOnlyList<IJournalFold> folds)
    {
        (Name, Id) = (name, id ?? PodName.NewId(TimeProvider.System));
        Directory = root.Directories.Pod(Name, Id);
        System.IO.Directory.CreateDirectory(Directory);
        _lock = PodLock.TryTake(Directory) ?? throw new InvalidOperationException("held");
        Journal = JournalWriter.Open(Directory, _lock, folds, TimeProvider.System);
    }

    internal string Name { get; }
    internal string Id { get; }
    internal string Directory { get; }
    internal JournalWriter Journal { get; }

    internal Entry.ChildSpawned Spawned => new(Name, Id, 1, "0", "boot", [], 1, null);

    internal Task<IReadOnlyList<JournalRecord>> Says(params IReadOnlyList<Entry> entries) => Journal.AppendAsync(Durability.Synced, entries);

    /// <summary>A run with one message.</summary>
    internal Task Runs(int run, string text, RunEnd end = RunEnd.Completed, string? detail = null) => Says(
        new Entry.Input("task"), new Entry.RunStart(run, null), new Entry.TurnStart(run),
        Said(text, run), new Entry.RunEnded(run, end, null, detail, 1));

    internal static Entry.Assistant Said(string text, int turn = 0, bool partial = false) =>
        new(turn, [new AssistantBlock.Text(text)], new Usage(10, 5), "end_turn", partial);

    public async ValueTask DisposeAsync()
    {
        await Journal.DisposeAsync();
        _lock.Dispose();
    }
}

/// <summary>A spawner that is nothing but its journal and its news desk.</summary>
internal sealed class SpawnerDesk : IAsyncDisposable
{
    private readonly JournalledPod _pod;
    private int _arrived;

    internal SpawnerDesk(SpawningRoot root, string id = "0123456789abcdef0123456789abcdef")
    {
        Desk = new NewsDesk(root.Directories);
        Desk.Arrived += () => Interlocked.Increment(ref _arrived);
        _pod = new JournalledPod(root, "spawner", id, Desk);
        Desk.Start(_pod.Journal);
    }

    internal NewsDesk Desk { get; }
    internal int Arrived => Volatile.Read(ref _arrived);
    internal JournalledPod Pod => _pod;

    internal Task Says(params IReadOnlyList<Entry> entries) => _pod.Says(entries);

    internal Task<IReadOnlyList<ChildState>> Look(CancellationToken ct) => Desk.LookAsync(Desk.Book.All, ct);

    internal IReadOnlyList<Entry.News> Told => [.. new JournalReader(Path.Combine(_pod.Directory, PodFiles.Journal))
        .ReadAfter(Cursor.Start, out _).Select(record => record.Entry).OfType<Entry.News>()];

    public async ValueTask DisposeAsync()
    {
        await Desk.DisposeAsync();
        await _pod.DisposeAsync();
    }
}
