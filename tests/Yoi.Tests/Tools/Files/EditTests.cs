using System.Text;
using Xunit;

namespace Yoi.Tests.Tools.Files;

public sealed class EditTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose()
    {
        _room.AssertNoSpareFiles();
        _room.Dispose();
    }

    [Fact]
    public async Task The_only_occurrence_is_replaced_and_its_surroundings_are_shown()
    {
        _room.Put("f", "1\n2\n3\n4\nold\n6\n7\n8\n9\n");
        var edited = await Edit("f", "old\n", "new\nand\n");
        Assert.Equal("1\n2\n3\n4\nnew\nand\n6\n7\n8\n9\n", File.ReadAllText(_room.W + "/f"));
        Assert.Equal($"Edited {_room.W}/f (1 replacement, line 5)", edited.Summary);
        Assert.StartsWith("     2\t2\n     3\t3\n     4\t4\n     5\tnew\n     6\tand\n", edited.Content, StringComparison.Ordinal);
        Assert.DoesNotContain("     1\t", edited.Content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_occurrences_need_replace_all()
    {
        _room.Put("f", "x = 1\ny = x\nx\n");
        Assert.Contains("occurs 3 times", await Refused("f", "x", "z"), StringComparison.Ordinal);
        Assert.Contains("(lines 1, 2, 3)", await Refused("f", "x", "z"), StringComparison.Ordinal);
        var edited = await _room.Run("Edit", ("file_path", "f"), ("old_string", "x"), ("new_string", "zz"), ("replace_all", true));
        Assert.Equal("zz = 1\ny = zz\nzz\n", File.ReadAllText(_room.W + "/f"));
        Assert.Contains("3 replacements, first at line 1", edited.Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a\r\nold\r\nb\r\n", "a\nold", "a\nnew\nmore", "a\r\nnew\r\nmore\r\nb\r\n")]
    [InlineData("a\r\nold\r\nb", "old", "new", "a\r\nnew\r\nb")]
    [InlineData("a\nold\r\nb\n", "old", "new", "a\nnew\r\nb\n")]
    [InlineData("a\nb\r\nold\r\nc\n", "b\nold\n", "new\n", "a\nnew\r\nc\n")]
    [InlineData("\ufeffold\nb\n", "old", "new", "\ufeffnew\nb\n")]
    [InlineData("\ufeffold\r\nb\r\n", "old\nb", "new\nb", "\ufeffnew\r\nb\r\n")]
    [InlineData("old", "old", "new", "new")]
    [InlineData("a\nold", "old", "new\n", "a\nnew\n")]
    [InlineData("old\n", "old\n", "", "")]
    [InlineData("😀old😀", "old", "é", "😀é😀")]
    public async Task Line_ends_mark_and_last_line_stay_as_they_are(string before, string old, string replacement, string after)
    {
        _room.Put("f", before);
        await Edit("f", old, replacement);
        Assert.Equal(Encoding.UTF8.GetBytes(after), File.ReadAllBytes(_room.W + "/f"));
    }

    [Fact]
    public async Task Bytes_that_are_no_text_stay_as_they_are()
    {
        _room.Put("f", [0xff, .. "old"u8, 0xfe, (byte)'\n']);
        await Edit("f", "old", "new");
        Assert.Equal([0xff, .. "new"u8, 0xfe, (byte)'\n'], File.ReadAllBytes(_room.W + "/f"));
    }

    [Theory]
    [InlineData("\told value", "    old value", "differs only in white space begins at line 1")]
    [InlineData("     1\told", "     1\told", "line numbers as Read shows them")]
    [InlineData("function compute(a, b)", "function computes(a, b)", "The closest line is 1")]
    [InlineData("quite", "different thing", "It must match exactly")]
    public async Task What_is_not_found_is_explained(string content, string old, string hint)
    {
        _room.Put("f", (hint.StartsWith("line numbers", StringComparison.Ordinal) ? content[7..] : content) + "\nother\n");
        Assert.Contains(hint, await Refused("f", old, "x"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_makes_no_sense_is_refused_before_anything_is_opened()
    {
        _room.Put("f", "old\n");
        await _room.Read("f");
        Assert.Contains("are the same", await Refused("f", "old", "old"), StringComparison.Ordinal);
        Assert.Contains("old_string is empty", await Refused("f", "", "x"), StringComparison.Ordinal);
        Assert.Contains("Write makes new files", await _room.Refused("Edit", ("file_path", "no"), ("old_string", "a"), ("new_string", "b")), StringComparison.Ordinal);
        Assert.False(File.Exists(_room.W + "/no"));
    }

    [Fact]
    public async Task UTF_16_is_left_alone()
    {
        byte[] content = [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("old\n")];
        _room.Put("f", content);
        Assert.Contains("UTF-16", await Refused("f", "old", "new"), StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllBytes(_room.W + "/f"));
    }

    private async Task<Yoi.Runtime.Tools.ToolOutcome> Edit(string path, string old, string replacement)
    {
        await _room.Read(path);
        return await _room.Run("Edit", ("file_path", path), ("old_string", old), ("new_string", replacement));
    }

    private async Task<string> Refused(string path, string old, string replacement)
    {
        await _room.Read(path);
        return await _room.Refused("Edit", ("file_path", path), ("old_string", old), ("new_string", replacement));
    }
}
