using Xunit;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class LineEditorTests
{
    private readonly LineEditor _editor = new();

    private static ConsoleKeyInfo Key(ConsoleKey key, char c = '\0', bool control = false) => new(c, key, false, false, control);

    private void Type(string text, bool more = false)
    {
        foreach (var c in text) _editor.Take(Key(c == '\n' ? ConsoleKey.Enter : ConsoleKey.None, c), more);
    }

    private string After(params ConsoleKeyInfo[] keys)
    {
        foreach (var key in keys) _editor.Take(key, more: false);
        return _editor.Text.Insert(_editor.At, "|");
    }

    [Fact]
    public void Keys_edit_where_the_cursor_is_as_in_a_shell()
    {
        Type("fix the parser");
        Assert.Equal("fix the parse|r", After(Key(ConsoleKey.LeftArrow)));
        Assert.Equal("fix the |parser", After(Key(ConsoleKey.LeftArrow, control: true)));
        Assert.Equal("fix |parser", After(Key(ConsoleKey.W, '\x17', true)));
        Assert.Equal("|fix parser", After(Key(ConsoleKey.A, '\x01', true)));
        Assert.Equal("fix| parser", After(Key(ConsoleKey.RightArrow, control: true)));
        Assert.Equal("fixparser|", After(Key(ConsoleKey.Delete), Key(ConsoleKey.End)));
        Assert.Equal("fix|", After(Key(ConsoleKey.Home), Key(ConsoleKey.RightArrow), Key(ConsoleKey.F, '\x06', true), Key(ConsoleKey.RightArrow), Key(ConsoleKey.K, '\x0b', true)));
        Assert.Equal("f|x", After(Key(ConsoleKey.B, '\x02', true), Key(ConsoleKey.Backspace, '\x7f')));
        Assert.Equal("|x", After(Key(ConsoleKey.U, '\x15', true)));
        Assert.Equal("|x", After(Key(ConsoleKey.Backspace, '\x7f'), Key(ConsoleKey.LeftArrow), Key(ConsoleKey.Escape, '\x1b'), Key(ConsoleKey.F5)));
        Assert.Equal("|", After(Key(ConsoleKey.D, '\x04', true)));
        Assert.Equal(LineEditor.Outcome.Left, _editor.Take(Key(ConsoleKey.D, '\x04', true), more: false));
    }

    [Fact]
    public void What_people_see_as_one_character_is_one()
    {
        Type("日本e\u0301👩‍👩‍👧");
        Assert.Equal("日本e\u0301|", After(Key(ConsoleKey.Backspace, '\x7f')));
        Assert.Equal("日本|e\u0301", After(Key(ConsoleKey.LeftArrow)));
        Assert.Equal("日本e\u0301|", After(Key(ConsoleKey.RightArrow)));
    }

    [Fact]
    public void Enter_sends_and_the_lines_of_a_paste_are_one_text()
    {
        Type("  \n");
        Assert.Equal("", _editor.Text); // Nothing was typed: nothing is sent.
        Type("one\ntwo\n", more: true);
        _editor.Take(Key(ConsoleKey.Tab, '\t'), more: true);
        Type("three");
        Assert.Equal(LineEditor.Outcome.Sent, _editor.Take(Key(ConsoleKey.Enter, '\r'), more: false));
        Assert.Equal(("one\ntwo\n\tthree", ""), (_editor.Sent, _editor.Text));
    }

    [Fact]
    public void Up_and_Down_bring_back_what_was_sent_and_then_what_was_not()
    {
        Type("first\nsecond\nunsent");
        Assert.Equal("second|", After(Key(ConsoleKey.UpArrow)));
        Assert.Equal("first|", After(Key(ConsoleKey.UpArrow), Key(ConsoleKey.UpArrow)));
        Assert.Equal("second|", After(Key(ConsoleKey.N, '\x0e', true)));
        Assert.Equal("unsent|", After(Key(ConsoleKey.DownArrow), Key(ConsoleKey.DownArrow)));
    }
}
