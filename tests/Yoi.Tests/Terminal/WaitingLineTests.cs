using Xunit;
using Yoi.Protocol;
using Yoi.Terminal;
using Yoi.Tests.Models;

namespace Yoi.Tests.Terminal;

public sealed class WaitingLineTests : IDisposable
{
    private readonly StringWriter _terminal = new();
    private readonly ManualTime _time = new();
    private long _seq;

    public void Dispose() => _terminal.Dispose();

    private Screen Screen(bool live = true) => new(_terminal, _terminal, liveWidth: live ? () => 40 : null, terminal: true);

    private string Written()
    {
        var written = _terminal.ToString();
        _terminal.GetStringBuilder().Clear();
        return written;
    }

    private string After(int seconds)
    {
        for (var i = 0; i < seconds; i++) _time.Advance(TimeSpan.FromSeconds(1));
        return Written();
    }

    private PodMessage.Entered Entered(Entry entry) => new(++_seq, _time.GetUtcNow(), entry);

    private static Entry.Assistant Calls(params string[] ids) =>
        new(0, [.. ids.Select(id => new AssistantBlock.ToolCall(id, "Bash", $$"""{"command":"make {{id}}"}"""))], null, "tool_use");

    private static Entry.ToolResult Result(string id) => new(id, "Bash", "", null, false);

    [Fact]
    public void The_model_then_each_call_then_the_Pods_below_are_named_with_how_long_they_take()
    {
        using var waiting = new WaitingLine(Screen(), _time, "some/model");
        waiting.Take(Entered(new Entry.TurnStart(0)));
        Assert.Equal("", After(0));
        Assert.Equal("… some/model · 1 s\r\r\e[J… some/model · 2 s\r", After(2));
        waiting.Take(Entered(Calls("a", "b")));
        Assert.EndsWith("… Bash make a, and 1 more · 1 s\r", After(1), StringComparison.Ordinal);
        waiting.Take(Entered(Result("a")));
        Assert.EndsWith("… Bash make b · 3 s\r", After(3), StringComparison.Ordinal);
        waiting.Take(Entered(Result("b")));
        Assert.Equal("\r\e[J", Written());
        Assert.Equal("", After(5));
        waiting.Take(Entered(new Entry.ChildSpawned("kid", "1", 1, "", "", [], 1, null)));
        waiting.Take(Entered(new Entry.RunEnded(0, RunEnd.Completed, null, null, 1)));
        Assert.EndsWith("… Pods below: kid · 1 s\r", After(1), StringComparison.Ordinal);
        waiting.Dispose();
        Assert.Equal("\r\e[J", Written());
        Assert.Equal("", After(5));
    }

    [Fact]
    public void Text_that_comes_takes_its_place_and_stands_alone()
    {
        var screen = Screen();
        using var waiting = new WaitingLine(screen, _time, "m");
        waiting.Take(Entered(new Entry.TurnStart(0)));
        After(1);
        waiting.Take(new PodMessage.Streaming(new Event.Delta(9, 0, 0, "text", "Hello")));
        screen.Write("Hello");
        Assert.Equal("\r\e[JHello", After(9));
    }

    [Fact]
    public void What_a_person_types_comes_first_and_lines_go_above()
    {
        var screen = Screen();
        using var waiting = new WaitingLine(screen, _time, "m");
        waiting.Take(Entered(Calls("a")));
        After(1);
        screen.Line("above");
        Assert.Equal("\r\e[Jabove\n… Bash make a · 1 s\r", Written());
        screen.Typed("hi", 2);
        Assert.Equal("\r\e[J> hi\r\e[4C", After(3));
        screen.Typed("", 0);
        Assert.Equal("\r\e[J… Bash make a · 5 s\r", After(1));
    }

    [Fact]
    public void It_takes_one_row_and_nothing_where_there_is_no_terminal()
    {
        using (var waiting = new WaitingLine(Screen(), _time, "a model with quite a long name that does not fit"))
        {
            waiting.Take(Entered(new Entry.TurnStart(0)));
            Assert.Equal("… a model with quite a long name that d\r", After(1));
        }
        Written();
        using var silent = new WaitingLine(Screen(live: false), _time, "m");
        silent.Take(Entered(new Entry.TurnStart(0)));
        Assert.Equal("", After(5));
    }
}
