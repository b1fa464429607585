using Xunit;
using Yoi.Terminal;

namespace Yoi.Tests.Terminal;

public sealed class LiveRegionTests : IDisposable
{
    private readonly StringWriter _out = new();

    public void Dispose() => _out.Dispose();

    private static IReadOnlyList<Said> Line(string text) => [new(Tone.Plain, text)];

    /// <summary>What stands on a terminal after all that was written: the few sequences that a region may use, and no others.</summary>
    private static string Shown(string written)
    {
        List<string> lines = [""];
        var row = 0;
        for (var i = 0; i < written.Length; i++)
        {
            if (written[i] == '\n')
            {
                if (++row == lines.Count) lines.Add("");
            }
            else if (written[i] != '\e')
            {
                if (written[i] != '\r') lines[row] += written[i];
            }
            else
            {
                var end = i + 2;
                while (!char.IsAsciiLetter(written[end])) end++;
                switch (written[end])
                {
                    case 'A': row -= int.Parse(written[(i + 2)..end], System.Globalization.CultureInfo.InvariantCulture); break;
                    case 'J': lines.RemoveRange(row, lines.Count - row); lines.Insert(row, ""); break;
                    case 'h' or 'l' or 'm': break;
                    default: throw new InvalidOperationException($"a region has no use for {written[end]}");
                }
                i = end;
            }
        }
        return string.Join('\n', lines);
    }

    private LiveRegion Region(int? width = 20) => new(new Screen(_out, TextWriter.Null, width: width, liveWidth: width is { } columns ? () => columns : null));

    [Fact]
    public void A_region_is_redrawn_in_place_below_the_lines_that_stay_and_is_gone_at_the_end()
    {
        var region = Region();
        region.Draw([Line("tree 1"), Line("row")]);
        region.Above(Line("first"));
        region.Draw([Line("tree 2")]);
        Assert.Equal("first\ntree 2\n", Shown(_out.ToString()));
        region.Above(Line("second"));
        region.Draw([Line("tree 3"), Line("row"), Line("row")]);
        Assert.Equal("first\nsecond\ntree 3\nrow\nrow\n", Shown(_out.ToString()));
        region.Above(Line("third"));
        region.Dispose();
        Assert.Equal("first\nsecond\nthird\n", Shown(_out.ToString()));
        Assert.EndsWith("\e[?25h", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Lines_of_a_region_are_cut_to_the_terminal_as_wide_as_it_is_now()
    {
        var width = 10;
        var region = new LiveRegion(new Screen(_out, TextWriter.Null, width: width, liveWidth: () => width));
        region.Draw([[new(Tone.Plain, "123456"), new(Tone.Plain, "7890")], Line("123456789")]);
        Assert.Equal("12345678…\n123456789\n", Shown(_out.ToString()));
        width = 5; // The terminal has made two rows of each line.
        _out.GetStringBuilder().Clear();
        region.Draw([Line("123456789")]);
        Assert.Equal("\e[?2026h\e[4A\r\e[J123…\n\e[?2026l", _out.ToString());
    }

    [Fact]
    public void Without_a_terminal_only_what_stays_is_written_and_nothing_that_a_terminal_obeys()
    {
        var region = Region(width: null);
        region.Draw([Line("tree")]);
        region.Above([new(Tone.Bad, "a line"), new(Tone.Dim, "  ")]);
        region.Draw([Line("tree")]);
        region.Dispose();
        Assert.Equal("a line\n", _out.ToString());
    }

    [Theory]
    [InlineData("one two three", 9, "one two|three")]
    [InlineData("a-word-that-is-too-long b", 5, "a-word-that-is-too-long|b")]
    [InlineData("    indented  code", 20, "    indented  code")]
    [InlineData("    indented code", 12, "    indented|code")]
    [InlineData("    indented", 6, "    indented")]
    [InlineData("exact fit", 9, "exact fit")]
    [InlineData("", 5, "")]
    public void Text_breaks_between_words(string text, int width, string lines) => Assert.Equal(lines, string.Join('|', LiveRegion.Wrap(text, width)));
}
