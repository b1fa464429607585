using Xunit;
using Yoi.Demo;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Terminal;

namespace Yoi.Tests.Cli;

/// <summary>The demo's judgement: evidence of a good demo passes, and each fault in it is named by the promise that it breaks.</summary>
public sealed class DemoChecksTests
{
    private const string Root = "/t/textkit";

    /// <summary>The journals of a good demo, by Pod; a test changes them before they are judged.</summary>
    private readonly Dictionary<string, List<Entry>> _journals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _files = new(DemoSample.AtLast, StringComparer.Ordinal);
    private readonly List<string> _left = [];
    private TableDocument? _table = Table("lead");

    public DemoChecksTests()
    {
        var spawner = new SpawnerRef("lead", "id-lead", "/s");
        _journals["lead"] =
        [
            Created("lead", null), Process(1), new Entry.Input("job"), Spawned("words", 2), Spawned("lines", 3),
            .. Edit("words/__init__.py", $"{Root}/words/__init__.py is lent to `words`: it can be read here, not written.", isError: true),
            Ended("words"), Ended("lines"), .. Edit("words/__init__.py"), .. Edit("CHANGELOG.md"), Run(0), new Entry.PodEnded(PodEnd.Stopped, "demo", null, [], new Totals()),
        ];
        _journals["words"] =
        [
            Created("words", spawner), Process(2), new Entry.Input("task", "lead"), .. Edit("words/count.py"), Run(0),
            new Entry.Input("more", "lead"), .. Edit("words/test_count.py"), Run(1), StoppedByLead,
        ];
        _journals["lines"] = [Created("lines", spawner), Process(3), new Entry.Input("task", "lead"), .. Edit("lines/wrap.py"), Run(0), StoppedByLead];
    }

    private static Entry.PodEnded StoppedByLead => new(PodEnd.Stopped, "lead", null, [], new Totals());

    private static Entry.PodCreated Created(string name, SpawnerRef? spawner) => new(
        1, "id-" + name, name, Root, new ModelChoice("scripted", "scripted"), ScopeRules.None, 1, spawner, 0, null, new PodLimits(), "none", "yoi");

    private static Entry.ProcessStarted Process(int pid) => new(pid, "1", "boot", "tools-only");

    private static Entry.RunEnded Run(int run) => new(run, RunEnd.Completed, null, null, 1);

    private static ScopeRule Write(string path) => new(path, Permission.Write);

    private static Entry.ChildSpawned Spawned(string name, int pid) => new(name, "id-" + name, pid, "1", "boot", [Write($"{Root}/{name}"), new(Root, Permission.Read)], 1, null);

    private static Entry.ChildEnded Ended(string name) => new(name, "id-" + name, PodEnd.Stopped, "lead", null, [Write($"{Root}/{name}")]);

    private static Entry[] Edit(string path, string summary = "Edited", bool isError = false) =>
    [
        new Entry.Assistant(0, [new AssistantBlock.ToolCall("c" + path, "Edit", $$"""{"file_path":"{{path}}"}""")], null, null),
        new Entry.ToolResult("c" + path, "Edit", summary, null, isError),
    ];

    private static TableDocument Table(params string[] pods) => new(1, 9,
    [
        .. pods.Select(pod => new TableRow(
            "id-" + pod, pod, "/d/" + pod, pod == "lead" ? null : "id-lead", "id-lead", 0, false, 1,
            new ScopeRules([Write(pod == "lead" ? Root : $"{Root}/{pod}")], []), new PodLimits(), 1)),
    ]);

    private string[] Faults()
    {
        var stories = _journals.Select(journal =>
        {
            var story = new PodStory("id-" + journal.Key);
            for (var i = 0; i < journal.Value.Count; i++) story.Take(i + 1, DateTimeOffset.UnixEpoch, journal.Value[i]);
            return story;
        });
        return [.. DemoChecks.Judge(new DemoEvidence(Root, [.. stories], _table, _files, _left)).Where(check => check.Fault is not null).Select(check => $"{check.Promise}: {check.Fault}")];
    }

    private void Replace<T>(string pod, Func<T, bool> which, params Entry[] by) where T : Entry
    {
        var at = _journals[pod].FindIndex(entry => entry is T match && which(match));
        _journals[pod].RemoveAt(at);
        _journals[pod].InsertRange(at, by);
    }

