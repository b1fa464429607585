using System.Diagnostics;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Spawning;

/// <summary>
/// A process that adopts orphans, as a Pod does, and starts a child that ends at once: this test program itself, started with a variable that
/// keeps it from running tests. (In the process of the tests it would take away the ends of what other tests start.)
/// </summary>
internal static class StrangerWorker
{
    private const string Variable = "YOI_TEST_STRANGER_WORKER";

    /// <summary>What the process says of that child's end.</summary>
    internal static async Task<string> RunAsync(CancellationToken ct)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        start.Environment[Variable] = "1";
        using var process = Process.Start(start)!;
        var said = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return said;
    }

    [ModuleInitializer]
    internal static void RunIfAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null) return;
        // Only code of the runtime on other threads: those of this assembly wait for this initializer.
        ProcessWatcher.AdoptsOrphans = true;
        using var nothing = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite);
        var other = PodProcess.Start(() => Spawn("exec sleep 600", nothing));
        var child = PodProcess.Start(() =>
        {
            var pid = Spawn("exit 7", nothing);
            while (!File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal)) Thread.Yield();
            // Whoever sees this end reaps what nobody watches. It must not be seen before the child is watched.
            other.Signal(Libc.SigKill);
            _ = ((IAsyncResult)other.Exited).AsyncWaitHandle.WaitOne(TimeSpan.FromMilliseconds(500));
            return pid;
        });
        Console.Write(child.Exited.GetAwaiter().GetResult());
        Environment.Exit(0);
    }

    private static int Spawn(string script, SafeFileHandle standard) => NativeSpawn.Start(SpawningRoot.Shell(script), [], [standard, standard, standard]);
}
