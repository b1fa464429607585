using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Journal;

/// <summary>A real other process that takes or probes locks by itself, with none of our code: python3.</summary>
internal sealed class OtherProcess : IDisposable
{
    private const string Hold = """
        import fcntl, os, struct, sys
        file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
        for byte in sys.argv[2:]: fcntl.fcntl(file, 37, struct.pack("hhqqi4x", 1, 0, int(byte), 1, 0))
        print("held", flush=True)
        sys.stdin.read()
        """;

    private const string Probe = """
        import fcntl, os, struct, sys
        file = os.open(sys.argv[1], os.O_RDONLY)
        answer = fcntl.fcntl(file, 36, struct.pack("hhqqi4x", 1, 0, int(sys.argv[2]), 1, 0))
        print("free" if struct.unpack("hhqqi4x", answer)[0] == 2 else "held", flush=True)
        """;

    private readonly Process _process;

    private OtherProcess(string script, params string[] arguments) =>
        _process = Process.Start(new ProcessStartInfo("python3", ["-c", script, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;

    /// <summary>Starts a process that holds these bytes of the file until it is killed or disposed.</summary>
    internal static async Task<OtherProcess> HoldAsync(string path, params string[] bytes)
    {
        var holder = new OtherProcess(Hold, [path, .. bytes]);
        Assert.Equal("held", await holder._process.StandardOutput.ReadLineAsync(TempPod.Ct));
        return holder;
    }

    /// <summary>What a process of its own sees on that byte: <c>held</c> or <c>free</c>.</summary>
    internal static async Task<string?> ProbeAsync(string path, string at)
    {
        using var probe = new OtherProcess(Probe, path, at);
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
}
