using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// A command at level <c>kernel</c>: a shell that only waits, bubblewrap below it, and inside the first process of a pid namespace, with
/// which all of it goes. The gate is inside: if the Pod dies before it is opened, the command sees the end of its input and never runs.
/// </summary>
internal sealed class BubblewrapHold : ICommandHold
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20), EndLimit = TimeSpan.FromSeconds(10);

    private readonly WaitingShell _shell;
    private readonly PodProcess _inner;
    private readonly TimeProvider _time;

    private BubblewrapHold(WaitingShell shell, PodProcess inner, TimeProvider time)
    {
        (_shell, _inner, _time) = (shell, inner, time);
        Gone = EndAsync();
    }

    public Task<ProcessExit> Gone { get; }

    /// <summary>Starts it as far as the gate. The view stands, the filter is on, and nothing of the command has run.</summary>
    /// <param name="about">What is to be settled when it is gone, also by others if the Pod dies; null: nothing.</param>
    /// <exception cref="SandboxException">It does not come that far; says what bubblewrap said. Nothing is left.</exception>
    /// <exception cref="TimeoutException">The same, but something is left that does not die.</exception>
    internal static async Task<SandboxedCommand> StartAsync(
        string podDirectory, SandboxCommand command, string outputPath, CommandLimits limits, TimeProvider time, CancellationToken ct, string? about = null)
    {
        WaitingShell? shell = null;
        PodProcess? inner = null;
        CommandOutput? output = null;
        CommandGroup? group = null;
        var started = false;
        try
        {
            group = CommandGroup.TryMake(limits);
            (shell, var words) = WaitingShell.Start(command, group);
            output = CommandOutput.Open(words, outputPath, CommandGate.ReadyLine, (long)limits.OutputMb << 20);
            output.Begin(() => inner?.Signal(Libc.SigKill));
            await Task.WhenAny(output.Beginning, shell.Process.Exited).WaitAsync(StartLimit, time, ct);
            if (shell.Process.Exited.IsCompleted) await shell.EndAsync(); // Else who is left would have its output open.
            var beginning = await output.Beginning.WaitAsync(StartLimit, time, ct);
            if (!beginning.EndsWith(CommandGate.ReadyLine, StringComparison.Ordinal)) throw new SandboxException($"the sandbox could not be made: {Said(beginning)}");
            inner = PodProcess.Open(shell.FirstInside()) ?? throw new SandboxException("the sandbox ended as it was being made");
            var process = CommandMarks.Look(inner.Pid) ?? throw new SandboxException("the sandbox ended as it was being made");
            shell.DieWithUs();
            var mark = CommandMarks.Put(podDirectory, process, about);
            started = true;
            return new(mark, about is null, process, new BubblewrapHold(shell, inner, time), output, group);
        }
        catch (TimeoutException)
        {
            throw new SandboxException($"the sandbox was not ready within {StartLimit.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is LinuxException or IOException)
        {
            throw new SandboxException($"the sandbox could not be started: {e.Message}");
        }
        finally
        {
            if (!started) await GiveUpAsync(shell, inner, group, output, time);
        }
    }

    public void Go() => CommandGate.Open(_shell.Gate);

    public void Kill()
    {
        _inner.Signal(Libc.SigKill);
        _shell.Continue();
    }

    public void Dispose()
    {
        _shell.Dispose();
        _inner.Dispose();
    }

    private static string Said(string beginning) => beginning.Trim() is { Length: > 0 } said ? said : "bubblewrap said nothing";

    private async Task<ProcessExit> EndAsync()
    {
        var exit = await _shell.Process.Exited;
        // The monitor has ended: what the command left behind must not outlive it.
        _inner.Signal(Libc.SigKill);
        await _inner.Exited.WaitAsync(EndLimit, _time);
        return exit;
    }

    private static async Task GiveUpAsync(WaitingShell? shell, PodProcess? inner, CommandGroup? group, CommandOutput? output, TimeProvider time)
    {
        inner?.Signal(Libc.SigKill);
        if (shell is not null) await shell.EndAsync();
        if (inner is not null) await inner.Exited.WaitAsync(EndLimit, time);
        group?.Remove();
        if (output is not null)
        {
            await output.Ended.WaitAsync(EndLimit, time);
            output.Delete();
        }
        inner?.Dispose();
        shell?.Dispose();
        output?.Dispose();
    }
}
