using System.Diagnostics;
using System.Globalization;
using Yoi.Runtime.Linux;

namespace Yoi.EndToEnd.Torture;

/// <summary>
/// A small disk in memory, mounted at one directory in a mount namespace of its own: nobody outside sees it, and it is gone with the process that
/// holds the namespace. Programs enter through <see cref="Through"/>; files are seen from outside through <see cref="Seen"/>.
/// </summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private const string Unshare = "/usr/bin/unshare", Enter = "/usr/bin/nsenter";

    private readonly Process _holder;
    private readonly string _directory;

    private SmallDisk(Process holder, string directory) => (_holder, _directory) = (holder, directory);

    /// <summary>True where this process may mount something.</summary>
    internal static bool IsPossible { get; } = Libc.Geteuid() == 0 && File.Exists(Unshare) && File.Exists(Enter) && Try();

    /// <summary>The directory on that disk, for this process.</summary>
    internal string Seen => string.Create(CultureInfo.InvariantCulture, $"/proc/{_holder.Id}/root{_directory}");

    internal static async Task<SmallDisk> MountAsync(string directory, int mib)
    {
        var holder = Hold($"mount -t tmpfs -o size={mib}m,mode=700 small '{directory}' && echo there && exec cat");
        var answer = await holder.StandardOutput.ReadLineAsync();
        return answer == "there" ? new SmallDisk(holder, directory) : throw new IOException($"nothing could be mounted at {directory}");
    }

    /// <summary>What to call instead of a program, so that it sees the disk.</summary>
    internal (string Program, IReadOnlyList<string> Args) Through(string workingDirectory, string program, IReadOnlyList<string> args) =>
        (Enter, ["-t", _holder.Id.ToString(CultureInfo.InvariantCulture), "-m", "/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", workingDirectory, program, .. args]);

    /// <summary>Takes all that is free.</summary>
    internal void Fill()
    {
        using var filler = new FileStream(Seen + "/filler", FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        var page = new byte[4096];
        try
        {
            while (true) filler.Write(page);
        }
        catch (IOException)
        {
            // That was it.
        }
    }

    /// <summary>Gives it back.</summary>
    internal void Free() => File.Delete(Seen + "/filler");

    /// <summary>Copies what is on it to its directory as everybody else sees that: evidence outlives the disk.</summary>
    internal async Task CopyOutAsync()
    {
        using var copy = Process.Start("cp", ["-a", Seen + "/.", _directory]);
        await copy.WaitForExitAsync();
        if (copy.ExitCode != 0) throw new IOException($"cp could not copy {Seen} to {_directory}");
    }

    public async ValueTask DisposeAsync()
    {
        _holder.StandardInput.Close();
        await _holder.WaitForExitAsync();
        _holder.Dispose();
    }

    private static Process Hold(string script) => Process.Start(new ProcessStartInfo(Unshare, ["-m", "/bin/sh", "-c", script])
    {
        WorkingDirectory = "/",
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;

    private static bool Try()
    {
        using var tried = Hold("mount -t tmpfs -o size=1m small /mnt");
        tried.WaitForExit();
        return tried.ExitCode == 0;
    }
}
