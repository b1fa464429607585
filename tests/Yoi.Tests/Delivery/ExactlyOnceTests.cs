using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;
using Yoi.Shared;
using Yoi.Tests.Socket;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Delivery;

/// <summary>Real Pods: whatever their spawner does or suffers meanwhile, what children have to tell is told once.</summary>
public sealed class ExactlyOnceTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    /// <summary>A root with idle children of which it has been told everything.</summary>
    private async Task<RoomPod> Quiet(params string[] children)
    {
        var root = await _room.Root(with: d => d with { Limits = d.Limits with { Children = 40, PodsInTree = 60 } });
        await root.Calls([.. children.Select(child => "CALL SpawnPod " + RoomPod.SpawnArguments(child)), """CALL WaitForPods {"until":"all"}""",
            .. children.Select(child => $$"""CALL ReadPodOutput {"name":"{{child}}"}""")]);
        await Eventually.Holds(() => Told(root).Count == children.Length);
        return root;
    }

    /// <summary>The items that the root's journal tells, child and seq.</summary>
    private static List<(string Child, long Seq)> Told(RoomPod root) =>
    [
        .. root.Entries.SelectMany(entry => entry is Entry.ToolResult { Told: { } cursors } ? cursors : entry is Entry.News news ? [news.Told] : [])
            .Where(cursor => cursor.What == Yoi.Protocol.Told.NewsCursor).Select(cursor => (cursor.PodId, cursor.Seq)).Distinct(),
    ];

    private static List<(string Child, long Seq)> News(RoomPod root) => [.. root.All<Entry.News>().Select(news => (news.Told.PodId, news.Told.Seq))];

    /// <summary>Seqs of all that is news in the children's journals.</summary>
    private List<(string Child, long Seq)> Items(RoomPod root) =>
    [
        .. Children(root).SelectMany(child => child.Journal
            .ReadAfter(Cursor.Start, out _).Where(record => record.Entry is Entry.RunEnded or Entry.PodEnded).Select(record => (child.PodId, record.Seq))),
    ];

    private IEnumerable<KnownPod> Children(RoomPod root) =>
        root.All<Entry.ChildSpawned>().Select(child => new KnownPod(child.Child, child.ChildId, _room.Directories.Pod(child.Child, child.ChildId)));

    /// <summary>Waits until all ends are recorded, everything is told and the root rests; each item was told once, no entry doubles another.</summary>
    private async Task AllToldOnce(RoomPod root)
    {
        await Eventually.Holds(() => Children(root).All(child => child.IsAlive || child.Journal.Last()?.Entry is Entry.PodEnded) && Items(root) is var items && Told(root).Count >= items.Count && items.All(Told(root).Contains)
            && root.Client.StatusAsync(_room.Ct).GetAwaiter().GetResult() is { State: PodState.Idle, UnreadNews: 0 });
        Assert.Equal(Items(root).Order(), Told(root).Order());
        Assert.Equal(News(root).Distinct().Count(), News(root).Count);
    }

    /// <summary>Every kind of event, one a child: completed, failed, cancelled, crashed, stopped.</summary>
    private async Task EveryKind(RoomPod root)
    {
        await using (var cancelled = await root.ConnectTo("cancelled"))
        {
            if ((await cancelled.StatusAsync(_room.Ct)).State == PodState.Idle) await cancelled.RunAsync("SLOW 600000", ct: _room.Ct);
            await cancelled.CancelAsync(_room.Ct);
        }
        await using (var completed = await root.ConnectTo("completed")) await completed.RunAsync("hello", ct: _room.Ct);
        await using (var failed = await root.ConnectTo("failed")) await failed.RunAsync("ERR", ct: _room.Ct);
        using var crashing = root.Child("crashed").FindProcess()!;
        crashing.Signal(Libc.SigKill);
        using var table = _room.Table();
        await new TreeStopper(_room.Directories, table, TimeProvider.System).StopAsync(root.Child("stopped"), "human", force: false, _room.Ct);
        await crashing.Exited;
        await Eventually.Holds(() => new[] { "cancelled", "completed", "failed" }.All(name => root.Child(name).Journal.Last()!.Entry is Entry.RunEnded));
    }

    private static readonly string[] Kinds = ["completed", "failed", "cancelled", "crashed", "stopped"];

    [Theory, Trait("case", "T05")]
    [InlineData("idle")]
    [InlineData("running")]
    [InlineData("paused")]
    [InlineData("stopping")]
    public async Task Every_kind_of_event_is_told_once_whatever_the_spawner_does_just_then(string state)
    {
        var root = await Quiet([.. Kinds, "gate"]);
        if (state is "running" or "stopping") await Begin(root, "SLOW 600000");
        if (state == "paused")
        {
            await using var gate = await root.ConnectTo("gate");
            await gate.RunAsync("SLOW 600000", ct: _room.Ct);
            await Begin(root, """CALL WaitForPods {"names":["gate"]}""");
            await root.Client.PauseAsync(_room.Ct);
            await gate.CancelAsync(_room.Ct); // Now its wait is over, and it pauses.
            await root.Until(entry => entry is Entry.RunPaused);
        }
        if (state == "stopping") await root.Client.ShutdownAsync(_room.Ct);

        await EveryKind(root);

        if (state == "running") await root.Client.CancelAsync(_room.Ct);
        if (state == "paused") await root.Client.ResumeAsync(_room.Ct);
        if (state == "stopping")
        {
            await root.Launched.Process.Exited.WaitAsync(PodRoom.Patience, _room.Ct);
            await root.Client.DisposeAsync();
            root = await Back(root);
        }
        await AllToldOnce(root);
        await Eventually.Holds(() => root.All<Entry.ChildEnded>().Count == 2); // Told from the child's journal, it may have yet to be recorded in its spawner's.
    }

    private async Task Begin(RoomPod root, string task)
    {
        var accepted = await root.Client.RunAsync(task, ct: _room.Ct);
        await root.Until(entry => entry is Entry.TurnStart, accepted.Seq);
    }

    [Theory, Trait("case", "T04")]
    [InlineData("busy")]
    [InlineData("down")]
    public async Task A_thousand_events_while_the_spawner_is_busy_or_down_are_told_once_each_and_start_one_run(string spawner)
    {
        var runs = Slice.Of(10, 100);
        string[] names = [.. Enumerable.Range(0, Slice.Of(4, 10)).Select(number => $"c{number}")];
        var root = await Quiet(names);
        if (spawner == "busy") await Begin(root, "SLOW 600000");
        else await Down(root);

        foreach (var name in names)
        {
            // A sender that never reads: its methods are executed all the same.
            using var deaf = await RawClient.ConnectAsync(_room.Directories.Socket(root.Child(name).PodId));
            for (var run = 0; run < runs; run++) await deaf.SendAsync($$$"""{"method":"run","params":{"input":"task {{{run}}}","mode":"queue"}}""");
            await Eventually.Holds(() => Ended(name) == runs + 1);
        }
        var before = root.All<Entry.RunStart>().Count;
        var news = names.Length * runs; // All of it is known before anything is told, so that one run tells all.
        if (spawner == "busy")
        {
            await Eventually.Holds(() => root.Client.StatusAsync(_room.Ct).GetAwaiter().GetResult().UnreadNews == news);
            await root.Client.CancelAsync(_room.Ct);
        }
        else
        {
            root = await Back(root, news);
        }
        await AllToldOnce(root);
        Assert.Equal(names.Length * (runs + 1), Told(root).Count);
        Assert.Equal(before + 1, root.All<Entry.RunStart>().Count);

        int Ended(string name) => root.Child(name).Journal.ReadAfter(Cursor.Start, out _).Count(record => record.Entry is Entry.RunEnded);
    }

    /// <summary>The same Pod again. Nothing starts by itself: what waited goes on when it is resumed.</summary>
    private async Task<RoomPod> Back(RoomPod root, int news = 1)
    {
        var again = await _room.Start(root.Document);
        if (news == 0)
        {
            await again.Calls();
            return again;
        }
        await Eventually.Holds(() => again.Client.StatusAsync(_room.Ct).GetAwaiter().GetResult() is { State: PodState.Paused, UnreadNews: var untold } && untold >= news);
        await again.Client.ResumeAsync(_room.Ct);
        return again;
    }

    private static async Task Down(RoomPod root)
    {
        await root.Killed();
        await root.Client.DisposeAsync();
    }

    [Fact, Trait("case", "T04")]
    public async Task A_hundred_completions_of_ten_children_reach_a_spawner_with_a_journal_of_ten_megabytes_once_each()
    {
        string[] names = [.. Enumerable.Range(0, Slice.Of(3, 10)).Select(number => $"c{number}")];
        var root = await Quiet(names);
        await Down(root);
        await Fill(root, 10 << 20);
        root = await Back(root, news: 0);

        await Task.WhenAll(names.Select(async name =>
        {
            using var deaf = await RawClient.ConnectAsync(_room.Directories.Socket(root.Child(name).PodId));
            for (var run = 0; run < 10; run++) await deaf.SendAsync($$$"""{"method":"run","params":{"input":"task {{{run}}}","mode":"queue"}}""");
            await Eventually.Holds(() => root.Child(name).Journal.ReadAfter(Cursor.Start, out _).Count(record => record.Entry is Entry.RunEnded) == 11);
        }));

        await AllToldOnce(root);
        Assert.Equal(names.Length * 11, Told(root).Count);
    }

    /// <summary>Entries of an old life, so that its journal is long.</summary>
    private static async Task Fill(RoomPod root, int bytes)
    {
        using var right = PodLock.TryTakeJournalOfDead(root.Known.Directory)!;
        await using var journal = JournalWriter.Open(root.Known.Directory, right, [], TimeProvider.System);
        for (var written = 0; written < bytes; written += 64 << 10)
            await journal.AppendAsync(Durability.Written, new Entry.Notification("warn", "test", new string('x', 64 << 10)));
    }

    [Theory]
    [InlineData("deliver.read#1:kill")]
    [InlineData("deliver.read#3:kill")]
    [InlineData("deliver.append#1:kill")]
    [InlineData("deliver.append#1:eio")]
    [InlineData("deliver.append#1:enospc")]
    [InlineData("deliver.read#2:eio")]
    [InlineData("journal.appended#3:kill")]
    [InlineData("journal.sync#2:kill")]
    public async Task A_spawner_that_fails_at_a_step_of_delivery_tells_each_item_once_when_it_is_back(string failpoint)
    {
        var root = await Quiet(Kinds);
        await Down(root);
        await EveryKind(root);
        RoomPod? again = null;
        try
        {
            again = await _room.Start(root.Document, failpoint);
            if ((await again.Client.StatusAsync(_room.Ct)).State == PodState.Paused) await again.Client.ResumeAsync(_room.Ct);
            await using var completed = await root.ConnectTo("completed");
            await completed.RunAsync("once more", ct: _room.Ct);
            await Eventually.Holds(() => root.Child("completed").Journal.Last()!.Entry is Entry.RunEnded);
        }
        catch (Exception e) when (e is LaunchException or IOException or PodRefusedException)
        {
            // It was killed, or its journal failed.
        }
        if (again?.Known.IsAlive == true) await again.Killed();
        if (again is not null) await again.Client.DisposeAsync();

        var last = await _room.Start(root.Document);
        await last.Calls();
        await AllToldOnce(last);
    }
}
