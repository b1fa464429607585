using Xunit;
using Yoi.Protocol;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class DemoScreenTests : IDisposable
{
    private const string Root = "/tmp/x/textkit";
    private static readonly SpawnerRef Lead = new("lead", "id-lead", "/s");
    private readonly StringWriter _out = new();
    private long _seq;

    public void Dispose() => _out.Dispose();

    private void Tell(DemoScreen screen, string pod, Entry entry, double at = 0) =>
        screen.Take("id-" + pod, new PodMessage.Entered(++_seq, DateTimeOffset.UnixEpoch.AddSeconds(at), entry));

    private static Entry.PodCreated Created(string name, SpawnerRef? spawner = null) => new(
        1, "id-" + name, name, Root, new ModelChoice("scripted", "scripted"), ScopeRules.None, 1, spawner, 0, null, new PodLimits(), "none", "yoi");

    private static Entry.Assistant Call(string tool, string arguments) => new(0, [new AssistantBlock.ToolCall("c", tool, arguments)], null, null);

    private static ScopeRow Row(string pod, string path, string? lentBy = null, bool pending = false) => new(pod, "id-" + pod, "allow", Permission.Write, path, true, lentBy, pending, 1, []);

    [Fact]
    public void A_refused_write_stands_out_with_its_reason_and_paths_are_shown_from_the_repository()
    {
        using var screen = new DemoScreen(new Screen(_out, TextWriter.Null), Root);
        Tell(screen, "lead", Created("lead"));
        Tell(screen, "lead", Call("Edit", """{"file_path":"words/a.py"}"""), 1.23);
        Tell(screen, "lead", new Entry.ToolResult("c", "Edit", $"{Root}/words/a.py is lent to `words`.", null, IsError: true), 1.26);
        Assert.Equal("  1.3  lead   REFUSED: Edit words/a.py\n  1.3  lead   words/a.py is lent to `words`.\n", _out.ToString());
    }

    [Fact]
    public void Who_may_write_what_is_a_line_each_time_it_changes()
    {
        using var screen = new DemoScreen(new Screen(_out, TextWriter.Null), Root);
        screen.Hold([Row("lead", Root)]);
        screen.Hold([Row("lead", Root)]);
        screen.Hold([Row("lead", Root), Row("words", Root + "/words", "lead", pending: true)]);
        screen.Hold([]);
        Assert.Equal(
            "       may write: lead: textkit/\n       may write: lead: textkit/ but words/ · words: words/ (pending)\n       nobody may write anything any more\n",
            _out.ToString());
    }

    [Fact]
    public void The_tree_shows_state_paths_and_what_each_Pod_does_within_80_columns()
    {
        using var screen = new DemoScreen(new Screen(_out, TextWriter.Null, width: 80, liveWidth: () => 80), Root);
        Tell(screen, "lead", Created("lead"));
        Tell(screen, "lead", new Entry.RunStart(0, null));
        Tell(screen, "lead", Call("WaitForPods", """{"names":["words","lines"],"until":"all"}"""));
        Tell(screen, "words", Created("words", Lead));
        Tell(screen, "words", new Entry.RunStart(0, null));
        screen.Take("id-words", new PodMessage.Streaming(new Event.Delta(1, 0, 0, "text", "\e[2Jsplit finds an empty word between two spaces")));
        screen.Hold([Row("lead", Root), Row("words", Root + "/words", "lead")]);
        screen.Draw(TimeSpan.FromSeconds(2.34));
        var lines = _out.ToString().Split('\n');
        Assert.Contains("── textkit · 2.3 s ──", lines[0], StringComparison.Ordinal);
        Assert.Equal($"{"lead",-10}{"running",-9}{"textkit/ but words/",-29}WaitForPods words, lines", lines[2]);
        Assert.Equal($"{"└─ words",-10}{"running",-9}{"words/",-29}says: split finds an empty wor…", lines[3]);
        Assert.All(lines[1..4], line => Assert.True(line.Length < 80, line));
    }
}
