using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Shared.Invariants;
using static Yoi.Tests.Invariants.HandMadeRoot;

namespace Yoi.Tests.Invariants;

/// <summary>The checker of every fault scenario finds what it is there for: each violation is made by hand, once.</summary>
public sealed class CheckerTests : IDisposable
{
    private readonly HandMadeRoot _root = new();

    public void Dispose() => _root.Dispose();

    private void Finds(string words, bool stopped = false)
    {
        var found = _root.Judge(stopped);
        Assert.True(found.Any(violation => violation.Contains(words, StringComparison.Ordinal)), $"\"{words}\" is not in: {string.Join("\n", found)}");
    }

    private List<Entry> Of(string id) => _root.Journals[id];

    private void Insert(string id, int at, params Entry[] entries) => Of(id).InsertRange(at, entries);

    private void Replace<T>(string id, Func<T, Entry> with) where T : Entry
    {
        var at = Of(id).FindIndex(entry => entry is T);
        Of(id)[at] = with((T)Of(id)[at]);
    }

    [Fact]
    public void A_tree_at_rest_violates_nothing()
    {
        _root.Requests.Add(_root.FirstRequest());
        Assert.Empty(_root.Judge());
    }

    [Fact]
    public void Two_that_may_write_one_path()
    {
        _root.Tables.Insert(1, new TableDocument(1, 2, [_root.Row("lead", Lead, _root.Scope, 1, null), _root.Row("kid", Kid, _root.Lent, 2, null)]));
        _root.Tables[^1] = _root.Tables[^1] with { Generation = 3 };
        Finds("[one writer] generation 2: /w/kid can be written by lead and by kid");
    }

    [Fact]
    public void A_write_into_what_is_lent()
    {
        Replace<Entry.Assistant>(Lead, _ => Calls(("a", "SpawnPod", "{}"), ("b", "Write", """{"file_path":"/w/kid/f"}""")));
        Finds("it wrote /w/kid/f while that was lent to kid");
    }

    [Fact]
    public void A_command_that_wrote_into_what_is_lent()
    {
        Insert(Lead, 12, Calls(("c", "Bash", """{"command":"echo lead > /w/kid/f"}""")), Result("c", "Bash"), new Entry.TurnStart(2));
        Finds("a command of it wrote /w/kid/f while that was lent to kid");
    }

    [Fact]
    public void A_file_that_a_command_left_in_what_is_lent_though_it_failed()
    {
        var mark = $"{_root.Directories.Runtime}/f";
        Replace<Entry.ChildSpawned>(Lead, child => child with { Rules = Write(_root.Directories.Runtime).Allow });
        Insert(Lead, 12, Calls(("c", "Bash", $$"""{"command":"echo lead > {{mark}}"}""")), Result("c", "Bash") with { IsError = true }, new Entry.TurnStart(2));
        Assert.DoesNotContain(_root.Judge(), violation => violation.Contains("a command of it", StringComparison.Ordinal));
        File.WriteAllText(mark, "lead");
        Assert.Contains(_root.Judge(), violation => violation.Contains($"a command of it wrote {mark}", StringComparison.Ordinal));
        Of(Kid).Add(Calls(("d", "Bash", $$"""{"command":"echo lead > {{mark}}"}"""))); // It may be that one's.
        Assert.DoesNotContain(_root.Judge(), violation => violation.Contains("a command of it", StringComparison.Ordinal));
    }

    [Fact]
    public void A_task_that_a_child_accepted_and_does_not_have()
    {
        Replace<Entry.Assistant>(Lead, _ => Calls(("a", "SpawnPod", """{"name":"kid","task":"task"}"""), ("b", "Write", """{"file_path":"/w/mine"}""")));
        Assert.Empty(_root.Judge());
        Replace<Entry.Input>(Kid, input => input with { Text = "another" });
        Finds("kid (0000bb) accepted \"task\" 1 times and has it 0 times");
    }

    [Fact]
    public void A_message_that_a_child_accepted_once_and_its_spawner_counts_twice()
    {
        Insert(Lead, 12, Calls(("c", "SendToPod", """{"name":"kid","message":"task"}"""), ("d", "SendToPod", """{"name":"kid","message":"task"}""")), Result("c", "SendToPod"), Result("d", "SendToPod"), new Entry.TurnStart(2));
        Finds("kid (0000bb) accepted \"task\" 2 times and has it 1 times");
    }

    [Fact]
    public void A_child_that_accepted_something_and_is_not_known()
    {
        Replace<Entry.ChildSpawned>(Lead, child => child with { CallId = "elsewhere" });
        Replace<Entry.Assistant>(Lead, _ => Calls(("a", "SpawnPod", """{"name":"kid","task":"task"}"""), ("b", "Write", """{"file_path":"/w/mine"}""")));
        Finds("\"task\" was accepted by a child that the journal does not know");
    }

    [Fact]
    public void A_generation_that_does_not_grow()
    {
        _root.Tables.Add(_root.Tables[^1] with { Pods = [_root.Tables[^1].Pods[0]] });
        Finds("[generations grow] generation 2 was seen behind 2");
    }

    [Fact]
    public void A_generation_given_twice()
    {
        _root.Tables[^1] = _root.Tables[^1] with { Pods = [_root.Tables[^1].Pods[0], _root.Tables[^1].Pods[1] with { Generation = 1 }] };
        Finds("[generations grow] generation 1 is the grant of");
    }

