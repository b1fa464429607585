using System.Text;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Tools.Files;

public sealed class WriteTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose()
    {
        _room.AssertNoSpareFiles();
        _room.Dispose();
    }

    [Fact]
    public async Task A_new_file_is_made_with_the_directories_it_needs()
    {
        Assert.Equal($"Created {_room.W}/a/b/f (4 bytes)", (await _room.Run("Write", ("file_path", "a/b/f"), ("content", "one\n"))).Summary);
        Assert.Equal("one\n", File.ReadAllText(_room.W + "/a/b/f"));
        Assert.Contains("ends as a directory does", await _room.Refused("Write", ("file_path", "a/c/"), ("content", "")), StringComparison.Ordinal);
        Assert.Contains("a directory", await _room.Refused("Write", ("file_path", "a"), ("content", "")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_content_is_written_as_it_is_given()
    {
        foreach (var content in (string[])["", "no newline", "a\r\nb\r\n", "\ufeffmark\n", "nul\0nul", "😀\n"])
        {
            await _room.Run("Write", ("file_path", "f"), ("content", content));
            Assert.Equal(Encoding.UTF8.GetBytes(content), File.ReadAllBytes(_room.W + "/f"));
        }
    }

    [Theory]
    [InlineData("Write")]
    [InlineData("Edit")]
    public async Task A_file_that_was_never_read_is_not_changed(string tool)
    {
        _room.Put("f", "old\n");
        Assert.Contains("has not been read yet", await Change(tool, "f"), StringComparison.Ordinal);
        Assert.Equal("old\n", File.ReadAllText(_room.W + "/f"));
        await _room.Read("f");
        Assert.Equal("", await Change(tool, "f"));
        Assert.Equal("new\n", File.ReadAllText(_room.W + "/f"));
    }

    [Theory]
    [InlineData("Write", "content")]
    [InlineData("Write", "replaced")]
    [InlineData("Write", "link")]
    [InlineData("Write", "same size and time")]
    [InlineData("Edit", "content")]
    [InlineData("Edit", "replaced")]
    [InlineData("Edit", "link")]
    [InlineData("Edit", "same size and time")]
    public async Task A_file_that_changed_since_it_was_read_is_not_changed(string tool, string how)
    {
        var path = _room.Put("f", "old\n");
        var time = File.GetLastWriteTimeUtc(path);
        await _room.Read("f");
        switch (how)
        {
            case "replaced": File.Delete(path); _room.Put("f", "old\nmore\n"); break;
            case "link": File.Move(path, path + "1"); _room.Put("other", "old\nnot read\n"); _room.Link("f", "other"); break;
            default: File.WriteAllText(path, how == "content" ? "old\nand more\n" : "olD\n"); break;
        }
        if (how == "same size and time") File.SetLastWriteTimeUtc(path, time);
        var now = File.ReadAllText(path);
        Assert.Matches("was changed since it was read|has not been read yet", await Change(tool, "f"));
        Assert.Equal(now, File.ReadAllText(path));
        await _room.Read("f");
        File.WriteAllText(path, now); // The same content at another time: what was read still holds.
        Assert.StartsWith("Overwrote", (await _room.Run("Write", ("file_path", "f"), ("content", "new\n"))).Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_written_or_edited_may_be_changed_again_without_reading()
    {
        await _room.Run("Write", ("file_path", "f"), ("content", "one\n"));
        await _room.Run("Edit", ("file_path", "f"), ("old_string", "one"), ("new_string", "two"));
        await _room.Run("Write", ("file_path", "f"), ("content", "three\n"));
        Assert.Equal("three\n", File.ReadAllText(_room.W + "/f"));
        File.Delete(_room.W + "/f");
        Assert.StartsWith("Created", (await _room.Run("Write", ("file_path", "f"), ("content", "four\n"))).Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x1ed)] // rwxr-xr-x
    [InlineData(0x1a4)]
    [InlineData(0x180)]
    [InlineData(0x100)] // r--------: its directory may be written
    public async Task The_mode_of_a_file_stays(int mode)
    {
        var path = _room.Put("f", "old\n");
        File.SetUnixFileMode(path, (UnixFileMode)mode);
        await _room.Overwrite("f", "new\n");
        Assert.Equal((UnixFileMode)mode, File.GetUnixFileMode(path));
        await _room.Run("Edit", ("file_path", "f"), ("old_string", "new"), ("new_string", "newer"));
        Assert.Equal(((UnixFileMode)mode, "newer\n"), (File.GetUnixFileMode(path), File.ReadAllText(path)));
    }

    [Fact]
    public async Task A_file_is_replaced_and_not_written_over_so_that_its_other_names_stay()
    {
        var path = _room.Put("f", "old\n");
        Assert.Equal(0, Scopes.Native.HardLink(path, _room.O + "/same"));
        using var reader = File.OpenText(path);
        await _room.Overwrite("f", "new\n");
        Assert.Equal(("old\n", "old\n", "new\n"), (reader.ReadToEnd(), File.ReadAllText(_room.O + "/same"), File.ReadAllText(path)));
    }

    [Fact]
    public async Task A_rule_on_one_file_writes_it_in_place_and_no_name_beside_it()
    {
        var path = _room.Put("f", "old and longer\n");
        _room.Allow(new ScopeRule(path, Permission.Write));
        var inode = Scopes.Native.Inode(path);
        await _room.Overwrite("f", "new\n");
        await _room.Run("Edit", ("file_path", "f"), ("old_string", "new"), ("new_string", "newer"));
        Assert.Equal(("newer\n", inode), (File.ReadAllText(path), Scopes.Native.Inode(path)));
        Assert.StartsWith("path is outside allowed scope", await _room.Refused("Write", ("file_path", "g"), ("content", "")), StringComparison.Ordinal);

        _room.Allow(new ScopeRule(_room.W + "/made", Permission.Write));
        await _room.Run("Write", ("file_path", "made"), ("content", "x"));
        Assert.Equal(["f", "made"], Directory.EnumerateFileSystemEntries(_room.W).Select(Path.GetFileName).Order());
    }

    [Fact, Trait("case", "P25")]
    public async Task A_rule_on_one_file_is_no_way_to_write_another_name_of_it()
    {
        var path = _room.Put("f", "old\n");
        Assert.Equal(0, Scopes.Native.HardLink(path, _room.O + "/same"));
        _room.Allow(new ScopeRule(path, Permission.Write));
        await _room.Read("f");
        _room.RememberOutside();
        Assert.Contains("has other names (hard links)", await _room.Refused("Write", ("file_path", "f"), ("content", "new\n")), StringComparison.Ordinal);
        Assert.Contains("has other names (hard links)", await _room.Refused("Edit", ("file_path", "f"), ("old_string", "old"), ("new_string", "new")), StringComparison.Ordinal);
        _room.AssertOutsideUntouched();
    }

    [Fact]
    public async Task What_cannot_be_written_is_left_as_it_is_and_said()
    {
        if (Environment.UserName == "root") Assert.Skip("root may write everywhere; the whole check runs this as an ordinary user, too");
        _room.Put("d/f", "old\n");
        await _room.Read("d/f");
        File.SetUnixFileMode(_room.W + "/d", UnixFileMode.UserRead | UnixFileMode.UserExecute);
        try
        {
            Assert.Contains("permissions do not allow it", await _room.Refused("Write", ("file_path", "d/f"), ("content", "new\n")), StringComparison.Ordinal);
            Assert.Contains("permissions do not allow it", await _room.Refused("Write", ("file_path", "d/g"), ("content", "new\n")), StringComparison.Ordinal);
            Assert.Equal("old\n", File.ReadAllText(_room.W + "/d/f"));
        }
        finally
        {
            File.SetUnixFileMode(_room.W + "/d", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    /// <summary>A process that is being started has a copy of every descriptor, and so of every lock, until it is another program.</summary>
    [Fact]
    public async Task What_was_written_is_locked_no_more_whatever_is_started_meanwhile()
    {
        using var done = new CancellationTokenSource();
        var starting = Task.Run(async () =>
        {
            while (!done.IsCancellationRequested)
            {
                using var started = System.Diagnostics.Process.Start("/bin/true");
                await started.WaitForExitAsync(TestContext.Current.CancellationToken);
            }
        }, TestContext.Current.CancellationToken);
        for (var i = 0; i < 300; i++)
        {
            await _room.Run("Write", ("file_path", $"f{i % 2}"), ("content", $"{i}"));
            Assert.Equal($"{i}", File.ReadAllText($"{_room.W}/f{i % 2}")); // .NET takes a lock to read, as other programs do.
        }
        await done.CancelAsync();
        await starting;
    }

    /// <summary>Changes "old" to "new"; the refusal, empty if there was none.</summary>
    private async Task<string> Change(string tool, string path)
    {
        try
        {
            await (tool == "Write"
                ? _room.Run("Write", ("file_path", path), ("content", "new\n"))
                : _room.Run("Edit", ("file_path", path), ("old_string", "old"), ("new_string", "new")));
            return "";
        }
        catch (Yoi.Runtime.Tools.ToolFailure e)
        {
            return e.Message;
        }
    }
}
