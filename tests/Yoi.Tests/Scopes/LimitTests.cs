using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>Names, limits, adopting, and who inherits when somebody in the middle ends.</summary>
public sealed class LimitTests : IDisposable
{
    private readonly ScopeRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<TableRow> Root(string name = "lead", PodLimits? limits = null)
    {
        var row = _room.Row(name, "write:/" + name) with { Limits = limits ?? new() };
        await _room.Table.AcquireAsync(row, Ct);
        return row;
    }

    private async Task<TableRow> Child(TableRow above, string name)
    {
        var row = _room.Row(name, above.Scope.Allow[0].ToString() + "/" + name) with { Limits = new(9999, 9999, 9999, 9999) };
        var generation = await _room.Table.LendAsync(above.PodId, row, Ct);
        await _room.Table.AdoptAsync(row.PodId, generation, 100, Ct);
        return row;
    }

    [Fact]
    public async Task A_Pod_has_so_many_children_and_the_refusal_says_who_raises_it()
    {
        var lead = await Root(limits: new(Children: 2));
        var first = await Child(lead, "one");
        await Child(lead, "two");
        var refused = await Assert.ThrowsAsync<ScopeException>(() => Child(lead, "three"));
        foreach (var word in (string[])["2 living children", "may have 2", "`limits` in yoi.jsonc", "--max-children"]) Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        _room.Kill(first); // The dead are not counted.
        await Child(lead, "three");
    }

    [Fact]
    public async Task A_tree_is_so_deep_and_a_child_cannot_say_otherwise()
    {
        var lead = await Root(limits: new(Depth: 2));
        var child = await Child(lead, "one");
        var grandchild = await Child(child, "two");
        var refused = await Assert.ThrowsAsync<ScopeException>(() => Child(grandchild, "three"));
        foreach (var word in (string[])["2 levels", "--max-depth"]) Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, _room.Table.Read().Find(grandchild.PodId)!.Limits.Depth);
    }

    [Fact]
    public async Task A_tree_has_so_many_living_Pods_and_other_trees_do_not_count()
    {
        await Root("elsewhere");
        var lead = await Root(limits: new(PodsInTree: 3));
        var child = await Child(lead, "one");
        await Child(child, "two");
        var refused = await Assert.ThrowsAsync<ScopeException>(() => Child(lead, "three"));
        foreach (var word in (string[])["3 Pods of this tree", "--max-pods"]) Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        await _room.Table.ReleaseAsync(child.PodId, Ct);
        await Child(lead, "three");
    }

    [Fact]
    public async Task A_name_belongs_to_one_living_Pod()
    {
        var lead = await Root();
        var other = await Root("other");
        var refused = await Assert.ThrowsAsync<ScopeException>(() => Child(lead, "other"));
        Assert.Equal("other", refused.Holder);
        Assert.Contains("yoi stop other", refused.Message, StringComparison.Ordinal);
        await Child(lead, "Other"); // Names compare as bytes.
        _room.Kill(other);
        await Child(lead, "other");
    }

    [Fact]
    public async Task A_grant_is_adopted_once_and_only_as_it_was_given()
    {
        var lead = await Root();
        var child = _room.Row("child", "write:/lead/a");
        await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AdoptAsync(child.PodId, 1, 5, Ct));
        var generation = await _room.Table.LendAsync(lead.PodId, child, Ct);
        await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AdoptAsync(child.PodId, generation - 1, 5, Ct));
        await _room.Table.AdoptAsync(child.PodId, generation, 5, Ct);
        await _room.Table.AdoptAsync(child.PodId, generation, 5, Ct);
        await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AdoptAsync(child.PodId, generation, 6, Ct));
        await _room.Table.ReleaseAsync(child.PodId, Ct);
        Assert.Contains("withdrawn", (await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AdoptAsync(child.PodId, generation, 5, Ct))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pending_grant_blocks_while_its_spawner_lives_and_is_free_when_both_are_gone()
    {
        var lead = await Root();
        var child = _room.Row("child", "write:/lead/a");
        await _room.Table.LendAsync(lead.PodId, child, Ct);
        _room.Kill(child); // Has not taken its life-lock yet.
        var refused = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("x", "write:/lead/a"), Ct));
        Assert.Contains("held for writing by child (starting)", refused.Message, StringComparison.Ordinal);
        Assert.Equal(Access.Read, _room.Table.Read().PolicyOf(lead.PodId).AccessAt("/lead/a"));
        _room.Kill(lead);
        await _room.Table.AcquireAsync(_room.Row("x", "write:/lead/a"), Ct);
        Assert.Single(_room.Table.Read().Pods);
    }

    [Fact, Trait("case", "L18")]
    public async Task What_a_Pod_in_the_middle_held_goes_to_its_spawner_and_its_child_keeps_its_grant()
    {
        var lead = await Root();
        var middle = await Child(lead, "a");
        var leaf = await Child(middle, "b");
        _room.Kill(middle);
        await Root("someone"); // Any change of the table will do.
        var table = _room.Table.Read();
        Assert.Equal(lead.PodId, table.Find(leaf.PodId)!.SpawnerId);
        Assert.Equal(Access.Write, table.PolicyOf(lead.PodId).AccessAt("/lead/a/x"));
        Assert.Equal(Access.Read, table.PolicyOf(lead.PodId).AccessAt("/lead/a/b/x"));
        Assert.Equal(Access.Write, table.PolicyOf(leaf.PodId).AccessAt("/lead/a/b/x"));

        _room.Kill(lead);
        await _room.Table.AcquireAsync(_room.Row("next", "write:/lead/a/x"), Ct);
        var held = await Assert.ThrowsAsync<ScopeException>(() => _room.Table.AcquireAsync(_room.Row("late", "write:/lead"), Ct));
        Assert.Equal("b", held.Holder);
        Assert.Null(_room.Table.Read().Find(leaf.PodId)!.SpawnerId);
    }

    [Fact]
    public async Task A_dead_Pod_that_is_released_still_tells_what_went_back()
    {
        var lead = await Root();
        var child = await Child(lead, "a");
        _room.Kill(child);
        Assert.Equal(child.Scope.Allow, await _room.Table.ReleaseAsync(child.PodId, Ct));
    }
}
