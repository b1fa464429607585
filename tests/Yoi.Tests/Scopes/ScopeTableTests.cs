using Xunit;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>The table as its callers see it: one state root on disk, Pods that live or not by word of the test.</summary>
public sealed class ScopeTableTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_root_takes_its_scope_and_the_table_says_so()
    {
        var row = _room.Row("lead", "write:/w");
        var generation = await _room.Table.AcquireAsync(row, Ct);
        var table = _room.Table.Read();
        Assert.Equal(1, generation);
        Assert.Equal(row with { Generation = 1 }, table.Pods.Single() with { Scope = row.Scope });
        Assert.Equal(Access.Write, table.PolicyOf(row.PodId).AccessAt("/w/a"));
        Assert.Equal(Access.None, table.PolicyOf(row.PodId).AccessAt("/v"));
    }

    [Fact]
    public async Task A_path_that_another_holds_is_refused_and_the_holder_and_the_commands_are_named()
    {
        await _room.Table.AcquireAsync(_room.Row("lead", "write:/w"), Ct);
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("other", "write:/w/a/b"), Ct));
        Assert.Equal("lead", refused.Holder);
        foreach (var word in (string[])["/w/a/b", "--read /w/a/b", "yoi send lead", "yoi stop lead"]) Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        Assert.Single(_room.Table.Read().Pods);
        await _room.Table.AcquireAsync(_room.Row("reader", "read:/w/a"), Ct);
        await _room.Table.AcquireAsync(_room.Row("beside", "write:/w2"), Ct);
        Assert.Equal(3, _room.Table.Read().Pods.Count);
    }

    [Fact]
    public async Task What_is_lent_is_read_and_not_written_until_it_comes_back()
    {
        var lead = _room.Row("lead", "write:/w");
        var child = _room.Row("child", "write:/w/a");
        await _room.Table.AcquireAsync(lead, Ct);
        using var live = new LiveScope(_room.Directories, lead.PodId);
        var before = live.Current();
        Assert.Same(before, live.Current());
        Assert.Equal(Access.Write, before.AccessAt("/w/a/x"));

        var generation = await _room.Table.LendAsync(lead.PodId, child, Ct);
        Assert.Equal(Access.Read, live.Current().AccessAt("/w/a/x"));
        Assert.Equal("child", live.Current().Decide("/w/a/x").Holder?.Child);
        Assert.Equal(Access.Write, live.Current().AccessAt("/w/b"));
        Assert.True(_room.Table.Read().Find(child.PodId)!.Pending);

        await _room.Table.AdoptAsync(child.PodId, generation, 4711, Ct);
        var row = _room.Table.Read().Find(child.PodId)!;
        Assert.Equal((false, 4711, 1, lead.PodId), (row.Pending, row.Pid ?? 0, row.Depth, row.RootId));

        Assert.Equal(child.Scope.Allow, await _room.Table.ReleaseAsync(child.PodId, Ct));
        Assert.Equal(Access.Write, live.Current().AccessAt("/w/a/x"));
        var after = _room.Table.Read().Generation;
        Assert.Empty(await _room.Table.ReleaseAsync(child.PodId, Ct));
        Assert.Equal(after, _room.Table.Read().Generation);

        await _room.Table.ReleaseAsync(lead.PodId, Ct);
        Assert.Equal(Access.None, live.Current().AccessAt("/w/b"));
    }

    [Fact]
    public async Task Who_drops_the_row_of_a_killed_Pod_removes_its_socket_and_its_token()
    {
        var (killed, other) = (_room.Row("killed", "write:/w"), _room.Row("other", "write:/v"));
        await _room.Table.AcquireAsync(killed, Ct);
        await _room.Table.AcquireAsync(other, Ct);
        Directory.CreateDirectory(_room.Directories.Runtime);
        foreach (var pod in new[] { killed, other })
            foreach (var path in new[] { _room.Directories.Socket(pod.PodId), _room.Directories.Token(pod.PodId) }) await File.WriteAllTextAsync(path, "", Ct);
        _room.Kill(killed);

        await _room.Table.AcquireAsync(_room.Row("next", "write:/w"), Ct);

        Assert.Equal([_room.Directories.Socket(other.PodId), _room.Directories.Token(other.PodId)], Directory.GetFiles(_room.Directories.Runtime).Order(StringComparer.Ordinal));
    }

    [Theory, Trait("case", "P23")]
    [InlineData("write:/", "not within")]
    [InlineData("write:/v", "not within")]
    [InlineData("write:/r", "may only be read")]
    [InlineData("write:/flat", "not within")]
    [InlineData("write:/w/..", "plain form")]
    [InlineData("write:w", "not absolute")]
    [InlineData("write:/w/lent", "lent to first")]
    [InlineData("write:/w", "lent to first")]
    [InlineData("read:/w/secret", "denied by")]
    [InlineData("write:/w/frozen", "denied by")]
    public async Task A_child_gets_no_more_than_its_spawner_may_lend_and_is_told_why(string rule, string why)
    {
        var lead = _room.Row("lead", "write:/w", "read:/r", "write:/flat [non-recursive]", "-read:/w/secret", "-write:/w/frozen");
        await _room.Table.AcquireAsync(lead, Ct);
        await _room.Table.LendAsync(lead.PodId, _room.Row("first", "write:/w/lent"), Ct);
        var content = File.ReadAllBytes(_room.Directories.ScopeTable);
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.LendAsync(lead.PodId, _room.Row("child", rule), Ct));
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllBytes(_room.Directories.ScopeTable));
    }

    [Theory, Trait("case", "P23")]
    [InlineData("read:/w")]
    [InlineData("write:/w/a")]
    [InlineData("write:/w/frozen/not/y")]
    [InlineData("write:/flat [non-recursive]")]
    [InlineData("read:/w/lent")]
    public async Task What_a_spawner_holds_it_may_lend(string rule)
    {
        var lead = _room.Row("lead", "write:/w", "write:/flat [non-recursive]", "-write:/w/frozen [non-recursive]", "-read:/w/frozen/not/x");
        await _room.Table.AcquireAsync(lead, Ct);
        await _room.Table.LendAsync(lead.PodId, _room.Row("first", "write:/w/lent"), Ct);
        var asked = ScopeRoom.Rules(rule);
        var denies = _room.Table.Read().PolicyOf(lead.PodId).InheritedDenies(asked.Allow);
        var child = _room.Row("child") with { Scope = asked with { Deny = denies } };
        Assert.True(await _room.Table.LendAsync(lead.PodId, child, Ct) > 0);
    }

    [Fact, Trait("case", "P23"), Trait("case", "P19")]
    public async Task Whoever_may_not_write_what_git_runs_does_not_lend_it()
    {
        var (lead, free) = (_room.Row("lead", "write:/w"), _room.Row("free", "write:/f"));
        await _room.Table.AcquireAsync(lead, Ct);
        await _room.Table.AcquireAsync(free with { Scope = free.Scope with { UnguardedGit = true } }, Ct);
        TableRow Child(string name, string rule) => _room.Row(name) with { Scope = ScopeRoom.Rules(rule) with { UnguardedGit = true } };
        Assert.Contains("what git would run", (await Assert.ThrowsAsync<ScopeException>(() => _room.Table.LendAsync(lead.PodId, Child("a", "write:/w/a"), Ct))).Message, StringComparison.Ordinal);
        await _room.Table.LendAsync(free.PodId, Child("b", "write:/f/b"), Ct);
        Assert.True(_room.Table.Read().Pods.Single(row => row.Name == "b").Scope.UnguardedGit);
        Assert.Contains("cannot be lent", (await Assert.ThrowsAsync<ScopeException>(() => _room.Table.LendAsync(lead.PodId, _room.Row("c", "write:/w/sub/.git/hooks"), Ct))).Message, StringComparison.Ordinal);
    }
}
