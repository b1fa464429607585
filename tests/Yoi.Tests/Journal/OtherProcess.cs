using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Xunit;
using Yoi.Runtime.Linux;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Journal;

/// <summary>A real other process that takes or probes locks by itself, with none of the runtime's code: it asks the kernel with numbers of its own.</summary>
internal sealed partial class OtherProcess : IDisposable
{
    private const int OfdGetLock = 36, OfdSetLock = 37;
    private const short WriteLock = 1, Unlocked = 2;

    private readonly Process _process;

    private OtherProcess(params string[] words) => _process = ScopeChild.Start(words);

    /// <summary>Starts a process that holds these bytes of the file until it is killed or disposed.</summary>
    internal static async Task<OtherProcess> HoldAsync(string path, params string[] bytes)
    {
        var holder = new OtherProcess(["hold-bytes", path, .. bytes]);
        Assert.Equal("held", await holder._process.StandardOutput.ReadLineAsync(TempPod.Ct));
        return holder;
    }

    /// <summary>What a process of its own sees on that byte: <c>held</c> or <c>free</c>.</summary>
    internal static async Task<string?> ProbeAsync(string path, string at)
    {
        using var probe = new OtherProcess("probe-byte", path, at);
        return await probe._process.StandardOutput.ReadLineAsync(TempPod.Ct);
    }

    internal async Task StopAsync()
    {
        Assert.Equal(0, Libc.Kill(_process.Id, Libc.SigStop));
        while (!(await File.ReadAllTextAsync($"/proc/{_process.Id}/stat", TempPod.Ct)).Contains(") T ", StringComparison.Ordinal)) await Task.Yield();
    }

    internal async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(TempPod.Ct);
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>In the other process: locks these bytes, says so, and keeps them until its input ends.</summary>
    internal static void Hold(string path, string[] bytes)
    {
        using var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        foreach (var at in bytes) Ask(file, OfdSetLock, at);
        Console.WriteLine("held");
        Console.In.ReadToEnd();
    }

    /// <summary>In the other process: says whether somebody else has locked this byte.</summary>
    internal static void Probe(string path, string at)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        Console.WriteLine(Ask(file, OfdGetLock, at) == Unlocked ? "free" : "held");
    }

    private static short Ask(SafeFileHandle file, int command, string at)
    {
        var range = new Range { Type = WriteLock, Start = long.Parse(at, CultureInfo.InvariantCulture), Length = 1 };
        return Fcntl(file, command, ref range) == 0 ? range.Type : throw new IOException($"fcntl: errno {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeFileHandle file, int command, ref Range range);

    // struct flock of fcntl(2).
    [StructLayout(LayoutKind.Sequential)]
    private struct Range
    {
        internal short Type, Whence;
        internal long Start, Length;
        internal int Pid;
    }
}
