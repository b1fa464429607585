using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

public sealed class ScopeRootsTests : IDisposable
{
    private readonly ScopeRoom _room = new();
    private readonly string _real;

    public ScopeRootsTests()
    {
        _real = Directory.CreateDirectory(_room.Root + "/w/real").FullName;
        File.CreateSymbolicLink(_room.Root + "/link", "w/real");
        File.CreateSymbolicLink(_room.Root + "/dangling", "w/later");
        File.CreateSymbolicLink(_room.Root + "/loop", "loop");
    }

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory, Trait("case", "P25")]
    [InlineData("w/real")]
    [InlineData("w/real/")]
    [InlineData("w//real/.")]
    [InlineData("link")]
    [InlineData("link/")]
    [InlineData("w/real/x/../../real")]
    [InlineData("link/../real")]
    public async Task However_a_directory_is_spelt_the_second_writer_is_refused(string spelling)
    {
        Directory.CreateDirectory(_real + "/x");
        var resolved = ScopeRoots.Resolve(_room.Root + "/" + spelling, "/");
        Assert.Equal(_real, resolved);
        Assert.Equal(_real, ScopeRoots.Resolve(spelling, _room.Root));
        await _room.Table.AcquireAsync(_room.Row("first", "write:" + _real), Ct);
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("second", "write:" + resolved), Ct));
        Assert.Equal("first", refused.Holder);
        await _room.Table.AcquireAsync(_room.Row("third", "write:" + _room.Root + "/w/other"), Ct);
    }

    [Fact, Trait("case", "P14")]
    public void A_path_of_as_many_names_as_anybody_writes_is_resolved_or_refused_and_takes_no_stack()
    {
        var many = string.Concat(Enumerable.Repeat("/a", 60_000));
        Assert.Contains("longer than 4095 bytes", Assert.Throws<ScopeException>(() => ScopeRoots.Resolve(_room.Root + many, "/")).Message, StringComparison.Ordinal);
        // Each link leads on to the next, behind as many names as fit.
        var most = string.Concat(Enumerable.Repeat("/a", 2000));
        for (var i = 0; i < 39; i++) File.CreateSymbolicLink($"{_room.Root}/l{i}", $"l{i + 1}{most}");
        Exception? refused = null;
        var thread = new Thread(() => refused = Record.Exception(() => ScopeRoots.Resolve(_room.Root + "/l0", "/")), 256 * 1024);
        thread.Start();
        thread.Join();
        Assert.IsType<ScopeException>(refused);
        Assert.Equal(_room.Root + "/l39" + most, ScopeRoots.Resolve(_room.Root + "/l38", "/"));
    }

    [Theory, Trait("case", "P14")]
    [InlineData("[core]\n\thooksPath = {0}\n")]
    [InlineData("[include]\n\tpath = {0}\n")]
    [InlineData("[core]\n\tworktree = {0}\n\thooksPath = x\n")]
    public void Settings_of_a_repository_that_name_a_path_longer_than_any_name_none(string settings)
    {
        var git = Directory.CreateDirectory(_room.Root + "/w/.git").FullName;
        File.WriteAllText(git + "/config", settings.Replace("{0}", string.Concat(Enumerable.Repeat("a/", 60_000)), StringComparison.Ordinal));
        Assert.DoesNotContain(GitNames.Of(git, null), path => ScopePath.Problem(path) is not null);
        File.WriteAllText(git + "/config", settings.Replace("{0}", "a/b", StringComparison.Ordinal));
        Assert.Contains(GitNames.Of(git, null), path => path.Contains("/a/b", StringComparison.Ordinal));
    }

    [Theory, Trait("case", "P25")]
    [InlineData("dangling", "w/later")]
    [InlineData("dangling/x/./y", "w/later/x/y")]
    [InlineData("w/none/x//", "w/none/x")]
    [InlineData("link/none/x", "w/real/none/x")]
    public void What_is_not_there_is_resolved_as_far_as_it_is(string path, string resolved)
    {
        Assert.Equal($"{_room.Root}/{resolved}", ScopeRoots.Resolve(path, _room.Root));
        Assert.Throws<ScopeException>(() => ScopeRoots.Resolve(path + "/../x", _room.Root));
        Assert.Throws<ScopeException>(() => ScopeRoots.Resolve("loop/x", _room.Root));
    }

    [Fact, Trait("case", "P25")]
    public async Task A_rule_whose_target_leads_elsewhere_does_not_enter_the_table()
    {
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("first", $"write:{_room.Root}/link"), Ct));
        Assert.Contains(_real, refused.Message, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "P25")]
    public async Task One_file_under_two_names_has_one_writer()
    {
        File.WriteAllText(_real + "/file", "x");
        Assert.Equal(0, Yoi.Runtime.Linux.Libc.HardLink(_real + "/file", _room.Root + "/second-name"));
        await _room.Table.AcquireAsync(_room.Row("first", $"write:{_real}/file"), Ct);
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("second", $"write:{_room.Root}/second-name"), Ct));
        Assert.Contains("under another name", refused.Message, StringComparison.Ordinal);
        await _room.Table.AcquireAsync(_room.Row("reader", $"read:{_room.Root}/second-name"), Ct);
    }

    [Fact]
    public void What_is_not_there_yet_is_resolved_as_far_as_it_is()
    {
        Assert.Equal(_real + "/new/deep", ScopeRoots.Resolve(_room.Root + "/link/new/./deep", "/"));
        Assert.Equal(_room.Root + "/w/later", ScopeRoots.Resolve(_room.Root + "/dangling", "/"));
        Assert.Equal(_room.Root + "/w/later/x", ScopeRoots.Resolve(_room.Root + "/dangling/x", "/"));
        Assert.Contains("..", Assert.Throws<ScopeException>(() => ScopeRoots.Resolve(_room.Root + "/gone/../w", "/")).Message, StringComparison.Ordinal);
        Assert.Throws<ScopeException>(() => ScopeRoots.Resolve(_room.Root + "/loop", "/"));
        Assert.Throws<ScopeException>(() => ScopeRoots.Resolve("", "/"));
        Assert.Equal([new ScopeRule(_real, Permission.Read)],
            ScopeRoots.Resolve([new("link", Permission.Read), new("w/real/", Permission.Read)], _room.Root));
    }

    [Theory, Trait("case", "P11")]
    [InlineData(0x40000000L | 0x80000, 0xef53L, true)] // ext4 with the casefold flag on this directory
    [InlineData(0x80000L, 0xef53L, false)]
    [InlineData(null, 0x01021994L, false)] // tmpfs
    [InlineData(null, 0x4d44L, true)] // vfat
    [InlineData(null, unchecked((long)0xffffffffff534d42), true)] // cifs, as a signed word
    public void A_directory_that_folds_case_is_told_by_its_flag_or_its_file_system(long? flags, long fileSystem, bool folds) =>
        Assert.Equal(folds, ScopeRoots.FoldsCase(flags, fileSystem));

    [Fact, Trait("case", "P11")]
    public void Ordinary_directories_and_what_is_missing_do_not_fold_case()
    {
        File.WriteAllText(_real + "/File", "");
        Assert.False(File.Exists(_real + "/file")); // Else this machine's temporary directory is no positive control.
        Assert.False(ScopeRoots.FoldsCase(_real));
        Assert.False(ScopeRoots.FoldsCase(_room.Root + "/nowhere"));
        Assert.Contains("differ in case", ScopeRoots.FoldingText("/w"), StringComparison.Ordinal);
    }
}
