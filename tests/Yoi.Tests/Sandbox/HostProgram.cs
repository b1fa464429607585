using System.Diagnostics;
using Xunit;

namespace Yoi.Tests.Sandbox;

/// <summary>
/// A service of the host, in Python: it says <c>up</c> when it is ready, then a line for whatever was done to it, and ends with its stdin. So a test can say
/// what came between two things, and that nothing else did.
/// </summary>
internal sealed class HostProgram : IAsyncDisposable
{
    private readonly Process _process;

    private HostProgram(Process process) => _process = process;

    internal int Pid => _process.Id;

    internal static async Task<HostProgram> StartAsync(string script, params string[] arguments)
    {
        var program = new HostProgram(Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", script, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true })!);
        Assert.Equal(["up"], await program.SaysAsync(1));
        return program;
    }

    /// <summary>The next so many lines, sorted: who came first is chance.</summary>
    internal async Task<IReadOnlyList<string?>> SaysAsync(int lines)
    {
        List<string?> said = [];
        while (said.Count < lines) said.Add(await _process.StandardOutput.ReadLineAsync(SandboxRoom.Ct));
        return [.. said.Order(StringComparer.Ordinal)];
    }

    /// <summary>Ends it; what it had to say besides.</summary>
    internal async Task<string> EndAsync()
    {
        _process.StandardInput.Close();
        return await _process.StandardOutput.ReadToEndAsync(SandboxRoom.Ct);
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }
}
