using System.Text;
using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>The table as a file: damaged, missing, replaced, read while it changes.</summary>
public sealed class TableFileTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<byte[]> MakeTable()
    {
        await _room.Table.AcquireAsync(_room.Row("lead", "write:/w", "read:/r [non-recursive]", "-write:/w/é"), Ct);
        await _room.Table.AcquireAsync(_room.Row("other", "write:/v"), Ct);
        return File.ReadAllBytes(_room.Directories.ScopeTable);
    }

    private async Task RefusesAndLeavesAlone(string word)
    {
        var before = File.ReadAllBytes(_room.Directories.ScopeTable);
        using var table = _room.NewTable();
        using var live = new LiveScope(_room.Directories, "1");
        foreach (var failure in (ScopeException[])[
            Assert.Throws<ScopeException>(() => table.Read()), Assert.Throws<ScopeException>(() => live.Current()),
            await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("late", "write:/elsewhere"), Ct)),
            await Assert.ThrowsAsync<ScopeException>(() => table.ReleaseAsync("1", Ct))])
        {
            Assert.Contains(word, failure.Message, StringComparison.Ordinal);
            Assert.Contains("yoi scopes repair", failure.Message, StringComparison.Ordinal);
        }
        Assert.Equal(before, File.ReadAllBytes(_room.Directories.ScopeTable));
    }

    [Fact, Trait("case", "L02")]
    public async Task A_table_cut_at_any_byte_is_never_taken_for_a_table()
    {
        var whole = await MakeTable();
        using var file = new TableFile(_room.Directories);
        Assert.Equal(2, file.Parse(whole).Pods.Count);
        for (var length = 0; length < whole.Length; length++)
            Assert.Contains("yoi scopes repair", Assert.Throws<ScopeException>(() => file.Parse(whole.AsSpan(0, length))).Message, StringComparison.Ordinal);
    }

    [Theory, Trait("case", "L02")]
    [InlineData("", "empty")]
    [InlineData("\0\0\0\0", "damaged")]
    [InlineData("null", "null")]
    [InlineData("{}", "")]
    [InlineData("not a table", "damaged")]
    [InlineData("""{"version":1,"generation":0,"pods":[]}{"version":1}""", "damaged")]
    [InlineData("""{"version":1,"generation":0,"pods":null}""", "")]
    [InlineData("""{"version":1,"generation":1,"pods":[null]}""", "incomplete")]
    [InlineData("""{"version":0,"generation":0,"pods":[]}""", "version 0")]
    [InlineData("""{"version":2,"generation":0,"pods":[]}""", "version 2")]
    [InlineData("""{"version":7,"owners":{"a":[1,2]}}""", "version 7")]
    public async Task A_damaged_or_newer_table_is_refused_and_left_as_it_is(string content, string word)
    {
        await MakeTable();
        File.WriteAllText(_room.Directories.ScopeTable, content);
        await RefusesAndLeavesAlone(word);
    }

    [Theory, Trait("case", "L02")]
    [InlineData("\"target\":\"/w\"", "\"target\":\"/w/../v\"", "plain form")]
    [InlineData("\"spawner_id\":null", "\"spawner_id\":\"nobody\"", "missing")]
    [InlineData("00000000000000000000000000000002\",\"name\"", "00000000000000000000000000000001\",\"name\"", "twice")]
    [InlineData("\"generation\":2,\"pods\"", "\"generation\":1,\"pods\"", "generation 2 of 1")]
    [InlineData("\"permission\":\"write\"", "\"permission\":9", "incomplete")]
    public async Task What_no_table_can_say_is_refused(string said, string changed, string word)
    {
        var text = Encoding.UTF8.GetString(await MakeTable());
        Assert.Contains(said, text, StringComparison.Ordinal);
        File.WriteAllText(_room.Directories.ScopeTable, text.Replace(said, changed, StringComparison.Ordinal));
        await RefusesAndLeavesAlone(word);
    }

    [Fact, Trait("case", "L02")]
    public async Task A_table_that_is_far_too_large_is_refused_unread()
    {
        await MakeTable();
        using (var file = File.OpenWrite(_room.Directories.ScopeTable)) file.SetLength(100 << 20);
        using var table = _room.NewTable();
        Assert.Contains("no table is that large", Assert.Throws<ScopeException>(table.Read).Message, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "L17")]
    public async Task Twenty_thousand_reads_while_the_table_changes_see_whole_documents_only()
    {
        // An odd generation has the Pod in it, an even one has not: a mixture would show.
        var row = _room.Row("lead", "write:/w");
        await _room.Table.AcquireAsync(row, Ct);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var writer = Task.Run(
            async () =>
            {
                while (!done.IsCancellationRequested)
                {
                    await _room.Table.ReleaseAsync(row.PodId, Ct);
                    await _room.Table.AcquireAsync(row, Ct);
                }
            },
            Ct);
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(
            () =>
            {
                var generations = new HashSet<long>();
                using var live = new LiveScope(_room.Directories, row.PodId);
                // On a busy machine the writer gets fewer turns: read on until something changed.
                for (var (i, last) = (0, 0L); i < 10_000 || (generations.Count <= 10 && i < 10_000_000); i++)
                {
                    using var file = new TableFile(_room.Directories);
                    var table = file.Read()!;
                    Assert.True(table.Generation >= last, "time went backwards");
                    Assert.Equal(table.Generation % 2, table.Pods.Count);
                    generations.Add(last = table.Generation);
                    var policy = live.Current();
                    Assert.True(policy.Generation >= last, "the policy is older than the table");
                    Assert.Equal(policy.Generation % 2 == 1 ? Access.Write : Access.None, policy.AccessAt("/w"));
                }
                return generations.Count;
            },
            Ct)).ToList();
        var seen = await Task.WhenAll(readers);
        await done.CancelAsync();
        await writer;
        Assert.All(seen, count => Assert.True(count > 10, $"{count} tables seen: nothing changed meanwhile"));
    }

    [Fact]
    public async Task A_missing_table_is_empty_before_the_first_scope_and_after_the_last_Pod_and_never_between()
    {
        using var fresh = _room.NewTable();
        Assert.Empty(fresh.Read().Pods);
        var row = _room.Row("lead", "write:/w");
        var starting = _room.Row("starting", "write:/v");
        Assert.Empty(fresh.Read().Pods); // Both live, and neither has ever held anything.
        await _room.Table.AcquireAsync(row, Ct);
        File.Delete(_room.Directories.ScopeTable);
        using var live = new LiveScope(_room.Directories, row.PodId);
        foreach (var failure in (ScopeException[])[
            Assert.Throws<ScopeException>(fresh.Read), Assert.Throws<ScopeException>(live.Current),
            await Assert.ThrowsAsync<ScopeException>(() => fresh.AcquireAsync(starting, Ct))])
            Assert.Contains("yoi scopes repair", failure.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_room.Directories.ScopeTable));

        _room.Kill(row);
        Assert.Equal(2, await fresh.AcquireAsync(starting, Ct)); // Above the highest ever written.
    }

    [Fact]
    public async Task Table_and_lock_removed_together_under_a_living_Pod_are_no_fresh_start()
    {
        await _room.Table.AcquireAsync(_room.Row("lead", "write:/w"), Ct);
        File.Delete(_room.Directories.ScopeTable);
        File.Delete(_room.Directories.ScopeLock);
        using var table = _room.NewTable();
        Assert.Throws<ScopeException>(table.Read);
        await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("late", "write:/w"), Ct));
        await Assert.ThrowsAsync<ScopeException>(() => table.AcquireAsync(_room.Row("later", "write:/w"), Ct));
    }

    [Fact]
    public async Task What_a_killed_writer_left_is_cleared_away_and_modes_are_private()
    {
        await MakeTable();
        File.WriteAllText(_room.Directories.ScopeTable + ".tmp", "half a tab");
        await _room.Table.AcquireAsync(_room.Row("third", "write:/u"), Ct);
        Assert.Equal(["pods", "scopes.json", "scopes.lock"], Directory.EnumerateFileSystemEntries(_room.Directories.State).Select(Path.GetFileName).Order());
        foreach (var path in (string[])[_room.Directories.ScopeTable, _room.Directories.ScopeLock])
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        foreach (var path in (string[])[_room.Directories.State, _room.Directories.Runtime, _room.Directories.Pods])
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        Libc.Identify(_room.Directories.ScopeTable, out var file);
        Assert.True(file.IsFile && file.Links == 1);
    }
}
