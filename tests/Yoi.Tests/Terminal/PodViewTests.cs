using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class PodViewTests : IDisposable
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();
    private long _seq;

    public void Dispose()
    {
        _out.Dispose();
        _error.Dispose();
    }

    private PodView View(bool quiet = true) => new(new Screen(_out, _error), quiet: quiet);

    private PodMessage.Entered Entered(Entry entry) => new(++_seq, DateTimeOffset.UnixEpoch, entry);

    private PodMessage.Streaming Text(string text, int offset, int block = 0) => new(new Event.Delta(_seq, block, offset, "text", text));

    private static Entry.Assistant Said(params AssistantBlock[] blocks) => new(0, blocks, null, "end_turn");

    [Fact]
    public void Streamed_text_is_not_shown_again_when_its_entry_comes()
    {
        var view = View();
        foreach (var message in new PodMessage[] { Text("Hel", 0), Text("lo", 3), Entered(Said(new AssistantBlock.Text("Hello"))) }) view.Take(message);
        Assert.Equal("Hello\n", _out.ToString());
    }

    [Fact]
    public void What_a_call_gave_is_shown_below_it_if_asked_for_and_without_control_codes()
    {
        var result = new Entry.ToolResult("c", "Bash", "exit code 2", "one\n\e[31mtwo\n", true);
        View().Take(Entered(result));
        new PodView(new Screen(_out, _error), results: true).Take(Entered(result));
        Assert.Equal("x Bash: exit code 2\nx Bash: exit code 2\n    one\n    two\n", _out.ToString());
    }

    [Fact]
    public void What_was_missed_of_a_message_comes_with_its_entry()
    {
        var view = View();
        view.Take(Text("Hel", 0));
        view.Take(Entered(Said(new AssistantBlock.Text("Hello"), new AssistantBlock.Text("Second"))));
        Assert.Equal("Hello\nSecond\n", _out.ToString());
    }

    [Fact]
    public void Pieces_that_overlap_are_shown_once_and_a_message_that_begins_anew_stands_on_its_own_line()
    {
        var view = View();
        view.Take(Text("Hello", 0));
        view.Take(Text("lo w", 3));
        view.Take(Text("Again", 0));
        view.Take(Entered(Said(new AssistantBlock.Text("Again."))));
        Assert.Equal("Hello w\nAgain.\n", _out.ToString());
    }

    [Fact]
    public void A_call_is_one_line_with_what_was_asked_and_what_came_of_it()
    {
        var view = View();
        view.Take(Entered(Said(new AssistantBlock.ToolCall("c1", "Read", """{"limit":3,"file_path":"src/a.cs"}"""), new AssistantBlock.ToolCall("c2", "Grep", "not json"))));
        view.Take(Entered(new Entry.ToolResult("c1", "Read", "120 lines\nof text", "…", false)));
        view.Take(Entered(new Entry.ToolResult("c2", "Grep", "arguments are no JSON", null, true)));
        Assert.Equal("· Read src/a.cs: 120 lines of text\nx Grep (arguments that are no JSON): arguments are no JSON\n", _out.ToString());
    }

    [Fact]
    public void Children_and_warnings_are_shown_setting_up_is_not()
    {
        var view = View();
        var rules = new[] { new ScopeRule("/r/api", Permission.Write) };
        view.Take(Entered(new Entry.ProcessStarted(1, "2", "3", "tools-only")));
        view.Take(Entered(new Entry.ChildSpawned("api", "id", 42, "1", "b", rules, 3, "c")));
        view.Take(Entered(new Entry.Notification("warning", "model", "slow")));
        view.Take(Entered(new Entry.ChildEnded("api", "id", PodEnd.Stopped, "lead", null, rules)));
        Assert.Equal("+ api (process 42) holds write:/r/api\n- api ended: stopped by lead; back: write:/r/api\n", _out.ToString());
        Assert.Equal("warning: model: slow\n", _error.ToString());
    }

    [Fact, Trait("case", "C16")]
    public void Nothing_that_comes_from_outside_reaches_the_terminal_as_a_control_code()
    {
        const string evil = "x\e]0;owned\a\e[2J\u009b2Jy\rz";
        var view = View(quiet: false);
        view.Take(Text(evil, 0));
        foreach (var entry in EveryEntry(evil)) view.Take(Entered(entry));
        Assert.DoesNotContain(_out.ToString() + _error, c => char.IsControl(c) && c != '\n');
    }

    [Fact]
    public void Every_kind_of_entry_has_words_or_is_a_mere_mark()
    {
        var seen = EveryEntry("text").ToList();
        Assert.Equal(Kinds.Entries.All.Count() + 1, seen.Select(entry => entry.GetType()).Distinct().Count());
        foreach (var entry in seen)
        {
            var words = EntryText.Of(entry, new Dictionary<string, string>()).ToList();
            Assert.Equal(entry is Entry.RunStart or Entry.TurnStart or Entry.LendIntended, words.Count == 0);
        }
    }

    [Fact]
    public void Without_a_terminal_nothing_is_coloured_and_with_one_it_is()
    {
        View().Take(Entered(new Entry.Correction("note")));
        Assert.DoesNotContain('\e', _out.ToString());
        new PodView(new Screen(_out, _error, colours: true)).Take(Entered(new Entry.Correction("note")));
        Assert.Contains("\e[2m", _out.ToString(), StringComparison.Ordinal);
    }

    internal static IEnumerable<Entry> EveryEntry(string text)
    {
        var rules = new[] { new ScopeRule("/" + text, Permission.Write) };
        var scope = new ScopeRules(rules, rules);
        var told = new Told("id", Told.NewsCursor, 1, 1, "c");
        yield return new Entry.PodCreated(1, "id", text, "/" + text, new ModelChoice(text, text), scope, 1, new SpawnerRef(text, "i", "s"), 0, text, new PodLimits(), text, text);
        yield return new Entry.Prompt(text, [new ToolSchema(text, text, default)]);
        yield return new Entry.ProcessStarted(1, text, text, text);
        yield return new Entry.ScopeChanged(scope, [new LentRules(text, "i", rules, 1)], 1, text);
        yield return new Entry.PodEnded(PodEnd.Crashed, text, text, rules, new Totals());
        yield return new Entry.Repaired(3, 1);
        yield return new Entry.Input(text, text, true);
        yield return new Entry.Notify(text, text);
        yield return new Entry.RunStart(0, 1);
        yield return new Entry.TurnStart(0);
        yield return new Entry.Assistant(0, [new AssistantBlock.Text(text), new AssistantBlock.Thinking(text), new AssistantBlock.ToolCall("c", text, JsonSerializer.Serialize(new Dictionary<string, string> { ["a"] = text }))], null, null, true);
        yield return new Entry.ToolResult("c", text, text, text, false, true);
        yield return new Entry.Correction(text);
        yield return new Entry.RunPaused(0, text);
        yield return new Entry.RunResumed(0, text);
        yield return new Entry.RunEnded(0, RunEnd.ProviderError, text, text, 3);
        yield return new Entry.Notification(text, text, text);
        yield return new Entry.LendIntended(text, "i", rules);
        yield return new Entry.ChildSpawned(text, "i", 1, "s", "b", rules, 1, "c");
        yield return new Entry.SpawnFailed(text, "i", text, text);
        yield return new Entry.ChildEnded(text, "i", PodEnd.Stopped, text, text, rules);
        yield return new Entry.ChildHandedOver(text, "i", text);
        yield return new Entry.News(text, text, told);
        yield return new Entry.CommandStarted(text, text, text, "c", true, text, 1, "s", "b", 1);
        yield return new Entry.CommandEnded(text, null, text);
        yield return new Entry.Unknown(text, default);
    }
}
