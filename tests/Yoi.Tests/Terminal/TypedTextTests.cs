using Xunit;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class TypedTextTests : IDisposable
{
    private readonly StringWriter _terminal = new();
    private readonly TypedText _typed;
    private int _width = 24;

    public TypedTextTests() => _typed = new TypedText(_terminal, () => _width);

    public void Dispose() => _terminal.Dispose();

    private string Written()
    {
        var written = _terminal.ToString();
        _terminal.GetStringBuilder().Clear();
        return written;
    }

    private string Says(string text)
    {
        _typed.Write(_terminal, text);
        return Written();
    }

    private string Shows(string text, int? at = null)
    {
        _typed.Show(text, at ?? text.Length);
        return Written();
    }

    [Fact]
    public void Text_goes_out_as_it_comes_while_nothing_is_typed_and_by_whole_lines_above_what_is()
    {
        Assert.Equal("Hel", Says("Hel"));
        Assert.Equal("\n> a\r\e[3C", Shows("a")); // Not behind the words of another.
        Assert.Equal("", Says("lo"));
        Assert.Equal("\r\e[J> ab\r\e[3C", Shows("ab", 1));
        Assert.Equal("\r\e[Jlo there\n> ab\r\e[3C", Says(" there\nNext"));
        Assert.Equal("\r\e[JNext", Shows("")); // It was sent, or taken back.
        Assert.Equal(" line\n", Says(" line\n"));
        Assert.Equal("> x\r\e[3C", Shows("x"));
    }

    [Fact]
    public void A_long_line_of_another_goes_out_row_by_row()
    {
        Shows("a");
        Assert.Equal("", Says("one two three four five"));
        Assert.Equal("\r\e[Jone two three four five\nsix seven eight nine\n> a\r\e[3C", Says(" six seven eight nine ten eleven"));
        Assert.Equal("\r\e[Jten eleven\n\n> a\r\e[3C", Says("\n\n"));
    }

    [Fact]
    public void What_is_typed_may_take_several_rows_and_wide_characters_count_as_wide()
    {
        Assert.Equal("> 日本語日本語日本語日\n本語\r\e[4C", Shows("日本語日本語日本語日本語"));
        Assert.Equal("\e[1A\r\e[J> one\ntwo\e[1A\r\e[3C", Shows("one\ntwo", 1));
        _width = 2; // The row of the cursor has become several.
        Assert.Equal("\e[1A\r\e[J", Shows(""));
    }

    [Fact]
    public void A_long_paste_shows_the_rows_around_the_cursor()
    {
        var text = string.Join('\n', Enumerable.Range(1, 20));
        Assert.StartsWith("13\n14\n", Shows(text), StringComparison.Ordinal);
        Assert.Equal("\e[7A\r\e[J> 1\n2\n3\n4\n5\n6\n7\n8\e[7A\r\e[2C", Shows(text, 0));
    }
}
