using System.Diagnostics;
using Xunit;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Spawning;

/// <summary>strace on a process that runs: as long as this lives, its system calls fail or are held up as told.</summary>
internal sealed class Strace : IAsyncDisposable
{
    private const string Path = "/usr/bin/strace";

    private readonly Process _process;
    private readonly Task _draining;

    private Strace(Process process)
    {
        _process = process;
        _draining = process.StandardError.ReadToEndAsync(CancellationToken.None);
    }

    /// <param name="what">As behind <c>-e inject=</c>: <c>fdatasync:error=EIO</c>.</param>
    /// <param name="only">Only calls on this file.</param>
    internal static async Task<Strace> AttachAsync(int pid, string what, string? only = null)
    {
        string[] paths = only is null ? [] : ["-P", only];
        var process = Process.Start(new ProcessStartInfo(Path, ["-f", "-p", $"{pid}", "-o", "/dev/null", .. paths, "-e", "trace=" + what.Split(':')[0], "-e", "inject=" + what]) { RedirectStandardError = true })!;
        var said = "";
        while (await process.StandardError.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            said += line + "\n";
            if (line.Contains("attached", StringComparison.Ordinal)) return new Strace(process);
        }
        throw new InvalidOperationException("strace: " + said);
    }

    public async ValueTask DisposeAsync()
    {
        _ = Libc.Kill(_process.Id, 2);
        await _process.WaitForExitAsync();
        await _draining;
        _process.Dispose();
    }
}
