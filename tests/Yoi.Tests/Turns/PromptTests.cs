using Xunit;
using Yoi.Protocol;
using Yoi.Runtime;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;
using Yoi.Runtime.Turns;
using Yoi.Tests.Spawning;

namespace Yoi.Tests.Turns;

/// <summary>The system prompt: what is in it, and that it is rendered once in a Pod's life.</summary>
public sealed class PromptTests : IDisposable
{
    private readonly SpawningRoot _root = new();

    public void Dispose() => _root.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Scope_and_instructions_are_rendered_once_and_kept_in_the_journal()
    {
        Directory.CreateDirectory(_root.Work + "/sub");
        await File.WriteAllTextAsync(_root.Path + "/AGENTS.md", "above the scope", Ct);
        await File.WriteAllTextAsync(_root.Work + "/AGENTS.md", "Tabs, never spaces.", Ct);
        await File.WriteAllTextAsync(_root.Work + "/sub/AGENTS.md", "Spaces after all.", Ct);
        File.CreateSymbolicLink(_root.Work + "/sub/other.md", _root.Path + "/AGENTS.md");
        var scope = new ScopeRules([new ScopeRule(_root.Work, Permission.Write)], [new ScopeRule(_root.Work + "/shut", Permission.Write)]);
        var document = _root.Document("lead", scope) with { Cwd = _root.Work + "/sub", Role = "You review." };

        await ServeAsync(document, "one");
        var first = Prompt(document);
        foreach (var part in (string[])["`lead`", $"Working directory: {_root.Work}/sub", $"Writable:\n  - {_root.Work}", $"Denied:\n  - write:{_root.Work}/shut", "Your role:\n\nYou review."])
            Assert.Contains(part, first.System, StringComparison.Ordinal);
        Assert.True(first.System.IndexOf("Tabs, never spaces.", StringComparison.Ordinal) is > 0 and var outer && first.System.IndexOf("Spaces after all.", StringComparison.Ordinal) > outer);
        Assert.DoesNotContain("above the scope", first.System, StringComparison.Ordinal);
        Assert.Equal(11, first.Tools.Count);

        await File.WriteAllTextAsync(_root.Work + "/AGENTS.md", "Something else now.", Ct);
        await ServeAsync(document, "two");
        Assert.Equal(first.System, Prompt(document).System); // Still the only one.
        Assert.Equal(2, Entries(document).OfType<Entry.ProcessStarted>().Count());
        Assert.Equal(2, Entries(document).OfType<Entry.RunEnded>().Count(run => run.Reason == RunEnd.Completed));
    }

    [Fact, Trait("case", "V14")]
    public void What_is_filled_in_is_never_a_placeholder_itself()
    {
        var text = SystemPrompt.Render("{{cwd}}", "/w", "{{role}}", "I am {{agents}}", [new Instructions("/w/AGENTS.md", "{{name}} {{scope}} {{unknown}}")]);
        foreach (var part in (string[])["You are `{{cwd}}`", "Scope:\n{{role}}\n", "I am {{agents}}", "{{name}} {{scope}} {{unknown}}"])
            Assert.Contains(part, text, StringComparison.Ordinal);
        Assert.DoesNotContain("Working directory: {{", text, StringComparison.Ordinal);
    }

    private static async Task ServeAsync(LaunchDocument document, string input)
    {
        await using var host = new PodHost(document, new LaunchSecrets(null, null), TimeProvider.System);
        var controller = await host.StartAsync(Ct);
        await controller.HandleAsync(new Method.Run(input), new Caller("human"));
        await Eventually.Holds(() => controller.Status() is { State: PodState.Idle, Totals.Runs: > 0 } status && status.HeadSeq > 0
            && Entries(document).OfType<Entry.RunEnded>().Count() == Entries(document).OfType<Entry.ProcessStarted>().Count());
    }

    private static Entry.Prompt Prompt(LaunchDocument document) => Assert.Single(Entries(document).OfType<Entry.Prompt>());

    private static IEnumerable<Entry> Entries(LaunchDocument document) =>
        new JournalReader(Path.Combine(document.Directories.Pod(document.Name, document.PodId), PodFiles.Journal)).ReadAfter(Cursor.Start, out _).Select(record => record.Entry);
}
