using System.Numerics;
using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;

namespace Yoi.Tests.Sandbox;

/// <summary>Which rights are asked of which kernel, and which kernels will not do.</summary>
public sealed class LandlockTests
{
    [Fact, Trait("case", "S20")]
    public void A_kernel_is_asked_for_every_right_that_it_knows_and_for_none_besides()
    {
        int[] files = [0, 13, 14, 15, 15, 16, 16, 16, 16], network = [0, 0, 0, 0, 2, 2, 2, 2, 2], scoped = [0, 0, 0, 0, 0, 0, 2, 2, 2];
        for (var abi = 0; abi < files.Length; abi++)
        {
            var rights = LandlockRights.Of(abi);
            Assert.Equal((files[abi], network[abi], scoped[abi]), (BitOperations.PopCount(rights.Files), BitOperations.PopCount(rights.Network), BitOperations.PopCount(rights.Scoped)));
            foreach (var bits in new[] { rights.Files, rights.Network, rights.Scoped }) Assert.Equal(0ul, bits & (bits + 1)); // The lowest ones.
        }
        Assert.Equal(LandlockRights.Read, LandlockRights.Read & LandlockRights.Write);
        Assert.Equal(0ul, LandlockRights.Write & (LandlockRights.MakeBlockDevice | LandlockRights.MakeCharacterDevice | LandlockRights.DeviceControl));
    }

    [Theory, Trait("case", "S20")]
    [InlineData(-1, 38, "no Landlock"), InlineData(-1, 95, "switched off"), InlineData(-1, 1, "error 1"), InlineData(1, 0, "ABI 1"), InlineData(3, 0, "ABI 3"), InlineData(5, 0, "Linux 6.12")]
    public void A_kernel_that_cannot_hold_the_level_is_refused_with_the_reason(int abi, int error, string said) =>
        Assert.Contains(said, Landlock.WhyNot((abi, ~0, error)), StringComparison.Ordinal);

    [Fact, Trait("case", "S20")]
    public void A_kernel_must_have_mended_its_scope_for_signals()
    {
        Assert.Contains("update the kernel", Landlock.WhyNot((6, 0, 0)), StringComparison.Ordinal);
        foreach (var abi in new[] { 6, 7, 8 }) Assert.Null(Landlock.WhyNot((abi, 2, 0)));
    }

    [Fact]
    public void This_kernel_takes_what_is_made_for_it()
    {
        var (abi, _, error) = Libc.LandlockVersion();
        if (abi < 1)
        {
            Assert.NotNull(Landlock.WhyNot((abi, 0, error)));
            return;
        }
        var (files, network, scoped) = LandlockRights.Of(abi);
        using var ruleset = Libc.CreateRuleset(new(files, network, scoped));
        using var usr = Libc.Open("/usr", OpenFlags.Path | OpenFlags.CloseOnExec, 0);
        Libc.AllowBeneath(ruleset, usr, LandlockRights.Read);
        Assert.Throws<LinuxException>(() => Libc.AllowBeneath(ruleset, usr, 1ul << 60));
    }
}
