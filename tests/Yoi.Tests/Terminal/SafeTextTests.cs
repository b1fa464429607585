using Xunit;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class SafeTextTests
{
    [Theory, Trait("case", "C16")]
    [InlineData("plain\ttext\nünïcödé 😀", "plain\ttext\nünïcödé 😀")]
    [InlineData("a\e[31mred\e[0m b", "ared b")]
    [InlineData("\e]0;title\a!", "!")]
    [InlineData("\e]52;c;aGk=\e\\!", "!")]
    [InlineData("\eP1$r\e\\!", "!")]
    [InlineData("\u009b31mred\u009d0;t\u009c!", "red!")]
    [InlineData("over\rwrite", "overwrite")]
    [InlineData("line\r\nline", "line\nline")]
    [InlineData("back\b\b\u007f\0space", "backspace")]
    [InlineData("a\u2028b\u2029c", "a\nb\nc")]
    [InlineData("\u202Eevil\u202C \u2066x\u2069", "evil x")]
    [InlineData("\ecreset \e7save \e(B", "reset save ")]
    [InlineData("end \e", "end ")]
    [InlineData("\e]never ends\nshown", "\nshown")]
    public void A_terminal_obeys_nothing_of_it(string text, string safe)
    {
        Assert.Equal(safe, SafeText.Of(text));
        Assert.DoesNotContain(SafeText.Of(text), c => char.IsControl(c) && c is not '\n' and not '\t');
    }

    [Fact, Trait("case", "C16")]
    public void A_sequence_cut_in_two_by_streaming_is_still_one()
    {
        const string text = "a\e[31mred\e]0;title\e\\ b\u009b1mc";
        for (var cut = 0; cut <= text.Length; cut++)
        {
            var stream = new SafeText();
            Assert.Equal("ared bc", stream.Next(text.AsSpan(0, cut)) + stream.Next(text.AsSpan(cut)));
        }
    }

    [Fact, Trait("case", "C16")]
    public void A_sequence_that_never_ends_hides_only_a_little()
    {
        var safe = SafeText.Of("\e]" + new string('x', 5_000_000));
        Assert.InRange(safe.Length, 4_999_000, 5_000_000);
    }

    [Fact]
    public void A_line_is_one_line_and_never_ends_in_half_a_character()
    {
        Assert.Equal("a b c", SafeText.Line(" a\n\tb\e[1m\r\n c "));
        for (var max = 3; max < 12; max++) Assert.DoesNotContain('\uFFFD', System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(SafeText.Line("ab😀😀😀😀", max))));
    }
}
