using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// A command at level <c>kernel</c>: bubblewrap outside, and the first process of a pid namespace inside, with which all of it goes. The gate
/// is inside: if the Pod dies before it is opened, it sees the end of its input and the command never runs.
/// </summary>
internal sealed class BubblewrapHold : ICommandHold
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20), EndLimit = TimeSpan.FromSeconds(10);

    private readonly PodProcess _outer;
    private readonly PodProcess _inner;
    private readonly SafeFileHandle _gate;
    private readonly TimeProvider _time;

    private BubblewrapHold(PodProcess outer, PodProcess inner, SafeFileHandle gate, TimeProvider time)
    {
        (_outer, _inner, _gate, _time) = (outer, inner, gate, time);
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
        PodProcess? outer = null, inner = null;
        SafeFileHandle? gate = null;
        CommandOutput? output = null;
        CommandGroup? group = null;
        var started = false;
        try
        {
            var made = group = CommandGroup.TryMake(limits);
            (outer, gate, var information, var words) = await SpawnThread.RunAsync(() => Execute(command, made));
            output = CommandOutput.Open(words, outputPath, CommandGate.ReadyLine, (long)limits.OutputMb << 20);
            output.Begin(() => (inner ?? outer).Signal(Libc.SigKill));
            var pid = await ChildOf(information, output, time);
            inner = PodProcess.Open(pid) ?? throw new SandboxException("the sandbox ended as it was being made");
            var process = CommandMarks.Look(pid) ?? throw new SandboxException("the sandbox ended as it was being made");
            var beginning = await output.Beginning.WaitAsync(StartLimit, time, ct);
            if (!beginning.EndsWith(CommandGate.ReadyLine, StringComparison.Ordinal)) throw new SandboxException($"the sandbox could not be made: {Said(beginning, output)}");
            var mark = CommandMarks.Put(podDirectory, process, about);
            started = true;
            return new(mark, about is null, process, new BubblewrapHold(outer, inner, gate, time), output, group);
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
            if (!started) await GiveUpAsync(outer, inner, gate, group, output, time);
        }
    }

    public void Go() => CommandGate.Open(_gate);

    public void Kill() => _inner.Signal(Libc.SigKill);

    public void Dispose()
    {
        _gate.Dispose();
        _outer.Dispose();
        _inner.Dispose();
    }

    /// <summary>Runs on the thread that never ends.</summary>
    private static (PodProcess Outer, SafeFileHandle Gate, SafeFileHandle Information, SafeFileHandle Words) Execute(SandboxCommand command, CommandGroup? group)
    {
        var entrances = group?.OpenEntrances() ?? [];
        try
        {
            var (gateRead, gateWrite) = Libc.Pipe();
            var (wordsRead, wordsWrite) = Libc.Pipe();
            var (informationRead, informationWrite) = Libc.Pipe();
            using (gateRead) using (wordsWrite) using (informationWrite)
            {
                using var filter = Libc.MemoryFile(command.Filter);
                using var view = Libc.MemoryFile(command.View);
                var program = new PodProgram(command.Program, CommandGate.Entering(command.Arguments, Bubblewrap.FirstFd, entrances.Count));
                SafeFileHandle[] given = [gateRead, wordsWrite, wordsWrite, informationWrite, filter, view, .. entrances];
                return (PodProcess.Start(() => NativeSpawn.Start(program, command.Environment, given)), gateWrite, informationRead, wordsRead);
            }
        }
        finally
        {
            foreach (var entrance in entrances) entrance.Dispose();
        }
    }

    /// <summary>
    /// The pid that bubblewrap reports, read to the closing brace. Not to be cancelled: until then it has a child that nobody can name, and that
    /// would wait for it for ever.
    /// </summary>
    private static async Task<int> ChildOf(SafeFileHandle information, CommandOutput output, TimeProvider time)
    {
        var text = await Task.Run(() => ReadToBrace(information)).WaitAsync(StartLimit, time);
        try
        {
            using var parsed = JsonDocument.Parse(text);
            return parsed.RootElement.GetProperty("child-pid").GetInt32();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            await output.Ended.WaitAsync(StartLimit, time);
            throw new SandboxException($"the sandbox could not be made: {Said(await output.Beginning, output)}");
        }
    }

    private static string ReadToBrace(SafeFileHandle information)
    {
        using (information)
        {
            var text = new StringBuilder();
            Span<byte> buffer = stackalloc byte[512];
            while (text.ToString() is var now && !now.Contains('}') && Libc.Read(information, buffer, buffer.Length) is > 0 and var read)
                text.Append(Encoding.ASCII.GetString(buffer[..(int)read]));
            return text.ToString();
        }
    }

    private static string Said(string beginning, CommandOutput output) =>
        (beginning + output.Text(0, 2048)).Trim() is { Length: > 0 } said ? said : "bubblewrap said nothing";

    private async Task<ProcessExit> EndAsync()
    {
        var exit = await _outer.Exited;
        // The monitor has ended: what the command left behind must not outlive it.
        _inner.Signal(Libc.SigKill);
        await _inner.Exited.WaitAsync(EndLimit, _time);
        return exit;
    }

    private static async Task GiveUpAsync(PodProcess? outer, PodProcess? inner, SafeFileHandle? gate, CommandGroup? group, CommandOutput? output, TimeProvider time)
    {
        gate?.Dispose();
        inner?.Signal(Libc.SigKill);
        if (inner is null && outer is not null) KillChildrenOf(outer);
        outer?.Signal(Libc.SigKill);
        if (inner is not null) await inner.Exited.WaitAsync(EndLimit, time);
        if (outer is not null) await outer.Exited.WaitAsync(EndLimit, time);
        group?.Remove();
        if (output is not null)
        {
            await output.Ended.WaitAsync(EndLimit, time);
            output.Delete();
        }
        inner?.Dispose();
        outer?.Dispose();
        output?.Dispose();
    }

    // They do not yet end with it.
    private static void KillChildrenOf(PodProcess outer)
    {
        foreach (var pid in PodProcess.ChildrenOf(outer.Pid))
        {
            using var child = PodProcess.Open(pid);
            child?.Signal(Libc.SigKill);
        }
    }
}
