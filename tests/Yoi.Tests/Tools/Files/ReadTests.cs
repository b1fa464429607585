using System.Text;
using Xunit;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Tools.Files;

public sealed class ReadTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task Lines_are_numbered_as_cat_does()
    {
        _room.Put("f", "one\n\n\tthree\nlast");
        var read = await _room.Run("Read", ("file_path", "f"));
        Assert.Equal("     1\tone\n     2\t\n     3\t\tthree\n     4\tlast\n", read.Content);
        Assert.Equal($"Read 4 line(s) from {_room.W}/f", read.Summary);
    }

    [Theory]
    [InlineData(null, null, 1, 2000, "(lines 1-2000 of 2500; more follow: continue with offset 2001)")]
    [InlineData(2001, null, 2001, 2500, "(lines 2001-2500 of 2500)")]
    [InlineData(10, 3, 10, 12, "(lines 10-12 of 2500; more follow: continue with offset 13)")]
    [InlineData(0, 1, 1, 1, "(lines 1-1 of 2500; more follow: continue with offset 2)")]
    [InlineData(2500, 50, 2500, 2500, "(lines 2500-2500 of 2500)")]
    public async Task A_long_file_is_read_in_pages(int? offset, int? limit, int first, int last, string says)
    {
        _room.Put("f", string.Concat(Enumerable.Range(1, 2500).Select(i => $"line {i}\n")));
        var read = await _room.Run("Read", ("file_path", "f"), ("offset", offset), ("limit", limit));
        var lines = read.Content!.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(($"{first,6}\tline {first}", $"{last,6}\tline {last}", last - first + 1), (lines[0], lines[^1], lines.Length));
        Assert.EndsWith(says, read.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_offset_behind_the_end_says_where_the_end_is()
    {
        _room.Put("f", "one\ntwo\n");
        Assert.Equal($"offset 9 is past the end: {_room.W}/f has 2 line(s).", await _room.Refused("Read", ("file_path", "f"), ("offset", 9)));
        Assert.Contains("whole number", await _room.Refused("Read", ("file_path", "f"), ("offset", -1)), StringComparison.Ordinal);
        Assert.Contains("whole number", await _room.Refused("Read", ("file_path", "f"), ("limit", "ten")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_fit_into_a_result_and_join_without_a_gap()
    {
        _room.Put("f", string.Concat(Enumerable.Range(1, 1500).Select(i => $"{i} {new string('x', 90)}\n")));
        var (seen, offset) = (0, 1);
        while (offset > 0)
        {
            var page = await _room.Run("Read", ("file_path", "f"), ("offset", offset));
            Assert.InRange(Encoding.UTF8.GetByteCount(page.Content!), 1, ToolRunner.MaxContentBytes);
            foreach (var line in page.Content!.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                Assert.StartsWith($"{++seen,6}\t{seen} xx", line, StringComparison.Ordinal);
            var next = page.Summary.Split("continue with offset ");
            offset = next.Length == 2 ? int.Parse(next[1].TrimEnd(')'), System.Globalization.CultureInfo.InvariantCulture) : 0;
        }
        Assert.Equal(1500, seen);
    }

    [Theory]
    [InlineData("one\r\ntwo\r\n", "     1\tone\n     2\ttwo\n", "; lines end with CRLF")]
    [InlineData("\ufeffone\n", "     1\tone\n", "; it begins with a byte order mark")]
    public async Task What_a_line_does_not_show_the_summary_says(string content, string shown, string says)
    {
        _room.Put("f", content);
        var read = await _room.Run("Read", ("file_path", "f"));
        Assert.Equal(shown, read.Content);
        Assert.EndsWith(says, read.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UTF_16_is_read_as_text()
    {
        _room.Put("f", [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("Grüße\nzwei\n")]);
        var read = await _room.Run("Read", ("file_path", "f"));
        Assert.Equal("     1\tGrüße\n     2\tzwei\n", read.Content);
        Assert.Contains("UTF-16", read.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_file_is_said_to_be_empty()
    {
        _room.Put("f", "");
        var read = await _room.Run("Read", ("file_path", "f"));
        Assert.Equal(($"Read {_room.W}/f: the file is empty (0 bytes)", null), (read.Summary, read.Content));
    }

    [Fact, Trait("case", "P16")]
    public async Task Binary_files_are_named_and_not_shown()
    {
        _room.Put("f.png", [0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10, 0, 1, 2]);
        _room.Put("f.pdf", "%PDF-1.7\nx");
        _room.Put("f.bin", [1, 2, 0, 4]);
        Assert.Contains("PNG image, 11 bytes", await _room.Refused("Read", ("file_path", "f.png")), StringComparison.Ordinal);
        Assert.Contains("PDF document", await _room.Refused("Read", ("file_path", "f.pdf")), StringComparison.Ordinal);
        Assert.Contains("data with NUL bytes", await _room.Refused("Read", ("file_path", "f.bin")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_missing_or_no_file_says_what_to_do()
    {
        _room.Put("dir/f", "x");
        Assert.EndsWith("no such file or directory", await _room.Refused("Read", ("file_path", "no")), StringComparison.Ordinal);
        Assert.EndsWith("a part of the path is a file, not a directory", await _room.Refused("Read", ("file_path", "dir/f/g")), StringComparison.Ordinal);
        Assert.EndsWith("is a directory; Glob lists what is in it", await _room.Refused("Read", ("file_path", "dir")), StringComparison.Ordinal);
        Assert.Contains("did you mean `file_path`?", await _room.Refused("Read", ("filepath", "dir/f")), StringComparison.Ordinal);
        Assert.Contains("missing field `file_path`", await _room.Refused("Read"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_hundreds_of_mebibytes_is_read_at_its_beginning_only()
    {
        var path = _room.Put("f", "first\nsecond\n" + new string('x', 9000));
        using (var file = File.OpenWrite(path)) file.SetLength(300L << 20); // Zeros behind what Read looks at.
        var read = await _room.Run("Read", ("file_path", "f"), ("limit", 2));
        Assert.Equal("     1\tfirst\n     2\tsecond\n", read.Content);
        Assert.EndsWith("(lines 1-2; more follow: continue with offset 3)", read.Summary, StringComparison.Ordinal);
    }
}
