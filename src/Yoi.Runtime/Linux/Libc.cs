using System.Runtime.InteropServices;

namespace Yoi.Runtime.Linux;

/// <summary>
/// The C library, declared as narrowly as it is used. The lowest floor: every room may name it, it names nothing.
/// Each file of this partial class holds the calls of one subject.
/// </summary>
internal static partial class Libc
{
    // As the loader knows it: with less of a name .NET looks for it in sixty places first.
    private const string Name = "libc.so.6";

    /// <summary>The error of the last call on this thread, as an exception that names what was done.</summary>
    internal static LinuxException Failed(string what) => new(what, Marshal.GetLastPInvokeError());
}

/// <summary>A failed system call.</summary>
internal sealed class LinuxException(string what, int errno) : IOException($"{what}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})")
{
    /// <summary>The number, as in errno.h.</summary>
    public int Errno { get; } = errno;
}

/// <summary>Numbers of errno.h that the code decides by. The same on x64 and arm64.</summary>
internal static class Errno
{
    internal const int Perm = 1, NoEnt = 2, NoProcess = 3, Intr = 4, Io = 5, NoChild = 10, Again = 11, NoMem = 12, Acces = 13, Exist = 17, XDev = 18, NotDir = 20, IsDir = 21,
        Inval = 22, NFile = 23, MFile = 24, NoSpc = 28, Rofs = 30, Pipe = 32, NameTooLong = 36, NoSys = 38, NotEmpty = 39, Loop = 40, NotSupported = 95, ConnectionReset = 104, NotConnected = 107, ConnectionRefused = 111, DQuot = 122;
}
