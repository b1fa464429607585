using Xunit;
using Yoi.Runtime.Sandbox;

namespace Yoi.Tests.Sandbox;

/// <summary>The filters of both machines, read by our interpreter: one of them cannot run here.</summary>
public sealed class SeccompFilterTests
{
    public static TheoryData<string, bool> Machines => new() { { "x64", false }, { "x64", true }, { "arm64", false }, { "arm64", true } };

    private static CallNumbers Of(string machine) => machine == "x64" ? CallNumbers.X64 : CallNumbers.Arm64;

    private static uint Judge(string machine, bool network, uint number, ulong a0 = 0, ulong a1 = 0, ulong a2 = 0) =>
        new SystemCall(Of(machine).Audit, number, a0, a1, a2).Judge(SeccompFilter.Make(Of(machine), network));

    [Theory, MemberData(nameof(Machines)), Trait("case", "S08")]
    public void Other_machines_are_killed_and_unknown_ways_are_not_there(string machine, bool network)
    {
        var other = machine == "x64" ? CallNumbers.Arm64 : CallNumbers.X64;
        Assert.Equal(SeccompFilter.KillProcess, new SystemCall(other.Audit, 1).Judge(SeccompFilter.Make(Of(machine), network)));
        Assert.Equal(SeccompFilter.KillProcess, new SystemCall(0x40000003, 1).Judge(SeccompFilter.Make(Of(machine), network))); // i386
        foreach (var number in new uint[] { 425, 426, 427, 435 }) Assert.Equal(SeccompFilter.NoSuchCall, Judge(machine, network, number));
        Assert.Equal(machine == "x64" ? SeccompFilter.NoSuchCall : SeccompFilter.Allow, Judge(machine, network, 0x40000000 + 1));
        Assert.Equal(SeccompFilter.Allow, Judge(machine, network, 0));
    }

    [Theory, MemberData(nameof(Machines)), Trait("case", "S10"), Trait("case", "S11")]
    public void What_traces_mounts_or_makes_namespaces_is_refused_and_plain_work_is_not(string machine, bool network)
    {
        var calls = Of(machine);
        Assert.All(calls.Refused, number => Assert.Equal(SeccompFilter.NotPermitted, Judge(machine, network, number)));
        Assert.Equal(calls.Refused.Count, calls.Refused.Distinct().Count());
        const ulong thread = 0x3d0f00, fork = 0x1200011;
        foreach (var flags in new[] { thread, fork }) Assert.Equal(SeccompFilter.Allow, Judge(machine, network, calls.CloneNumber, flags));
        for (var bit = 0; bit < 32; bit++)
            Assert.Equal((SeccompFilter.NewNamespaces & (1u << bit)) != 0 ? SeccompFilter.NotPermitted : SeccompFilter.Allow, Judge(machine, network, calls.CloneNumber, 1ul << bit));
        Assert.Equal(SeccompFilter.NotPermitted, Judge(machine, network, calls.Ioctl, 0, 0x5412));
        Assert.Equal(SeccompFilter.NotPermitted, Judge(machine, network, calls.Ioctl, 0, 0xdead_0000_0000_5412)); // The kernel looks at the low word.
        Assert.Equal(SeccompFilter.NotPermitted, Judge(machine, network, calls.Ioctl, 0, 0x541c));
        Assert.Equal(SeccompFilter.Allow, Judge(machine, network, calls.Ioctl, 0, 0x5401));
    }

    [Theory, MemberData(nameof(Machines)), Trait("case", "S05"), Trait("case", "S07"), Trait("case", "S11")]
    public void Without_namespaces_there_are_no_sockets_but_pairs_and_nothing_that_reaches_another_process(string machine, bool network)
    {
        var calls = Of(machine);
        var filter = SeccompFilter.Make(calls, network, ownNamespaces: false);
        uint At(uint number, ulong a0 = 0, ulong a1 = 0, ulong a2 = 0) => new SystemCall(calls.Audit, number, a0, a1, a2).Judge(filter);
        for (uint family = 0; family < 50; family++)
            Assert.Equal(network && family is 2 or 10 or 16 ? SeccompFilter.Allow : SeccompFilter.NoSuchFamily, At(calls.Socket, family, 1));
        foreach (var (kind, answer) in new[] { (1u, SeccompFilter.Allow), (5u, SeccompFilter.Allow), (2u, SeccompFilter.NoSuchFamily), (3u, SeccompFilter.NoSuchFamily) })
            Assert.Equal((answer, SeccompFilter.NoSuchFamily), (At(calls.SocketPair, 1, 0x80000 | kind), At(calls.SocketPair, 2, kind)));
        Assert.All(calls.Refused.Concat(calls.SharedMemory), number => Assert.Equal(SeccompFilter.NotPermitted, At(number)));
        foreach (var number in calls.OfAProcess) Assert.Equal((SeccompFilter.Allow, SeccompFilter.NotPermitted), (At(number, 0, 7), At(number, 4711, 0)));
        Assert.Equal((SeccompFilter.Allow, SeccompFilter.Nothing, SeccompFilter.NotPermitted), (At(calls.SetScheduler, 0, 5), At(calls.SetScheduler, 4711, 0), At(calls.SetScheduler, 4711, 5)));
        foreach (var (number, all) in new[] { (calls.SetPriority, 2ul), (calls.SetIoPriority, 3ul) })
        {
            Assert.Equal((SeccompFilter.Allow, SeccompFilter.NotPermitted), (At(number, 1), At(number, 1, 4711)));
            Assert.Equal(SeccompFilter.NotPermitted, At(number, all));
        }
        Assert.Equal(SeccompFilter.Allow, At(0));
        var named = calls.Refused.Concat(calls.SharedMemory).Concat(calls.OfAProcess).Append(calls.SetPriority).Append(calls.SetIoPriority).Append(calls.SetScheduler).ToList();
        Assert.Equal(named.Count, named.Distinct().Count());
    }

    [Theory, MemberData(nameof(Machines)), Trait("case", "S07")]
    public void Sockets_are_of_the_families_that_end_at_the_sandbox(string machine, bool network)
    {
        var calls = Of(machine);
        for (uint family = 0; family < 50; family++)
        {
            var expected = family is 2 or 10 || (family == 1 && !network) || (family == 16 && network);
            Assert.Equal(expected ? SeccompFilter.Allow : SeccompFilter.NoSuchFamily, Judge(machine, network, calls.Socket, family, 1));
            Assert.Equal(family == 1 ? SeccompFilter.Allow : SeccompFilter.NoSuchFamily, Judge(machine, network, calls.SocketPair, family, 0x80001));
        }
        Assert.Equal(SeccompFilter.NoSuchFamily, Judge(machine, network, calls.Socket, 16, 3, 9)); // netlink, but not for routes
        Assert.Equal(network ? SeccompFilter.NoSuchFamily : SeccompFilter.Allow, Judge(machine, network, calls.SocketPair, 1, 2)); // a datagram pair
    }
}
