using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Linux;

/// <summary>Restrictions that a thread takes on for good and that its children inherit: Landlock, seccomp, capabilities.</summary>
internal static partial class Libc
{
    // The same numbers on x64 and arm64.
    private const nint CreateRulesetNumber = 444, AddRuleNumber = 445, RestrictSelfNumber = 446;
    private const nuint AskVersion = 1, AskErrata = 2;
    private const int RulePathBeneath = 1;
    private const int SetSeccomp = 22, DropFromBounding = 24, SetNoNewPrivileges = 38, Ambient = 47;
    private const nint FilterMode = 2, ClearAllAmbient = 4;
    private const uint CapabilityVersion3 = 0x20080522;

    /// <summary>Landlock's version on this kernel, and the errors of it that are mended here (a bit each); below 0 and the error number if there is none.</summary>
    internal static (int Abi, int Mended, int Error) LandlockVersion()
    {
        var abi = (int)AskRuleset(CreateRulesetNumber, 0, 0, AskVersion);
        if (abi < 0) return (abi, 0, Marshal.GetLastPInvokeError());
        var mended = (int)AskRuleset(CreateRulesetNumber, 0, 0, AskErrata);
        return (abi, Math.Max(mended, 0), 0); // Kernels that cannot be asked have mended nothing.
    }

    /// <summary>A set of rules that refuses everything it handles until something is added.</summary>
    /// <exception cref="LinuxException">The kernel does not take it.</exception>
    internal static SafeFileHandle CreateRuleset(in LandlockRuleset attributes)
    {
        var fd = CreateRuleset(CreateRulesetNumber, attributes, Marshal.SizeOf<LandlockRuleset>(), 0);
        return fd >= 0 ? new SafeFileHandle((nint)fd, ownsHandle: true) : throw Failed("landlock_create_ruleset");
    }

    /// <summary>Allows these rights on what is open, and on all below if it is a directory.</summary>
    /// <exception cref="LinuxException">The kernel does not take it.</exception>
    internal static void AllowBeneath(SafeFileHandle ruleset, SafeFileHandle path, ulong rights)
    {
        var held = false;
        try
        {
            path.DangerousAddRef(ref held);
            var rule = new LandlockPath { Rights = rights, Parent = (int)path.DangerousGetHandle() };
            if (AddRule(AddRuleNumber, ruleset, RulePathBeneath, rule, 0) != 0) throw Failed("landlock_add_rule");
        }
        finally
        {
            if (held) path.DangerousRelease();
        }
    }

    /// <summary>
    /// Restricts the calling thread, for good, and with it whatever it starts, threads too: no capabilities, no new privileges, the filter. To be
    /// called on a thread made for it. If it throws the thread is half restricted and must start nothing.
    /// </summary>
    /// <exception cref="LinuxException">One of the steps failed; says which.</exception>
    internal static unsafe void FilterThread(ReadOnlySpan<byte> filter)
    {
        const int most = 64;
        // Only who has CAP_SETPCAP may; for others no new privileges does the same.
        for (var capability = 0; capability < most && Prctl(DropFromBounding, capability, 0, 0, 0) == 0; capability++) { }
        if (Prctl(Ambient, ClearAllAmbient, 0, 0, 0) != 0) throw Failed("clear the ambient capabilities");
        if (Prctl(SetNoNewPrivileges, 1, 0, 0, 0) != 0) throw Failed("set no new privileges");
        var header = stackalloc uint[2] { CapabilityVersion3, 0 };
        var none = stackalloc uint[6];
        new Span<uint>(none, 6).Clear();
        if (Capset(header, none) != 0) throw Failed("drop all capabilities");
        fixed (byte* instructions = filter)
        {
            var program = new SeccompProgram { Length = (ushort)(filter.Length / 8), Instructions = (nint)instructions };
            if (Prctl(SetSeccomp, FilterMode, (nint)(&program), 0, 0) != 0) throw Failed("set the filter of system calls");
        }
    }

    /// <summary>Restricts the calling thread, which can have no new privileges, and whatever it starts to these rules: for good.</summary>
    /// <exception cref="LinuxException">The kernel refuses it.</exception>
    internal static void RestrictThread(SafeFileHandle ruleset)
    {
        if (RestrictSelf(RestrictSelfNumber, ruleset, 0) != 0) throw Failed("landlock_restrict_self");
    }

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial long AskRuleset(nint number, nint attributes, nint size, nuint flags);

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial long CreateRuleset(nint number, in LandlockRuleset attributes, nint size, nuint flags);

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial long AddRule(nint number, SafeFileHandle ruleset, nint type, in LandlockPath rule, nuint flags);

    [LibraryImport(Name, EntryPoint = "syscall", SetLastError = true)]
    private static partial long RestrictSelf(nint number, SafeFileHandle ruleset, nuint flags);

    // prctl is variadic; Linux passes variadic arguments in registers like any others, on arm64 too.
    [LibraryImport(Name, EntryPoint = "prctl", SetLastError = true)]
    private static partial int Prctl(int option, nint a, nint b, nint c, nint d);

    [LibraryImport(Name, EntryPoint = "capset", SetLastError = true)]
    private static unsafe partial int Capset(uint* header, uint* data);

    [StructLayout(LayoutKind.Sequential)]
    private struct SeccompProgram
    {
        internal ushort Length;
        internal nint Instructions;
    }

    /// <summary>struct landlock_path_beneath_attr, which is packed.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct LandlockPath
    {
        internal ulong Rights;
        internal int Parent;
    }
}

/// <summary>struct landlock_ruleset_attr as of ABI 6.</summary>
/// <param name="Files">Rights on files and directories that are refused unless a rule allows them.</param>
/// <param name="Network">The same for TCP.</param>
/// <param name="Scoped">What does not reach out of the domain at all.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct LandlockRuleset(ulong Files, ulong Network, ulong Scoped);
