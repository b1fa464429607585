using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Tests.Tools.Files;

namespace Yoi.Tests.Scopes;

/// <summary>The door against spellings, links and things that are no files.</summary>
public sealed class DoorTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory]
    [Trait("case", "P01")]
    [InlineData("../O/f")]
    [InlineData("a/../../O/f")]
    [InlineData("./../O/f")]
    [InlineData("a/./../..//O///f")]
    [InlineData("{O}/f")]
    [InlineData("{W}/../O/f")]
    [InlineData("{W}/a/../../O/f")]
    [InlineData("//{O}/f")]
    [InlineData("/../..{O}/f")]
    [InlineData("{O}/../O/f")]
    [InlineData("{O}/d/../f")]
    [InlineData("../O/./f")]
    [InlineData("../O/d/../f")]
    [InlineData("../W/../O/f")]
    [InlineData("a/b/../../../O/f")]
    [InlineData("../../{name}/O/f")]
    [InlineData("{W}//..//O//f")]
    [InlineData("{W}/./../O/f")]
    [InlineData("../O/new")]
    [InlineData("{O}/new")]
    [InlineData("a/../../O/d/new")]
    [InlineData("../O/d/new/deep")]
    [InlineData("/etc/shadow")]
    [InlineData("/etc/passwd")]
    [InlineData("/etc/no-such-file")]
    [InlineData("/")]
    [InlineData("..")]
    [InlineData("../..")]
    [InlineData("{O}")]
    [InlineData("../O")]
    [InlineData("../O/f/")]
    [InlineData("nothing/../../O/f")]
    public async Task Outside_is_denied_however_it_is_spelled(string spelling)
    {
        _room.Put("a/b/inside", "in");
        var path = spelling.Replace("{W}", _room.W, StringComparison.Ordinal).Replace("{O}", _room.O, StringComparison.Ordinal)
            .Replace("{name}", Path.GetFileName(_room.Root), StringComparison.Ordinal);
        _room.RememberOutside();
        foreach (var message in new[]
        {
            await _room.Refused("Read", ("file_path", path)),
            await _room.Refused("Write", ("file_path", path), ("content", "x")),
            await _room.Refused("Edit", ("file_path", path), ("old_string", "outside"), ("new_string", "x")),
        })
        {
            // Above W the way is known to lead to W; it is still no file. What is missing inside W is said to be missing.
            if (!spelling.StartsWith("nothing", StringComparison.Ordinal) && path is not ("/" or ".." or "../.."))
                Assert.StartsWith("path is outside allowed scope: ", message, StringComparison.Ordinal);
            Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
        }
        _room.AssertOutsideUntouched();
        Assert.Equal("     1\tin\n", await _room.Read("a/../a/b/inside"));
    }

    [Theory]
    [Trait("case", "P10")]
    [InlineData("app-secret/f")]
    [InlineData("app2/f")]
    [InlineData("app/../app-secret/f")]
    [InlineData("app/../app2/f")]
    [InlineData("ap/f")]
    public async Task A_root_is_a_directory_and_no_prefix_of_names(string path)
    {
        foreach (var name in (string[])["app", "app-secret", "app2", "ap"]) _room.Put(name + "/f", "content of " + name);
        _room.Allow(new ScopeRule(_room.W + "/app", Permission.Write));
        Assert.StartsWith("path is outside allowed scope", await _room.Refused("Read", ("file_path", path)), StringComparison.Ordinal);
        Assert.StartsWith("path is outside allowed scope", await _room.Refused("Write", ("file_path", path + "new"), ("content", "")), StringComparison.Ordinal);
        Assert.Contains("content of app", await _room.Read("app/f"), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("case", "P02")]
    [InlineData("../O/f")]
    [InlineData("{O}/f")]
    [InlineData("chain1")]
    [InlineData("dir/f")]
    public async Task A_link_that_leads_outside_is_denied_by_its_target(string target)
    {
        _room.Link("chain3", "../O/f");
        _room.Link("chain2", _room.W + "/chain3");
        _room.Link("chain1", "chain2");
        _room.Link("dir", "../O/d");
        _room.Link("leaf", target.Replace("{O}", _room.O, StringComparison.Ordinal));
        _room.RememberOutside();
        var message = await _room.Refused("Read", ("file_path", "leaf"));
        Assert.StartsWith($"path is outside allowed scope: {_room.W}/leaf (it leads to {_room.O}/", message, StringComparison.Ordinal);
        Assert.Contains($"Allowed: write:{_room.W}", message, StringComparison.Ordinal);
        await _room.Refused("Write", ("file_path", "leaf"), ("content", "x"));
        await _room.Refused("Edit", ("file_path", "leaf"), ("old_string", "outside"), ("new_string", "x"));
        _room.AssertOutsideUntouched();
    }

    [Fact]
    [Trait("case", "P02")]
    public async Task A_loop_of_links_ends_and_forty_links_are_followed()
    {
        _room.Link("a", "b");
        _room.Link("b", "a");
        Assert.Contains("too many symbolic links", await _room.Refused("Read", ("file_path", "a")), StringComparison.Ordinal);
        Assert.Contains("too many symbolic links", await _room.Refused("Write", ("file_path", "a"), ("content", "")), StringComparison.Ordinal);
        _room.Put("l0", "end");
        for (var i = 1; i <= 41; i++) _room.Link("l" + i, "l" + (i - 1));
        Assert.Contains("end", await _room.Read("l40"), StringComparison.Ordinal);
        Assert.Contains("too many symbolic links", await _room.Refused("Read", ("file_path", "l41")), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("case", "P02")]
    public async Task A_link_inside_the_scope_works_and_the_file_behind_it_is_written()
    {
        var file = _room.Put("sub/real", "one\n");
        var link = _room.Link("link", "sub/real");
        _room.Link("through", _room.O);
        _room.Link(".back", _room.W + "/sub");
        Assert.Equal("     1\tone\n", await _room.Read("link"));
        await _room.Run("Edit", ("file_path", "link"), ("old_string", "one"), ("new_string", "two"));
        Assert.Equal("two\n", File.ReadAllText(file));
        Assert.Equal("sub/real", new FileInfo(link).LinkTarget);
        Assert.Equal("     1\ttwo\n", await _room.Read(".back/real"));
        _room.Link("dangling", "sub/made");
        Assert.Equal($"Created {_room.W}/sub/made (1 bytes)", (await _room.Run("Write", ("file_path", "dangling"), ("content", "x"))).Summary);
    }

    [Fact]
    [Trait("case", "P02")]
    public async Task A_link_between_two_roots_is_judged_at_its_target()
    {
        Directory.CreateDirectory(_room.Root + "/R");
        File.WriteAllText(_room.Root + "/R/f", "readable");
        _room.Link("r", "../R");
        _room.Allow(new ScopeRule(_room.W, Permission.Write), new(_room.Root + "/R", Permission.Read));
        Assert.Contains("readable", await _room.Read("r/f"), StringComparison.Ordinal);
        Assert.Contains("readable", await _room.Read("../R/f"), StringComparison.Ordinal);
        Assert.Contains("may be read, not written", await _room.Refused("Write", ("file_path", "r/f"), ("content", "x")), StringComparison.Ordinal);
        Assert.Contains("may be read, not written", await _room.Refused("Write", ("file_path", "r/new"), ("content", "x")), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("case", "P03")]
    public async Task A_directory_that_is_a_link_outside_makes_nothing_there()
    {
        _room.Link("d", "../O");
        _room.Link("e", _room.O + "/d");
        _room.RememberOutside();
        foreach (var path in (string[])["d/new", "d/deep/new", "e/new", "d/d/new", "d/f"])
        {
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Write", ("file_path", path), ("content", "x")), StringComparison.Ordinal);
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Read", ("file_path", path)), StringComparison.Ordinal);
        }
        _room.AssertOutsideUntouched();
    }

    [Theory]
    [Trait("case", "P09")]
    [InlineData("/proc/self/root{W}/f")]
    [InlineData("/proc/self/cwd/f")]
    [InlineData("/proc/self/environ")]
    [InlineData("/proc/{pid}/root{W}/f")]
    [InlineData("/proc/{pid}/cwd")]
    [InlineData("/proc/self/fd/0")]
    [InlineData("/proc/1/root{W}/f")]
    [InlineData("/proc/self/task/{pid}/root{W}/f")]
    [InlineData("/proc/thread-self/root{W}/f")]
    [InlineData("/proc/kmsg")]
    [InlineData("/dev/fd/0")]
    [InlineData("/dev/stdin")]
    [InlineData("proc")]
    [InlineData("kmsg")]
    public async Task No_way_leads_through_proc_even_if_everything_is_granted(string spelling)
    {
        _room.Put("f", "in");
        _room.Link("proc", $"/proc/self/root{_room.W}/f");
        _room.Link("kmsg", "/proc/kmsg");
        var path = spelling.Replace("{W}", _room.W, StringComparison.Ordinal).Replace("{pid}", $"{Environment.ProcessId}", StringComparison.Ordinal);
        foreach (var everything in (bool[])[false, true])
        {
            if (everything) _room.Allow(new ScopeRule("/", Permission.Write));
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Read", ("file_path", path)), StringComparison.Ordinal);
            Assert.StartsWith("path is outside allowed scope", await _room.Refused("Write", ("file_path", path), ("content", "x")), StringComparison.Ordinal);
        }
        Assert.Contains("in", await _room.Read(_room.W + "/f"), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("case", "P14")]
    public async Task Odd_paths_are_refused_or_taken_by_the_letter()
    {
        Assert.Contains("empty", await _room.Refused("Read", ("file_path", "")), StringComparison.Ordinal);
        Assert.Contains("NUL", await _room.Refused("Read", ("file_path", "a\0b")), StringComparison.Ordinal);
        Assert.Contains("NUL", await _room.Refused("Write", ("file_path", "a\0b"), ("content", "")), StringComparison.Ordinal);
        Assert.Contains("too long", await _room.Refused("Read", ("file_path", new string('a', 5000))), StringComparison.Ordinal);
        Assert.Contains("too long", await _room.Refused("Write", ("file_path", new string('a', 256)), ("content", "")), StringComparison.Ordinal);
        Assert.Contains("no such file", await _room.Refused("Read", ("file_path", string.Concat(Enumerable.Repeat("d/", 1000)) + "f")), StringComparison.Ordinal);
        foreach (var name in (string[])["a\nb", "-rf", "--help", "~/x", "$HOME", "$(id)", "`id`", "a b", "*", "日本", "💥", "\u202egpj.exe"])
        {
            var summary = (await _room.Run("Write", ("file_path", name), ("content", name))).Summary;
            Assert.DoesNotContain('\n', summary);
            Assert.DoesNotContain('\u202e', summary);
            Assert.Equal(name, File.ReadAllText(Path.Combine(_room.W, name)));
            Assert.Contains("1\t", await _room.Read(name), StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("case", "P16")]
    public async Task Only_regular_files_are_read_and_nothing_hangs()
    {
        Assert.Equal(0, Native.MakeNode(_room.W + "/fifo", 0x1180));
        Assert.Equal(0, Native.MakeNode(_room.W + "/sock", 0xc180));
        _room.Put("sparse", "");
        using (var sparse = File.OpenWrite(_room.W + "/sparse")) sparse.SetLength(1L << 40);
        Directory.CreateDirectory(_room.W + "/dir");
        foreach (var (path, kind) in ((string, string)[])[("fifo", "named pipe"), ("sock", "socket"), ("dir", "directory"), ("sparse", "binary file (data with NUL bytes, 1024 GiB)")])
        {
            Assert.Contains(kind, await InTime(_room.Refused("Read", ("file_path", path))), StringComparison.Ordinal);
            if (path != "sparse") Assert.Contains(kind, await InTime(_room.Refused("Write", ("file_path", path), ("content", ""))), StringComparison.Ordinal);
        }
        _room.Allow(new(_room.W, Permission.Write), new("/dev", Permission.Write));
        Assert.Contains("character device", await InTime(_room.Refused("Read", ("file_path", "/dev/zero"))), StringComparison.Ordinal);
        Assert.Contains("character device", await InTime(_room.Refused("Write", ("file_path", "/dev/null"), ("content", ""))), StringComparison.Ordinal);
        Assert.Contains("character device", await InTime(_room.Refused("Grep", ("pattern", "x"), ("path", "/dev/zero"))), StringComparison.Ordinal);
        Assert.Equal("No matches found", (await InTime(_room.Run("Grep", ("pattern", "x")))).Summary.Split(';')[0]);
        _room.Put("plain", "x");
        Assert.Equal("     1\tx\n", await InTime(_room.Read("plain")));
    }

    /// <summary>What hangs fails.</summary>
    private static Task<T> InTime<T>(Task<T> call) => call.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

    [Fact]
    [Trait("case", "P20")]
    public async Task A_rule_that_is_not_recursive_ends_at_the_direct_children()
    {
        _room.Put("f", "in");
        _room.Put("sub/f", "deep");
        _room.Allow(new ScopeRule(_room.W, Permission.Write, Recursive: false));
        Assert.Contains("in", await _room.Read("f"), StringComparison.Ordinal);
        Assert.Contains("outside allowed scope", await _room.Refused("Read", ("file_path", "sub/f")), StringComparison.Ordinal);
        Assert.Contains("outside allowed scope", await _room.Refused("Write", ("file_path", "sub/new"), ("content", "")), StringComparison.Ordinal);
        Assert.Contains("outside allowed scope", await _room.Refused("Write", ("file_path", "made/new"), ("content", "")), StringComparison.Ordinal);
        Assert.False(Directory.Exists(_room.W + "/made"));
        await _room.Run("Write", ("file_path", "new"), ("content", "x"));
        Assert.DoesNotContain("sub", (await _room.Run("Glob", ("pattern", "**/*"))).Content!, StringComparison.Ordinal);
    }

    [Fact]
    public void The_memory_of_what_is_outside_sees_every_kind_of_change()
    {
        var file = _room.O + "/f";
        var time = File.GetLastWriteTimeUtc(file);
        Action[] changes =
        [
            () => File.AppendAllText(file, "x"), () => File.SetUnixFileMode(file, UnixFileMode.UserRead), () => File.SetLastWriteTimeUtc(file, time.AddSeconds(-1)),
            () => File.WriteAllText(_room.O + "/new", ""), () => File.Delete(_room.O + "/d/f"), () => Directory.CreateDirectory(_room.O + "/d/e"),
        ];
        foreach (var change in changes)
        {
            _room.RememberOutside();
            _room.AssertOutsideUntouched();
            change();
            Assert.ThrowsAny<Xunit.Sdk.XunitException>(_room.AssertOutsideUntouched);
        }
        _room.RememberOutside();
        if (!Native.SetAttribute(file, "user.canary", "croaks")) return; // No attributes on this file system.
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(_room.AssertOutsideUntouched);
        Assert.Contains("user.canary=", Native.Describe(file), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("case", "P12")]
    public async Task Names_compare_as_bytes_and_look_different_where_they_differ()
    {
        var names = (string[])["caf\u00e9", "cafe\u0301", "a\u200bb", "ab", "abc\u202etxt", "\u0430b", "line\u2028break", "e\u001b[31m"];
        foreach (var name in names) _room.Put(name, name);
        _room.Deny(new ScopeRule(_room.W + "/caf\u00e9", Permission.Read));
        Assert.Contains("denied by the scope", await _room.Refused("Read", ("file_path", "caf\u00e9")), StringComparison.Ordinal);
        Assert.Contains("cafe\u0301", await _room.Read("cafe\u0301"), StringComparison.Ordinal);
        var listing = (await _room.Run("Glob", ("pattern", "*"))).Content!;
        var shown = listing.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["a\\u{200B}b", "ab", "abc\\u{202E}txt", "cafe\\u{301}", "e\\u{1B}[31m", "line\\u{2028}break", "\\u{430}b"], shown.Order(StringComparer.Ordinal).OrderBy(s => s.StartsWith('\\')));
        Assert.Equal("Found 7 file(s); 1 name(s) left out that the scope does not show", (await _room.Run("Glob", ("pattern", "*"))).Summary);
    }

    [Fact]
    [Trait("case", "P12")]
    public async Task A_name_that_is_no_text_is_shown_and_hurts_nobody()
    {
        byte[] raw = [.. Encoding.UTF8.GetBytes(_room.W + "/bad"), 0xff, 0];
        Assert.Equal(0, Native.MakeNode(raw, 0x81a4));
        _room.Put("good", "x");
        Assert.Equal("bad\\xFF\ngood\n", (await _room.Run("Glob", ("pattern", "*"))).Content!.Split('\n').Order(StringComparer.Ordinal).Where(l => l.Length > 0).Aggregate("", (a, l) => a + l + "\n"));
        Assert.Equal("good\n", (await _room.Run("Grep", ("pattern", "x"))).Content);
        var path = PathText.Decode(raw.AsSpan()[..^1]);
        Assert.Equal(raw, PathText.Encode(path));
        using var opened = _room.Files.OpenRead(path);
        Assert.Equal(path, opened.Path);
        Assert.Equal(0, Native.Remove(raw));
    }
}
