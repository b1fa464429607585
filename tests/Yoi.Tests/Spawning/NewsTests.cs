using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Spawning;

/// <summary>What a spawner hears of its children: once, in its journal, and when.</summary>
public sealed class NewsTests : IAsyncLifetime
{
    private readonly PodRoom _room = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    /// <summary>A root with an idle child <c>a</c> of which it has been told everything.</summary>
    private async Task<(RoomPod Root, PodClient Child)> Quiet()
    {
        var root = await _room.Root();
        await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("a"), """CALL WaitForPods {"names":["a"]}""", """CALL ReadPodOutput {"name":"a"}""");
        Assert.Empty(root.All<Entry.News>());
        return (root, await root.ConnectTo("a"));
    }

    [Fact, Trait("case", "T16")]
    public async Task A_child_that_finishes_while_its_spawner_is_idle_starts_one_run_of_it()
    {
        var (root, child) = await Quiet();
        await using var _ = child;
        var head = (await root.Client.StatusAsync(_room.Ct)).HeadSeq;

        await child.RunAsync("hello", ct: _room.Ct);

        var entries = await root.Until(entry => entry is Entry.RunEnded, head + 1);
        var ended = root.Child("a").Journal.Last()!.Time;
        var began = root.Journal.Last(record => record.Entry is Entry.RunStart).Time;
        Assert.InRange(began - ended, TimeSpan.Zero, TimeSpan.FromSeconds(5)); // A second, the case says; a loaded machine is no fault.
        Assert.Equal([typeof(Entry.News), typeof(Entry.RunStart), typeof(Entry.TurnStart), typeof(Entry.Assistant), typeof(Entry.RunEnded)], entries.Select(entry => entry.GetType()));
        Assert.Equal(head + 1, ((Entry.RunStart)entries[1]).Cause);
        Assert.Contains("pod `a` finished its run: completed", ((Entry.News)entries[0]).Text, StringComparison.Ordinal);
        Assert.Equal((PodState.Idle, 0), await root.Client.StatusAsync(_room.Ct) is var status ? (status.State, status.UnreadNews) : default);
    }

    [Fact, Trait("case", "T16")]
    public async Task A_child_that_finishes_while_its_spawner_says_its_last_words_starts_one_more_run()
    {
        var (root, child) = await Quiet();
        await using var _ = child;
        var accepted = await root.Client.RunAsync("SLOW 1200", ct: _room.Ct);
        await root.Until(entry => entry is Entry.TurnStart, accepted.Seq);

        await child.RunAsync("hello", ct: _room.Ct);

        await Eventually.Holds(() => root.All<Entry.RunEnded>().Count == 3);
        var entries = root.Entries.Skip((int)accepted.Seq).ToList();
        Assert.True(entries.FindIndex(entry => entry is Entry.News) > entries.FindIndex(entry => entry is Entry.RunEnded));
        Assert.Single(root.All<Entry.News>());
    }

    [Fact, Trait("case", "T16"), Trait("case", "T05")]
    public async Task A_paused_spawner_is_told_when_it_is_resumed_and_not_before()
    {
        var (root, child) = await Quiet();
        await using var _ = child;
        await root.Spawn("gate", "\nSLOW 600000");
        await child.RunAsync("SLOW 600000", ct: _room.Ct);
        var accepted = await root.Client.RunAsync("""CALL WaitForPods {"names":["gate"]}""", ct: _room.Ct);
        await root.Until(entry => entry is Entry.TurnStart, accepted.Seq);
        await root.Client.PauseAsync(_room.Ct);
        await using (var gate = await root.ConnectTo("gate")) await gate.CancelAsync(_room.Ct); // Now its wait is over, and it pauses.
        await root.Until(entry => entry is Entry.RunPaused, accepted.Seq);

        await child.CancelAsync(_room.Ct);
        await Eventually.Holds(() => root.Client.StatusAsync(_room.Ct).GetAwaiter().GetResult().UnreadNews == 1);
        Assert.IsType<Entry.RunPaused>(root.Entries[^1]);
        Assert.Equal(PodState.Paused, (await root.Client.StatusAsync(_room.Ct)).State);

        await root.Client.ResumeAsync(_room.Ct);
        await root.Until(entry => entry is Entry.RunEnded, accepted.Seq);
        var told = Assert.Single(root.All<Entry.News>());
        Assert.Contains("pod `a` finished its run: cancelled by human", told.Text, StringComparison.Ordinal);
        Assert.Equal(3, root.All<Entry.RunEnded>().Count);
    }

    [Fact]
    public async Task News_is_told_exactly_once_be_it_by_a_wait_a_read_a_notice_or_after_a_restart()
    {
        var (root, child) = await Quiet();
        await using var _ = child;
        // By a wait that is woken.
        var wait = await EndedDuring(root, child, """CALL WaitForPods {"names":["a"]}""");
        Assert.Contains("finished its run", wait[0].Content, StringComparison.Ordinal);
        // By a read, which returns the words with it.
        var read = await EndedDuring(root, child, """CALL ReadPodOutput {"name":"a","wait_seconds":60}""", """CALL WaitForPods {"names":["a"]}""", """CALL ReadPodOutput {"name":"a","wait_seconds":60}""", "CALL WaitForPods {}");
        Assert.Contains("Hello", string.Concat(read[0].Content, read[2].Content), StringComparison.Ordinal);
        Assert.Equal("no pods to wait for: none of yours is working or has news", read[3].Summary);
        Assert.Empty(root.All<Entry.News>());
        // By a notice, once it is back, of what happened while it was dead.
        await root.Killed();
        await root.Client.DisposeAsync();
        var accepted = await child.RunAsync("hello", ct: _room.Ct);
        await Eventually.Holds(() => root.Child("a").Journal.Last()!.Entry is Entry.RunEnded && root.Child("a").Journal.Last()!.Seq > accepted.Seq);
        var again = await _room.Start(root.Document);
        // The news waits: nothing starts by itself in a Pod that came back.
        await Eventually.Holds(() => again.Client.StatusAsync(_room.Ct).GetAwaiter().GetResult() is { State: PodState.Paused, UnreadNews: > 0 });
        var from = root.Journal[^1].Seq + 1;
        await again.Client.ResumeAsync(_room.Ct);
        await again.Until(entry => entry is Entry.RunEnded, from);
        await again.Killed();
        await again.Client.DisposeAsync();

        var last = await _room.Start(root.Document);
        var nothing = await last.Calls("""CALL ReadPodOutput {"name":"a"}""", """CALL ReadPodOutput {"name":"a"}""", "CALL WaitForPods {}", "CALL ListPods {}");

        Assert.Equal("Hello from the mock.", nothing[0].Content);
        Assert.Null(nothing[1].Content);
        Assert.StartsWith("no pods to wait for", nothing[2].Summary, StringComparison.Ordinal);
        Assert.StartsWith("a [alive]", nothing[3].Content, StringComparison.Ordinal);
        Assert.Single(last.All<Entry.News>());
        var told = last.Entries.SelectMany(CursorsOf)
            .Where(cursor => cursor.What == Told.NewsCursor).Select(cursor => cursor.Seq).ToList();
        Assert.Equal(told.Distinct().Order(), told);
        Assert.Equal(4, told.Count); // The task, and three runs.
    }

    /// <summary>The results of calls that wait for a run of the child: it ends only when they have been asked for.</summary>
    private async Task<IReadOnlyList<Entry.ToolResult>> EndedDuring(RoomPod root, PodClient child, params string[] calls)
    {
        var task = await child.RunAsync("SLOW 600000", ct: _room.Ct);
        var accepted = await root.Client.RunAsync(string.Join('\n', calls), ct: _room.Ct);
        await root.Until(entry => entry is Entry.Assistant, accepted.Seq);
        await Eventually.Holds(() => root.Child("a").Journal.Last()!.Seq > task.Seq + 1); // It has asked its model.
        await child.CancelAsync(_room.Ct);
        return [.. (await root.Until(entry => entry is Entry.RunEnded, accepted.Seq)).OfType<Entry.ToolResult>()];
    }

    [Fact, Trait("case", "T26")]
    public async Task A_spawner_that_comes_back_knows_that_input_still_waits_in_its_child()
    {
        var (root, child) = await Quiet();
        await using var _ = child;
        await child.RunAsync("SLOW 900", ct: _room.Ct);
        await child.RunAsync("SLOW 600000", SendMode.Queue, _room.Ct); // Queued before the end that the spawner is told of.
        await Eventually.Holds(() => root.All<Entry.News>().Count == 1 && root.Entries[^1] is Entry.RunEnded);
        await root.Killed();
        await root.Client.DisposeAsync();

        var again = await _room.Start(root.Document);
        var wait = await again.Call("WaitForPods", """{"names":["a"],"timeout_seconds":0}""");

        Assert.Equal("timed out after 0 s; 0 of 1 pod(s) done; still working: a", wait.Summary);
    }

    [Fact, Trait("case", "T17")]
    public async Task Notices_in_a_leaf_are_its_own_business_and_no_model_above_it_is_called()
    {
        var root = await _room.Root();
        await root.Calls("CALL SpawnPod " + RoomPod.SpawnArguments("mid", "\nCALL SpawnPod " + RoomPod.SpawnArguments("leaf")), """CALL WaitForPods {"names":["mid"]}""");
        List<Entry> Of(string name) => [.. _room.Find(name)!.Journal.ReadAfter(Cursor.Start, out _).Select(record => record.Entry)];
        int Turns(string name) => Of(name).Count(entry => entry is Entry.TurnStart);
        // The end of leaf's task is told to mid, in its first run or in one of its own.
        await Eventually.Holds(() => Of("leaf")[^1] is Entry.RunEnded && Of("mid") is [.., Entry.RunEnded] known && known.OfType<Entry.News>().Any());
        await Eventually.Holds(() => IsToldTheLastOf(root, "mid"));
        var before = (Root: Turns("root"), Mid: Turns("mid"), Leaf: Turns("leaf"));

        await using var leaf = await root.ConnectTo("leaf");
        for (var i = 0; i < 50; i++) await leaf.NotifyAsync("test", $"notice {i}", _room.Ct);
        await Eventually.Holds(() => _room.Find("leaf")!.Journal.Last()!.Entry is Entry.RunEnded);
        // A failure is news: when it has come, the notices before it have been read, too.
        await leaf.NotifyAsync("test", "\nERR", _room.Ct);
        await Eventually.Holds(() => Turns("mid") == before.Mid + 1 && Of("mid")[^1] is Entry.RunEnded);
        await Eventually.Holds(() => IsToldTheLastOf(root, "mid"));

        Assert.True(Turns("leaf") > before.Leaf + 1);
        Assert.Equal(before.Root + 1, Turns("root")); // Of the one run that mid had over the failure: none of the fifty.
        var mid = Of("mid").OfType<Entry.News>().ToList();
        Assert.Contains("provider_error", mid[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, mid.Count);
    }

    /// <summary>The spawner has worked on the newest entry of its child, which is news: it is told, and the run that this began is over.</summary>
    private bool IsToldTheLastOf(RoomPod spawner, string name)
    {
        var child = _room.Find(name)!;
        var last = child.Journal.Last()!.Seq;
        return spawner.Entries is [.., Entry.RunEnded] entries
            && entries.SelectMany(CursorsOf).Any(told => told.What == Told.NewsCursor && told.PodId == child.PodId && told.Seq == last);
    }

    private static IReadOnlyList<Told> CursorsOf(Entry entry) => entry is Entry.ToolResult { Told: { } cursors } ? cursors : entry is Entry.News news ? [news.Told] : [];
}
