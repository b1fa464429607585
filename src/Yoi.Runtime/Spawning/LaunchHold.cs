using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Says that a Pod is being started, until its process is ready or gone: an exclusive flock on the Pod's directory, which the kernel takes back when
/// the launcher ends, however it ends. The process that is started does not inherit it.
/// </summary>
internal sealed class LaunchHold : IDisposable
{
    private readonly SafeFileHandle _directory;

    private LaunchHold(SafeFileHandle directory) => _directory = directory;

    /// <summary>Takes it.</summary>
    /// <param name="podDirectory">It is there.</param>
    /// <exception cref="IOException">It cannot be opened, or locks do not work here.</exception>
    internal static LaunchHold Take(string podDirectory)
    {
        var directory = Open(podDirectory);
        try
        {
            if (directory.IsInvalid) throw Libc.Failed("open " + podDirectory);
            Libc.WaitForFlock(directory); // Who only looks has it for an instant.
            return new(directory);
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Libc.ReleaseFlock(_directory);
        _directory.Dispose();
    }

    /// <summary>True if somebody has it. Disturbs nobody who looks, too.</summary>
    internal static bool IsHeld(string podDirectory)
    {
        using var directory = Open(podDirectory);
        return !directory.IsInvalid && Libc.IsFlocked(directory);
    }

    private static SafeFileHandle Open(string path) => Libc.Open(path, OpenFlags.ReadOnly | OpenFlags.Directory | OpenFlags.NoFollow | OpenFlags.CloseOnExec, 0);
}
