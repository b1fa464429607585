using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Tests.Structure;

namespace Yoi.Tests.Journal;

/// <summary>
/// Journals that earlier builds wrote, byte for byte. Never regenerate one: a new version of the format gets a new folder.
/// What they say stands here by hand and not in the code that wrote them.
/// </summary>
public sealed class OldJournalTests
{
    private static readonly ScopeRule Repo = new("/home/me/repo", Permission.Write);
    private static readonly ScopeRule Sub = new("/home/me/repo/sub", Permission.Write);
    private const string Hard = "quotes \" \\ and </script>, a tab\t, lines\r\n\n, NUL \0, ü, 世界, 👩‍👩‍👧, \u2028 and \u007f";

    [Fact]
    public async Task Version_1_with_an_entry_of_every_kind()
    {
        await using var pod = new TempPod();
        File.Copy(PathOf("v1/every-kind.jsonl"), pod.Journal);
        var records = pod.Reader.ReadAfter(Cursor.Start, out var health);
        Assert.Equal(JournalHealth.Good, health);
        Assert.Equal(Enumerable.Range(1, 22).Select(seq => (long)seq), records.Select(record => record.Seq));
        Assert.Equal("c87add5c", records[0].Crc);
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 12, 0, 25, 914, TimeSpan.Zero), records[21].Time);
        using var said = records.Select(record => record.Entry).GetEnumerator();
        T Next<T>() where T : Entry => said.MoveNext() ? Assert.IsType<T>(said.Current) : throw new InvalidOperationException("too few");

        var created = Next<Entry.PodCreated>();
        Assert.Equal((1, "0198c0ffee00700080000000000000aa", "worker-1", "/home/me/repo", 41), (created.Version, created.PodId, created.Name, created.Cwd, created.Generation));
        Assert.Equal(new ModelChoice("openai", "gpt-x", "http://127.0.0.1:8080/v1", 4_096, "script.jsonl", 1_024), created.Model);
        Assert.Equal([Repo, new ScopeRule("/usr/include", Permission.Read, false)], created.Scope.Allow);
        Assert.Equal([new ScopeRule("/home/me/repo/.git/hooks", Permission.Write)], created.Scope.Deny);
        Assert.Equal(new SpawnerRef("lead", "0198c0ffee00700080000000000000bb", "/run/user/1000/yoi/0198c0ffee00700080000000000000bb.sock"), created.Spawner);
        Assert.Equal((1, "You review.", "env:OPENAI_API_KEY", "yoi 0.1.0"), (created.Depth, created.Role, created.KeySource, created.LaunchedBy));
        Assert.Equal(new PodLimits(20, 3, 2, 9), created.Limits);
        Assert.Equal(new Entry.ProcessStarted(4_242, "987654", "8a2f0c1e-0000-4000-8000-000000000001", "full"), Next<Entry.ProcessStarted>());
        var prompt = Next<Entry.Prompt>();
        Assert.Equal("You are a Pod.\n" + Hard, prompt.System);
        var tool = Assert.Single(prompt.Tools);
        Assert.Equal(("Read", "Reads a file.", """{"type":"object","properties":{"path":{"type":"string"}}}"""), (tool.Name, tool.Description, tool.Parameters.GetRawText()));
        Assert.Equal(new Entry.Input("Fix the build. " + Hard, "lead", true), Next<Entry.Input>());
        Assert.Equal(new Entry.RunStart(0, 4), Next<Entry.RunStart>());
        Assert.Equal(new Entry.TurnStart(0), Next<Entry.TurnStart>());
        var assistant = Next<Entry.Assistant>();
        Assert.Equal((0, "tool_use", true, new Usage(1_200, 34, 1_000, 200)), (assistant.Turn, assistant.StopReason, assistant.Partial, assistant.Usage));
        Assert.Equal(
            [
                new AssistantBlock.Thinking("Let me see.", "sig=="), new AssistantBlock.Text("I'll read it."),
                new AssistantBlock.ToolCall("call_1", "Read", """{"path": "/home/me/repo/a.txt"}"""),
            ],
            assistant.Blocks);
        var result = Next<Entry.ToolResult>();
        Assert.Equal(("call_1", "Read", "12 lines", Hard, true, true), (result.CallId, result.Name, result.Summary, result.Content, result.IsError, result.OutcomeUnknown));
        Assert.Equal([new Told("c1", "output", 7, 812, "1a2b3c4d")], result.Told);
        Assert.Equal(new Entry.Correction("The call was cut off and not run."), Next<Entry.Correction>());
        Assert.Equal(new Entry.Notify("clock", "It is noon."), Next<Entry.Notify>());
        Assert.Equal(new Entry.RunPaused(0, "human"), Next<Entry.RunPaused>());
        Assert.Equal(new Entry.RunResumed(0, "human"), Next<Entry.RunResumed>());
        Assert.Equal(new Entry.Notification("warning", "journal", "The disk is nearly full."), Next<Entry.Notification>());
        var lend = Next<Entry.LendIntended>();
        Assert.Equal(("child", "c1", Sub), (lend.Child, lend.ChildId, Assert.Single(lend.Rules)));
        var scope = Next<Entry.ScopeChanged>();
        Assert.Equal((2, 1, 42, "lent to child"), (scope.Scope.Allow.Count, scope.Scope.Deny.Count, scope.Generation, scope.Why));
        var lent = Assert.Single(scope.Lent);
        Assert.Equal(("child", "c1", Sub, 42), (lent.Child, lent.ChildId, Assert.Single(lent.Rules), lent.Generation));
        var spawned = Next<Entry.ChildSpawned>();
        Assert.Equal(
            ("child", "c1", 4_300, "987700", "8a2f0c1e-0000-4000-8000-000000000001", Sub, 42, "call_2"),
            (spawned.Child, spawned.ChildId, spawned.Pid, spawned.StartTime, spawned.BootId, Assert.Single(spawned.Rules), spawned.Generation, spawned.CallId));
        Assert.Equal(new Entry.SpawnFailed("other", "c2", "ready", "it said: no such model"), Next<Entry.SpawnFailed>());
        Assert.Equal(new Entry.News("child", "child has finished: done", new Told("c1", "news", 9, 1_024, "00ff00ff")), Next<Entry.News>());
        var gone = Next<Entry.ChildEnded>();
        Assert.Equal(
            ("child", "c1", PodEnd.Crashed, null, "signal 9", Sub),
            (gone.Child, gone.ChildId, gone.Reason, gone.By, gone.Detail, Assert.Single(gone.Returned)));
        Assert.Equal(new Entry.RunEnded(0, RunEnd.Cancelled, "human", "at the terminal", 1), Next<Entry.RunEnded>());
        Assert.Equal(new Entry.Repaired(17, 1), Next<Entry.Repaired>());
        var end = Next<Entry.PodEnded>();
        Assert.Equal(
            (PodEnd.Stopped, "lead", "asked to", Repo, new Totals(1, 1, 1_200, 34), "lead"),
            (end.Reason, end.By, end.Detail, Assert.Single(end.Returned), end.Totals, end.WrittenBy));
        Assert.False(said.MoveNext());
    }

    [Fact]
    public async Task Version_1_damaged_in_the_middle_and_torn_at_the_end()
    {
        await using var pod = new TempPod();
        File.Copy(PathOf("v1/damaged-and-torn.jsonl"), pod.Journal);
        var records = pod.Reader.ReadAfter(Cursor.Start, out var health);
        Assert.Equal([1, 2, 3, 5, 6, 7], records.Select(record => record.Seq));
        Assert.Equal((1, 32, 4), (health.DamagedLines, health.UnfinishedBytes, health.FirstDamage?.Line));
        pod.Open();
        Assert.Equal(new Entry.Repaired(32, 1), pod.Folded.Records[^1].Entry);
        Assert.Equal(8, pod.Writer!.HeadSeq);
    }

    [Fact]
    public async Task Every_old_journal_can_be_opened_and_written_on()
    {
        var all = Directory.GetFiles(PathOf(""), "*.jsonl", SearchOption.AllDirectories);
        Assert.True(all.Length >= 2);
        foreach (var old in all)
        {
            await using var pod = new TempPod();
            File.Copy(old, pod.Journal);
            var writer = pod.Open();
            Assert.DoesNotContain(pod.Folded.Records, record => record.Entry is Entry.Unknown);
            var head = writer.HeadSeq;
            Assert.Equal(head + 1, (await pod.Append(new Entry.Input("goes on")))[0].Seq);
        }
    }

    private static string PathOf(string name) => Path.Combine(SourceTree.Root, "tests/Yoi.Tests/Data/journals", name);
}
