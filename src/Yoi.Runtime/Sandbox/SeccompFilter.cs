namespace Yoi.Runtime.Sandbox;

/// <summary>
/// Our filter of system calls. Files are the mounts' business; this closes the ways around them: other machines' calls, io_uring,
/// tracing, mounting, new namespaces, kernel keys, families of sockets. What is refused gets an error, so that programs can do without.
/// </summary>
internal static class SeccompFilter
{
    internal const uint Allow = 0x7fff0000, KillProcess = 0x80000000;
    internal const uint Nothing = Error, NotPermitted = Error + 1, NoSuchCall = Error + 38, NoSuchFamily = Error + 97;

    /// <summary>CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME.</summary>
    internal const uint NewNamespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x00000080;

    private const uint Error = 0x00050000;
    private const uint X32 = 0x40000000;
    private const uint Unix = 1, Inet = 2, Inet6 = 10, Netlink = 16, Stream = 1, SeqPacket = 5, NetlinkRoute = 0;
    private const uint OrdinaryPolicy = 0; // SCHED_OTHER
    private const uint AllOfTheUser = 2, AllOfTheUserIo = 3; // PRIO_USER, IOPRIO_WHO_USER
    private const uint SetFlags = 0x40086602, SetVersion = 0x40087602, SetExtendedFlags = 0x401c5820, EnableVerity = 0x40806685; // FS_IOC_…
    private const uint PushInput = 0x5412, Console = 0x541C; // TIOCSTI, TIOCLINUX

    internal static byte[] Bytes(bool network, bool ownNamespaces = true)
    {
        var program = Make(CallNumbers.OfThisMachine, network, ownNamespaces);
        var bytes = new byte[program.Count * BpfInstruction.Size];
        for (var i = 0; i < program.Count; i++) program[i].Write(bytes.AsSpan(i * BpfInstruction.Size));
        return bytes;
    }

    /// <param name="network">
    /// True: the network namespace is the host's, and abstract Unix sockets belong to it, so there are none but pairs. False: Unix sockets
    /// end at the sandbox's own namespaces and are allowed.
    /// </param>
    /// <param name="ownNamespaces">
    /// False: sockets, shared memory and processes are those of the host. No network is then no such sockets at all, and what reaches another
    /// process without being a signal or a file is refused.
    /// </param>
    internal static IReadOnlyList<BpfInstruction> Make(CallNumbers calls, bool network, bool ownNamespaces = true)
    {
        var program = new List<BpfInstruction> { Load(SystemCall.MachineAt) };
        Unless(program, BpfInstruction.JumpEqual, calls.Audit, [Return(KillProcess)]);
        program.Add(Load(SystemCall.NumberAt));
        if (calls.Audit == CallNumbers.X64.Audit) If(program, BpfInstruction.JumpGreaterEqual, X32, [Return(NoSuchCall)]);
        foreach (var number in new[] { CallNumbers.IoUringSetup, CallNumbers.IoUringEnter, CallNumbers.IoUringRegister, CallNumbers.Clone3 })
            If(program, BpfInstruction.JumpEqual, number, [Return(NoSuchCall)]); // clone3's flags lie in memory, which no filter sees: programs fall back to clone.
        foreach (var number in calls.Refused) If(program, BpfInstruction.JumpEqual, number, [Return(NotPermitted)]);
        If(program, BpfInstruction.JumpEqual, calls.CloneNumber,
            [Load(SystemCall.ArgumentAt(0)), new(BpfInstruction.JumpSet, 0, 1, NewNamespaces), Return(NotPermitted), Return(Allow)]);
        // The kernel looks at the low word of an ioctl's number only.
        If(program, BpfInstruction.JumpEqual, calls.Ioctl,
            Except(1, ownNamespaces ? [PushInput, Console] : [PushInput, Console, SetFlags, SetVersion, SetExtendedFlags, EnableVerity]));
        If(program, BpfInstruction.JumpEqual, calls.Socket, network ? SocketsOfTheHost : ownNamespaces ? SocketsOfItsOwn : [Return(NoSuchFamily)]);
        If(program, BpfInstruction.JumpEqual, calls.SocketPair, network || !ownNamespaces ? PairsBesideTheHost : PairsOfItsOwn);
        if (!ownNamespaces) BesideTheHost(program, calls);
        program.Add(Return(Allow));
        return program;
    }

