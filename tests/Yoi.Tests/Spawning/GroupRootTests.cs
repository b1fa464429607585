using Xunit;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>Where a process may make control groups, read from what kernels of all kinds say.</summary>
public sealed class GroupRootTests
{
    private const string One = "24 1 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    private const string Many = """
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
        """;

    private static IReadOnlyList<GroupRoot> Find(string own, string mounts, string? given = null, string controllers = "", string? delegated = null) =>
        GroupRoot.Find(own, mounts, directory => directory == given ? controllers : "", directory => directory == delegated);

    [Fact]
    public void On_one_hierarchy_it_is_the_own_group_if_that_gives_its_children_the_controllers()
    {
        Assert.Equal([new("/sys/fs/cgroup/a/b", true, true, true)], Find("0::/a/b\n", One, "/sys/fs/cgroup/a/b", "cpu memory pids\n"));
        Assert.Equal([new("/sys/fs/cgroup/a/b", true, true, false)], Find("0::/a/b\n", One, "/sys/fs/cgroup/a/b", "cpu pids\n"));
        Assert.Equal([new("/sys/fs/cgroup", true, true, true)], Find("0::/\n", One, "/sys/fs/cgroup", "memory pids"));
    }

    [Fact]
    public void The_group_above_is_taken_only_if_it_was_delegated()
    {
        Assert.Empty(Find("0::/app.slice/shell.scope\n", One, "/sys/fs/cgroup/app.slice", "memory pids\n"));
        Assert.Equal([new("/sys/fs/cgroup/box", true, true, true)], Find("0::/box/yoi\n", One, "/sys/fs/cgroup/box", "memory pids", "/sys/fs/cgroup/box"));
        Assert.Empty(Find("0::/box/yoi\n", One, "/sys/fs/cgroup/box", "memory pids"));
        Assert.Empty(Find("0::/box/a/b\n", One, "/sys/fs/cgroup/box", "memory pids", "/sys/fs/cgroup/box/a"));
    }

    [Fact]
    public void A_subgroup_of_a_service_or_a_scope_shows_that_it_was_delegated_and_one_manager_does_not_take_what_is_anothers()
    {
        const string users = "/sys/fs/cgroup/user.slice/user-1.slice/user@1.service";
        foreach (var unit in (string[])["run-p1-i1.scope", "run-p1-i1.service"])
            Assert.Equal([new($"{users}/app.slice/{unit}", true, true, true)], Find($"0::/user.slice/user-1.slice/user@1.service/app.slice/{unit}/yoi\n", One, $"{users}/app.slice/{unit}", "memory pids"));
        // It was delegated to the manager of that user's services, and this scope is its.
        Assert.Empty(Find("0::/user.slice/user-1.slice/user@1.service/run-p1-i1.scope\n", One, users, "memory pids", users));
        Assert.Empty(Find("0::/user.slice/user-1.slice/session-1.scope\n", One, "/sys/fs/cgroup/user.slice/user-1.slice", "memory pids"));
    }

    [Fact]
    public void Controllers_that_nobody_switched_on_are_not_there()
    {
        Assert.Empty(Find("0::/a/b\n", One));
        Assert.Empty(Find("0::/\n", One, delegated: "/sys/fs"));
    }

    [Fact]
    public void With_a_hierarchy_for_each_controller_it_is_the_own_group_in_each()
    {
        const string own = "8:pids:/\n4:memory:/mine/1\n1:cpu:/x\n9:name=systemd:/y\n0::/\n";
        Assert.Equal([new("/sys/fs/cgroup/pids", false, true, false), new("/sys/fs/cgroup/memory/mine/1", false, false, true)], Find(own, Many));
    }

    [Fact]
    public void What_is_mounted_from_below_the_top_is_looked_up_from_there()
    {
        const string inside = "24 1 0:22 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        Assert.Equal([new("/sys/fs/cgroup/memory/deep", false, false, true)], Find("4:memory:/docker/abc/deep\n", inside));
        Assert.Empty(Find("4:memory:/docker/other\n", inside));
        Assert.Empty(Find("0::/../other\n", One, "/sys/fs/cgroup", "memory pids"));
        Assert.Empty(Find("4:memory:/\n", ""));
    }
}
