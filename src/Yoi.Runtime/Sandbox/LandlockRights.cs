namespace Yoi.Runtime.Sandbox;

/// <summary>Landlock's rights, as in linux/landlock.h, and which of them a kernel knows.</summary>
internal static class LandlockRights
{
    internal const ulong Execute = 1 << 0, WriteFile = 1 << 1, ReadFile = 1 << 2, ReadDirectory = 1 << 3, RemoveDirectory = 1 << 4, RemoveFile = 1 << 5,
        MakeCharacterDevice = 1 << 6, MakeDirectory = 1 << 7, MakeFile = 1 << 8, MakeSocket = 1 << 9, MakeFifo = 1 << 10, MakeBlockDevice = 1 << 11, MakeLink = 1 << 12,
        Refer = 1 << 13, Truncate = 1 << 14, DeviceControl = 1 << 15;

    internal const ulong BindTcp = 1 << 0, ConnectTcp = 1 << 1;

    internal const ulong AbstractSockets = 1 << 0, Signals = 1 << 1;

    /// <summary>What can be allowed on something that is no directory.</summary>
    internal const ulong OfFiles = Execute | WriteFile | ReadFile | Truncate | DeviceControl;

    internal const ulong Read = Execute | ReadFile | ReadDirectory;

    /// <summary>All that changes ordinary files; no devices.</summary>
    internal const ulong Write = Read | WriteFile | RemoveDirectory | RemoveFile | MakeDirectory | MakeFile | MakeSocket | MakeFifo | MakeLink | Refer | Truncate;

    private const ulong FirstFiles = (1 << 13) - 1;

    /// <summary>Every right that a kernel of this ABI can refuse. Rights of an ABI above 7 are not known here.</summary>
    internal static (ulong Files, ulong Network, ulong Scoped) Of(int abi) => abi switch
    {
        < 1 => (0, 0, 0),
        1 => (FirstFiles, 0, 0),
        2 => (FirstFiles | Refer, 0, 0),
        3 => (FirstFiles | Refer | Truncate, 0, 0),
        4 => (FirstFiles | Refer | Truncate, BindTcp | ConnectTcp, 0),
        5 => (FirstFiles | Refer | Truncate | DeviceControl, BindTcp | ConnectTcp, 0),
        _ => (FirstFiles | Refer | Truncate | DeviceControl, BindTcp | ConnectTcp, AbstractSockets | Signals),
    };
}