    [Fact]
    public void A_good_demo_has_no_fault() => Assert.Empty(Faults());

    [Fact]
    public void A_run_that_failed_is_named_with_its_reason()
    {
        Replace<Entry.RunEnded>("lead", _ => true, new Entry.RunEnded(0, RunEnd.ProviderError, null, "the script expects something else", 3));
        Assert.Equal(["lead did its run to the end: run provider_error after 3 turns: the script expects something else"], Faults());
    }

    [Fact]
    public void A_child_that_was_lent_more_than_its_folder_is_named()
    {
        Replace<Entry.ChildSpawned>("lead", child => child.Child == "lines", Spawned("lines", 3) with { Rules = [Write(Root)] });
        Assert.Contains($"lines was lent write:{Root}", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_Pods_in_one_process_are_named()
    {
        Replace<Entry.ProcessStarted>("lines", _ => true, Process(2));
        Assert.Contains("words is no process of its own", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_that_was_not_refused_is_named()
    {
        Replace<Entry.ToolResult>("lead", result => result.IsError, new Entry.ToolResult("cwords/__init__.py", "Edit", "Edited", null, false));
        Assert.Equal(
            ["lead was refused a write into words/ and told who holds it: no write there was refused",
             $"each Pod wrote only what was its own at that time: lead wrote {Root}/words/__init__.py while words held it"], Faults());
    }

    [Fact]
    public void A_refusal_without_the_holder_is_named()
    {
        Replace<Entry.ToolResult>("lead", result => result.IsError, new Entry.ToolResult("cwords/__init__.py", "Edit", "not writable", null, true));
        Assert.Contains("does not name the holder: not writable", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_that_did_not_arrive_or_was_not_worked_on_is_named()
    {
        Replace<Entry.RunEnded>("words", run => run.Run == 1);
        Assert.Contains("did not work on it to the end", Assert.Single(Faults()), StringComparison.Ordinal);
        Replace<Entry.Input>("words", input => input.Text == "more");
        Assert.Contains("no message of lead but the task", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_child_that_wrote_in_the_others_folder_is_named()
    {
        _journals["words"].AddRange(Edit("lines/wrap.py"));
        Assert.Contains($"words wrote {Root}/lines/wrap.py", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_child_that_ended_otherwise_is_named()
    {
        Replace<Entry.PodEnded>("lines", _ => true, new Entry.PodEnded(PodEnd.Crashed, null, "signal 9", [], new Totals()));
        Assert.Equal(["both children were stopped by lead: lines: crashed (signal 9)"], Faults());
    }

    [Fact]
    public void A_folder_that_did_not_come_back_is_named()
    {
        _table = Table("lead", "words");
        Assert.Equal(["both folders went back to lead: lead may not write words/"], Faults());
        _table = null;
        Assert.Contains("the scope table was never read", Assert.Single(Faults()), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_with_other_content_or_that_nobody_wrote_is_named()
    {
        _files["README.md"] = "other";
        Assert.Equal(["the files are as the job wants them: README.md has other content"], Faults());
        _files["README.md"] = DemoSample.AtLast["README.md"];
        _files.Remove("words/test_count.py");
        Assert.Contains("words/test_count.py is missing", Assert.Single(Faults()), StringComparison.Ordinal);
        _files["words/test_count.py"] = DemoSample.AtLast["words/test_count.py"];
        Replace<Entry.ToolResult>("lines", _ => true);
        Assert.Contains(Faults(), fault => fault.EndsWith("lines/wrap.py changed and no journal says who wrote it", StringComparison.Ordinal));
    }

    [Fact]
    public void A_process_that_is_left_is_named()
    {
        _left.Add("process 7 of words runs");
        Assert.Equal(["no process is left: process 7 of words runs"], Faults());
    }

    [Fact]
    public void Without_a_single_Pod_every_promise_but_the_last_is_broken()
    {
        _journals.Clear();
        (_table, var promises) = (null, DemoChecks.Judge(new DemoEvidence(Root, [], null, DemoSample.AtFirst, [])));
        Assert.Equal(["each Pod wrote only what was its own at that time", "no process is left"], promises.Where(check => check.Fault is null).Select(check => check.Promise));
    }
}