    private static void BesideTheHost(List<BpfInstruction> program, CallNumbers calls)
    {
        foreach (var number in calls.SharedMemory) If(program, BpfInstruction.JumpEqual, number, [Return(NotPermitted)]);
        // A process of the user may be limited or slowed down by any other: a limit of no time at all is a signal, too.
        foreach (var number in calls.OfAProcess)
            If(program, BpfInstruction.JumpEqual, number, [Load(SystemCall.ArgumentAt(0)), Is(0, 0, 1), Return(Allow), Return(NotPermitted)]);
        // Threads set the ordinary policy, which they have, by their numbers (MSBuild each of its own): that is left undone and succeeds.
        If(program, BpfInstruction.JumpEqual, calls.SetScheduler,
            [Load(SystemCall.ArgumentAt(0)), Is(0, 0, 1), Return(Allow), Load(SystemCall.ArgumentAt(1)), Is(OrdinaryPolicy, 0, 1), Return(Nothing), Return(NotPermitted)]);
        foreach (var (number, all) in new[] { (calls.SetPriority, AllOfTheUser), (calls.SetIoPriority, AllOfTheUserIo) })
        {
            If(program, BpfInstruction.JumpEqual, number,
                [Load(SystemCall.ArgumentAt(1)), Is(0, 0, 3), Load(SystemCall.ArgumentAt(0)), Is(all, 1), Return(Allow), Return(NotPermitted)]);
        }
    }

    private static BpfInstruction[] SocketsOfItsOwn =>
        [Load(SystemCall.ArgumentAt(0)), Is(Unix, 2), Is(Inet, 1), Is(Inet6, 0, 1), Return(Allow), Return(NoSuchFamily)];

    private static BpfInstruction[] SocketsOfTheHost =>
    [
        Load(SystemCall.ArgumentAt(0)), Is(Inet, 4), Is(Inet6, 3), Is(Netlink, 0, 3),
        Load(SystemCall.ArgumentAt(2)), Is(NetlinkRoute, 0, 1), Return(Allow), Return(NoSuchFamily),
    ];

    private static BpfInstruction[] PairsOfItsOwn => [Load(SystemCall.ArgumentAt(0)), Is(Unix, 0, 1), Return(Allow), Return(NoSuchFamily)];

    // A datagram pair could be turned to any abstract name of the host's; a pair that is connected stays what it is.
    private static BpfInstruction[] PairsBesideTheHost =>
    [
        Load(SystemCall.ArgumentAt(0)), Is(Unix, 0, 5), Load(SystemCall.ArgumentAt(1)), new(BpfInstruction.And, 0, 0, 0xf),
        Is(Stream, 1), Is(SeqPacket, 0, 1), Return(Allow), Return(NoSuchFamily),
    ];

    /// <summary>Allows what the argument is, unless it is one of these.</summary>
    private static BpfInstruction[] Except(int argument, uint[] refused) =>
    [
        Load(SystemCall.ArgumentAt(argument)), .. refused.Select((value, at) => Is(value, (byte)(refused.Length - at))), Return(Allow), Return(NotPermitted),
    ];

    private static BpfInstruction Load(uint offset) => new(BpfInstruction.LoadWord, 0, 0, offset);

    private static BpfInstruction Return(uint answer) => new(BpfInstruction.Return, 0, 0, answer);

    private static BpfInstruction Is(uint value, byte skipIfSo, byte skipIfNot = 0) => new(BpfInstruction.JumpEqual, skipIfSo, skipIfNot, value);

    /// <summary>Runs the block, which must return, if the comparison holds; goes on behind it if not.</summary>
    private static void If(List<BpfInstruction> program, ushort compare, uint value, BpfInstruction[] block)
    {
        program.Add(new(compare, 0, (byte)block.Length, value));
        program.AddRange(block);
    }

    private static void Unless(List<BpfInstruction> program, ushort compare, uint value, BpfInstruction[] block)
    {
        program.Add(new(compare, (byte)block.Length, 0, value));
        program.AddRange(block);
    }
}
