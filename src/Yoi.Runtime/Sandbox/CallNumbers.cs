using System.Runtime.InteropServices;

namespace Yoi.Runtime.Sandbox;

/// <summary>Numbers of the system calls that the filter names, for one machine. From asm/unistd_64.h and asm-generic/unistd.h.</summary>
/// <param name="Audit">The machine, as the kernel tells a filter (AUDIT_ARCH).</param>
/// <param name="Refused">No business of anything inside: tracing, mounting, namespaces, keys, modules, clocks, loading of kernels.</param>
/// <param name="SharedMemory">System V IPC and POSIX message queues: without namespaces those of the host's programs.</param>
/// <param name="OfAProcess">Change the limits or the scheduling of the process that the first argument names; 0 is the caller.</param>
internal sealed record CallNumbers(
    uint Audit, uint CloneNumber, uint Socket, uint SocketPair, uint Ioctl, uint SetPriority, uint SetIoPriority, uint SetScheduler, IReadOnlyList<uint> Refused,
    IReadOnlyList<uint> SharedMemory, IReadOnlyList<uint> OfAProcess)
{
    // The same everywhere: numbers above 423.
    internal const uint IoUringSetup = 425, IoUringEnter = 426, IoUringRegister = 427, Clone3 = 435;
    private const uint OpenTree = 428, MoveMount = 429, FsOpen = 430, FsConfig = 431, FsMount = 432, FsPick = 433, PidfdGetfd = 438,
        MountSetAttributes = 442, QuotactlFd = 443, OpenTreeAttributes = 467,
        FileSetAttributes = 469; // What the ioctls of inode flags do, by path: also of files outside, where paths can be named.

    private static readonly uint[] Common = [OpenTree, MoveMount, FsOpen, FsConfig, FsMount, FsPick, PidfdGetfd, MountSetAttributes, QuotactlFd, OpenTreeAttributes, FileSetAttributes];

    internal static CallNumbers X64 { get; } = new(0xC000003E, CloneNumber: 56, Socket: 41, SocketPair: 53, Ioctl: 16, SetPriority: 141, SetIoPriority: 251, SetScheduler: 144, Refused:
    [
        101, 310, 311, 312, // ptrace, process_vm_readv, process_vm_writev, kcmp
        165, 166, 155, 161, // mount, umount2, pivot_root, chroot
        272, 308, // unshare, setns
        248, 249, 250, // add_key, request_key, keyctl
        321, 298, 323, // bpf, perf_event_open, userfaultfd
        175, 313, 176, 246, 320, 169, // init_module, finit_module, delete_module, kexec_load, kexec_file_load, reboot
        163, 167, 168, 179, 103, 153, // acct, swapon, swapoff, quotactl, syslog, vhangup
        303, 304, 300, // name_to_handle_at, open_by_handle_at, fanotify_init
        164, 227, 159, 305, // settimeofday, clock_settime, adjtimex, clock_adjtime
        170, 171, 172, 173, 154, 139, // sethostname, setdomainname, iopl, ioperm, modify_ldt, sysfs
        .. Common,
    ],
    SharedMemory:
    [
        29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 220, // shmget to msgctl, semtimedop
        240, 241, 242, 243, 244, 245, // mq_open to mq_getsetattr
    ],
    OfAProcess: [302, 142, 203, 314]); // prlimit64, sched_setparam, sched_setaffinity, sched_setattr

    internal static CallNumbers Arm64 { get; } = new(0xC00000B7, CloneNumber: 220, Socket: 198, SocketPair: 199, Ioctl: 29, SetPriority: 140, SetIoPriority: 30, SetScheduler: 119, Refused:
    [
        117, 270, 271, 272, // ptrace, process_vm_readv, process_vm_writev, kcmp
        40, 39, 41, 51, // mount, umount2, pivot_root, chroot
        97, 268, // unshare, setns
        217, 218, 219, // add_key, request_key, keyctl
        280, 241, 282, // bpf, perf_event_open, userfaultfd
        105, 273, 106, 104, 294, 142, // init_module, finit_module, delete_module, kexec_load, kexec_file_load, reboot
        89, 224, 225, 60, 116, 58, // acct, swapon, swapoff, quotactl, syslog, vhangup
        264, 265, 262, // name_to_handle_at, open_by_handle_at, fanotify_init
        170, 112, 171, 266, // settimeofday, clock_settime, adjtimex, clock_adjtime
        161, 162, // sethostname, setdomainname
        .. Common,
    ],
    SharedMemory:
    [
        186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 197, // msgget to shmdt
        180, 181, 182, 183, 184, 185, // mq_open to mq_getsetattr
    ],
    OfAProcess: [261, 118, 122, 274]); // prlimit64, sched_setparam, sched_setaffinity, sched_setattr

    /// <exception cref="SandboxException">Another machine: its numbers are not known, so nothing is filtered and nothing started.</exception>
    internal static CallNumbers OfThisMachine => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => X64,
        Architecture.Arm64 => Arm64,
        var other => throw new SandboxException($"there is no filter of system calls for {other}"),
    };
}
