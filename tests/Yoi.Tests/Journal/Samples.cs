using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Tests.Journal;

/// <summary>One entry of every kind, every member set, with text that is hard to write down.</summary>
internal static class Samples
{
    internal const string Hard = "quotes \" \\ and </script>, a tab\t, lines\r\n\n, NUL \0, ü, 世界, 👩‍👩‍👧, \u2028 and \u007f";

    private static readonly ScopeRules Scope = new(
        [new ScopeRule("/home/me/repo", Permission.Write), new ScopeRule("/usr/include", Permission.Read, Recursive: false)],
        [new ScopeRule("/home/me/repo/.git/hooks", Permission.Write)]);

    internal static IReadOnlyList<Entry> All { get; } =
    [
        new Entry.PodCreated(
            JournalCodec.Version, "0198c0ffee00700080000000000000aa", "worker-1", "/home/me/repo",
            new ModelChoice("openai", "gpt-x", "http://127.0.0.1:8080/v1", 4_096, "script.jsonl", 1_024), Scope, 41,
            new SpawnerRef("lead", "0198c0ffee00700080000000000000bb", "/run/user/1000/yoi/0198c0ffee00700080000000000000bb.sock"),
            1, "You review.", new PodLimits(20, 3, 2, 9), "env:OPENAI_API_KEY", "yoi 0.1.0"),
        new Entry.ProcessStarted(4_242, "987654", "8a2f0c1e-0000-4000-8000-000000000001", "full"),
        new Entry.Prompt("You are a Pod.\n" + Hard, [new ToolSchema("Read", "Reads a file.", JsonElement.Parse("""{"type":"object","properties":{"path":{"type":"string"}}}"""))]),
        new Entry.Input("Fix the build. " + Hard, "lead", Queued: true),
        new Entry.RunStart(0, 4),
        new Entry.TurnStart(0),
        new Entry.Assistant(
            0,
            [
                new AssistantBlock.Thinking("Let me see.", "sig==", Redacted: false),
                new AssistantBlock.Text("I'll read it."),
                new AssistantBlock.ToolCall("call_1", "Read", """{"path": "/home/me/repo/a.txt"}"""),
            ],
            new Usage(1_200, 34, 1_000, 200), "tool_use", Partial: true),
        new Entry.ToolResult("call_1", "Read", "12 lines", Hard, IsError: true, OutcomeUnknown: true, [new Told("c1", Told.OutputCursor, 7, 812, "1a2b3c4d")]),
        new Entry.Correction("The call was cut off and not run."),
        new Entry.Notify("clock", "It is noon."),
        new Entry.RunPaused(0, "human"),
        new Entry.RunResumed(0, "human"),
        new Entry.Notification("warning", "journal", "The disk is nearly full."),
        new Entry.LendIntended("child", "c1", [new ScopeRule("/home/me/repo/sub", Permission.Write)]),
        new Entry.ScopeChanged(Scope, [new LentRules("child", "c1", [new ScopeRule("/home/me/repo/sub", Permission.Write)], 42)], 42, "lent to child"),
        new Entry.ChildSpawned("child", "c1", 4_300, "987700", "8a2f0c1e-0000-4000-8000-000000000001", [new ScopeRule("/home/me/repo/sub", Permission.Write)], 42, "call_2", "other", [new Told("c1", Told.NewsCursor, 3, 99, "1a2b3c4d")]),
        new Entry.SpawnFailed("other", "c2", "ready", "it said: no such model"),
        new Entry.News("child", "child has finished: done", new Told("c1", Told.NewsCursor, 9, 1_024, "00ff00ff")),
        new Entry.CommandStarted("tests", "make test # " + Hard, "/home/me/repo", "call_3", Background: true, "kernel", 4_400, "987800", "8a2f0c1e-0000-4000-8000-000000000001", 4_026_532_181),
        new Entry.CommandEnded("tests", 2, "exited"),
        new Entry.ChildHandedOver("grandchild", "c2", "child"),
        new Entry.ChildEnded("child", "c1", PodEnd.Crashed, null, "signal 9", [new ScopeRule("/home/me/repo/sub", Permission.Write)]),
        new Entry.RunEnded(0, RunEnd.Cancelled, "human", "at the terminal", 1),
        new Entry.Repaired(17, 1, Lost: true),
        new Entry.PodEnded(PodEnd.Stopped, "lead", "asked to", [new ScopeRule("/home/me/repo", Permission.Write)], new Totals(1, 1, 1_200, 34), "lead"),
    ];
}
