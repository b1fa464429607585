using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Scopes;

namespace Yoi.Tests.Scopes;

/// <summary>P25 for bind mounts: one directory with two paths that no resolving of links makes one.</summary>
[Trait("case", "P25")]
public sealed class MountMapTests
{
    private static readonly MountMap Map = MountMap.Parse(
    [
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
        "30 21 0:20 / /tmp rw - tmpfs tmpfs rw",
        "31 21 8:1 /w/a /x rw - ext4 /dev/sda1 rw",
        @"32 21 8:1 /w/with\040space /v rw - ext4 /dev/sda1 rw",
        "33 21 8:1 /old /over rw - ext4 /dev/sda1 rw",
        "34 33 0:30 / /over rw - tmpfs tmpfs rw",
    ]);

    [Theory]
    [InlineData("/x", "/w", "/x", "/w/a")]
    [InlineData("/w", "/x", "/w/a", "/x")]
    [InlineData("/x/b", "/w/a", "/x/b", "/w/a/b")]
    [InlineData("/w/a/b", "/x", "/w/a/b", "/x/b")]
    [InlineData("/v", "/w/with space", "/v", "/w/with space")]
    [InlineData("/", "/x", "/w/a", "/x")]
    [InlineData("/x", "/w/a", "/x", "/w/a")]
    public void A_second_path_is_found(string mine, string other, string minePath, string otherPath) =>
        Assert.Equal((minePath, otherPath), Map.SamePlace(new(mine, Permission.Write), new(other, Permission.Write)));

    [Theory]
    [InlineData("/w/b", "/x")]
    [InlineData("/w/ab", "/x")]
    [InlineData("/w/a", "/w")] // One path: the rules themselves tell.
    [InlineData("/tmp/w", "/w")]
    [InlineData("/over", "/old")] // Hidden below what is mounted over it.
    public void Different_places_stay_different(string mine, string other) =>
        Assert.Null(Map.SamePlace(new(mine, Permission.Write), new(other, Permission.Write)));

    [Fact]
    public void A_flat_rule_reaches_no_second_path_deeper_down()
    {
        Assert.Null(Map.SamePlace(new("/", Permission.Write, Recursive: false), new("/w/a", Permission.Write)));
        Assert.NotNull(Map.SamePlace(new("/", Permission.Write), new("/x", Permission.Write)));
    }

    [Fact]
    public void The_mounts_of_this_machine_can_be_read() =>
        Assert.Null(MountMap.Read().SamePlace(new("/usr", Permission.Write), new("/etc", Permission.Write)));
}