    [Fact]
    public void A_call_without_a_result()
    {
        Of(Lead).RemoveAll(entry => entry is Entry.ToolResult { CallId: "b" });
        Finds("no result of b");
    }

    [Fact]
    public void A_call_with_two_results()
    {
        Of(Lead).Insert(11, Result("b", "Write"));
        Finds("[one result a call]");
    }

    [Fact]
    public void Accepted_input_that_is_not_there()
    {
        _root.Inputs.Add(new Acknowledged(Kid, 4, "another task"));
        Finds("\"another task\" was accepted as seq 4 and is not there");
    }

    [Fact]
    public void A_request_that_the_journal_does_not_make()
    {
        _root.Requests.Add(new SentRequest("lead", "{}"u8.ToArray()));
        Finds("[requests from the journal] lead sent");
    }

    [Fact]
    public void News_told_twice()
    {
        Of(Lead).Insert(11, Of(Lead).OfType<Entry.News>().Single());
        Finds("[news once]");
    }

    [Fact]
    public void News_never_told()
    {
        Of(Lead).RemoveAll(entry => entry is Entry.News);
        Finds("rests and was told of kid");
    }

    [Fact]
    public void A_damaged_line()
    {
        _root.Judge();
        var path = $"{_root.PodDirectory(Kid)}/{PodFiles.Journal}";
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"text\":\"task\"", "\"text\":\"tusk\"", StringComparison.Ordinal));
        var evidence = Evidence.Of(_root.Directories);
        Assert.Contains(Histories.Check(evidence, evidence.Journals()), violation => violation.What.Contains("1 damaged lines", StringComparison.Ordinal));
    }

    [Fact]
    public void A_living_Pod_without_a_row()
    {
        _root.Tables.RemoveAt(1);
        Finds("lives and holds nothing in the table");
    }

    [Fact]
    public void A_row_without_a_Pod()
    {
        _root.Journals.Remove(Kid);
        _root.Living.Remove(Kid);
        Finds("a row of kid, which has no journal");
    }

    [Fact]
    public void A_row_that_is_not_what_was_given()
    {
        Replace<Entry.PodCreated>(Kid, created => created with { Scope = Write("/w/other") });
        Finds("was given +write:/w/other");
    }

    /// <summary>Of one that was restored, what the settings deny by now is no surprise, and more than it was created with is.</summary>
    [Theory]
    [InlineData("/w/kid", true, null)]
    [InlineData("/w/kid", false, "was given +write:/w/kid -write:/w/kid/.git")]
    [InlineData("/w", true, "was created with +write:/w/kid, and has +write:/w -write:/w/kid/.git")]
    public void What_one_was_restored_with(string writable, bool inTable, string? found)
    {
        ScopeRules given = new(Write(writable).Allow, Write("/w/kid/.git").Allow);
        Of(Kid).Add(new Entry.ScopeChanged(given, [], 2, "restored"));
        if (inTable) _root.Tables[^1] = _root.Tables[^1] with { Pods = [_root.Tables[^1].Pods[0], _root.Row("kid", Kid, given, 2, Lead)] };
        if (found is null) Assert.Empty(_root.Judge());
        else Finds(found);
    }

    [Fact]
    public void A_child_that_its_spawner_does_not_know()
    {
        Of(Lead).RemoveAll(entry => entry is Entry.ChildSpawned or Entry.News);
        Finds("and its spawner lead (0000aa) does not know it");
    }

    [Fact]
    public void A_dead_child_that_counts_as_living()
    {
        _root.Living.Remove(Kid);
        Finds("as its child, which does not live");
    }

    [Fact]
    public void A_dead_child_that_was_handed_over_counts_no_more()
    {
        _root.Living.Remove(Kid);
        Of(Lead).Add(new Entry.ChildHandedOver("kid", Kid, "heir"));
        Assert.DoesNotContain(_root.Judge(), violation => violation.Contains("as its child, which does not live", StringComparison.Ordinal));
    }

    [Fact]
    public void A_Pod_that_remembers_something_else_than_its_file()
    {
        var rules = _root.Tables[^1].PolicyOf(Lead);
        _root.Statuses[Lead] = new PodStatus(Lead, "lead", PodState.Idle, 1, "/w", "openai", "mock", "kernel", rules.Rules, rules.Lent, null, [], null, default, 99, new Totals(1, 2), 0, 0);
        Finds("says that its newest entry is 99");
    }

    [Fact]
    public void Something_behind_the_end()
    {
        Of(Kid).Insert(7, new Entry.PodEnded(PodEnd.Stopped, "lead", null, [], new Totals()));
        Finds("RunEnded behind its end");
    }

    [Fact]
    public void Rows_ends_and_files_that_are_left_when_all_is_stopped()
    {
        _root.Living.Clear();
        File.WriteAllText(_root.Directories.Token(Kid), "secret");
        Directory.CreateDirectory(_root.Directories.State);
        File.WriteAllText(_root.Directories.ScopeTable + ".tmp", "half");
        Finds("lead has a row in the table and was stopped", stopped: true);
        Finds("its journal has no end", stopped: true);
        Finds($"{Kid}.token in the runtime directory", stopped: true);
        Finds("scopes.json.tmp", stopped: true);
    }
}
