using Xunit;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class ListingsTests : IDisposable
{
    private readonly StringWriter _out = new();

    public void Dispose() => _out.Dispose();

    private Screen Screen => new(_out, TextWriter.Null);

    private string[] Lines => [.. _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.TrimEnd())];

    private static PodRow Row(string id, string state = "idle", string? spawner = null) => new(id, "pod-" + id, state, Spawner: spawner);

    [Fact]
    public void Pods_are_a_tree_and_each_is_there_once()
    {
        PodRow[] rows = [Row("a"), Row("b", spawner: "a"), Row("c", spawner: "b"), Row("d", spawner: "a"), Row("e", spawner: "gone"), Row("f", spawner: "g"), Row("g", spawner: "f")];
        Assert.Equal(
            ["pod-a", "├─ pod-b", "│  └─ pod-c", "└─ pod-d", "pod-e", "pod-f", "pod-g"],
            Listings.Tree(rows).Select(row => row.Prefix + row.Pod.Name));
    }

    [Fact]
    public void A_listing_off_a_terminal_has_no_colours_and_cuts_nothing()
    {
        var path = "/" + new string('p', 300);
        var now = DateTimeOffset.UnixEpoch;
        Listings.Pods(Screen,
        [
            Row("a") with { Scope = new ScopeRules([new ScopeRule(path, Permission.Write), new ScopeRule("/x", Permission.Read)], []), Turns = 3, InputTokens = 12_340, OutputTokens = 5, LastActivity = now.AddSeconds(-90) },
            Row("b", "ended") with { End = "stopped by human", LastRun = "completed" },
            Row("c", "ended") with { End = "stopped by human", LastRun = "provider_error" },
            Row("d", "idle") with { LastRun = "turn_limit" },
        ], now);
        Assert.DoesNotContain('\e', _out.ToString());
        Assert.Contains(Lines, line => line.StartsWith("pod-a", StringComparison.Ordinal) && line.EndsWith($"write:{path} +1", StringComparison.Ordinal) && line.Contains("12.3k", StringComparison.Ordinal) && line.Contains("  1 min ago  ", StringComparison.Ordinal));
        Assert.Contains(Lines, line => line.Contains("ended: stopped by human  ", StringComparison.Ordinal));
        Assert.Contains(Lines, line => line.Contains("ended: stopped by human, last run provider_error", StringComparison.Ordinal));
        Assert.Contains(Lines, line => line.Contains("idle, last run turn_limit", StringComparison.Ordinal));
    }

    [Fact]
    public void On_a_narrow_terminal_a_Pod_is_one_line_and_a_long_path_loses_its_beginning()
    {
        var screen = new Screen(_out, TextWriter.Null, width: 80, liveWidth: () => 80);
        Listings.Pods(screen,
        [
            Row("a", "running") with
            {
                WaitingFor = "tool:WaitForPods", Model = "scripted", Turns = 12, InputTokens = 12_340, OutputTokens = 500,
                Scope = new ScopeRules([new ScopeRule("/" + new string('p', 300) + "/end", Permission.Write)], []),
            },
            Row("b", spawner: "a") with { Model = "scripted", Scope = new ScopeRules([new ScopeRule("/short", Permission.Read)], []) },
        ], DateTimeOffset.UnixEpoch);
        Assert.Equal(4, Lines.Length);
        Assert.Equal("model: scripted", Lines[3]);
        Assert.All(Lines, line => Assert.True(line.Length < 80, line));
        Assert.Contains("running (WaitForPods)", Lines[1], StringComparison.Ordinal);
        Assert.EndsWith("ppp/end", Lines[1], StringComparison.Ordinal);
        Assert.EndsWith("read:/short", Lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Ended_Pods_of_several_models_are_one_line_each_in_80_columns_and_the_models_stand_below()
    {
        var screen = new Screen(_out, TextWriter.Null, width: 80, liveWidth: () => 80);
        var ended = Row("1", "ended") with
        {
            End = "stopped by human",
            Turns = 12,
            InputTokens = 12_340,
            OutputTokens = 500,
            LastActivity = DateTimeOffset.UnixEpoch,
            Model = "ollama/qwen3",
            Scope = new ScopeRules([new ScopeRule("/home/somebody/repository", Permission.Write)], []),
        };
        Listings.Pods(screen, [ended, ended with { Id = "2", Name = "pod-2", Model = "openai/gpt-5" }], DateTimeOffset.UnixEpoch.AddSeconds(69));
        Assert.Equal(4, Lines.Length);
        Assert.All(Lines[1..3], line => Assert.Contains("ended: stopped by human", line, StringComparison.Ordinal));
        Assert.Equal("model: ollama/qwen3, openai/gpt-5", Lines[3]);
    }

    [Theory]
    [InlineData("not_answering", "alive, not answering")]
    [InlineData("dead", "dead, end not recorded")]
    [InlineData("damaged", ": no first record")]
    public void What_is_not_well_is_shown_and_never_hidden(string state, string words)
    {
        Listings.Pods(Screen, [Row("a", state) with { Note = "no first record" }], DateTimeOffset.UnixEpoch);
        Assert.Contains(Lines, line => line.Contains(words, StringComparison.Ordinal));
    }

    [Fact]
    public void Many_ended_Pods_come_with_a_word_on_how_to_be_rid_of_them_and_a_few_do_not()
    {
        var errors = new StringWriter();
        var screen = new Screen(_out, errors);
        var ended = Enumerable.Range(0, 11).Select(number => Row($"{number}", "ended") with { Name = $"pod-{number}" }).ToList();
        Listings.Pods(screen, [.. ended[1..], Row("12", "idle")], DateTimeOffset.UnixEpoch);
        Assert.Equal("", errors.ToString());
        Listings.Pods(screen, [.. ended, Row("12", "idle")], DateTimeOffset.UnixEpoch);
        Assert.Equal("11 of 12 have ended: `yoi ps --living` leaves them out, `yoi rm --all-ended` removes them\n", errors.ToString());
    }

    [Fact]
    public void Markup_in_a_path_means_nothing()
    {
        Listings.Scopes(Screen, [new ScopeRow("a", "i", "allow", Permission.Write, "/[red]x[/]\e[2J", true, "lead", true, 7, ["b"])]);
        Assert.Contains(Lines, line => line.Contains("/[red]x[/]", StringComparison.Ordinal) && line.Contains("lead (pending)", StringComparison.Ordinal));
        Assert.DoesNotContain('\e', _out.ToString());
    }

    [Fact]
    public void With_colours_a_listing_has_escape_sequences()
    {
        Listings.Pods(new Screen(_out, TextWriter.Null, colours: true), [Row("a")], DateTimeOffset.UnixEpoch);
        Assert.Contains('\e', _out.ToString());
    }
}
