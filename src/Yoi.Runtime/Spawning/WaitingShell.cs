using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The shell above bubblewrap, and the Pod's ends of what they share. Bubblewrap binds its life to whoever is above it before it lets the
/// process go that it has made, and that one waits for the word for ever: who is above must not die in between, and a Pod may die at any
/// time. Up to <see cref="DieWithUs"/> the shell does not: a dead Pod's command comes to the gate, and ends there.
/// </summary>
internal sealed class WaitingShell : IDisposable
{
    /// <summary>Not as its last command, to which it would give its own process. Below it nobody has the pipe that ends with the Pod.</summary>
    private const string Program = "/bin/sh", Text = "\"$@\" 6<&-; exit $?";

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(2), EndLimit = TimeSpan.FromSeconds(10);

    private readonly SafeFileHandle _life, _theirLife, _information;
    private readonly IReadOnlyList<string> _bubblewrap;

    private WaitingShell(PodProcess process, IReadOnlyList<string> bubblewrap, SafeFileHandle gate, SafeFileHandle life, SafeFileHandle theirLife, SafeFileHandle information) =>
        (Process, _bubblewrap, Gate, _life, _theirLife, _information) = (process, bubblewrap, gate, life, theirLife, information);

    internal PodProcess Process { get; }

    /// <summary>The Pod's end of the pipe at which the command waits.</summary>
    internal SafeFileHandle Gate { get; }

    /// <summary>Starts it, and bubblewrap below it.</summary>
    /// <returns>And what it, bubblewrap and the command say.</returns>
    /// <exception cref="LinuxException">It cannot be started; nothing is left.</exception>
    internal static (WaitingShell Shell, SafeFileHandle Words) Start(SandboxCommand command, CommandGroup? group)
    {
        List<SafeFileHandle> theirs = [], ours = [];
        var started = false;
        try
        {
            var (gateRead, gate) = Pipe(theirs, ours);
            var (words, wordsWrite) = Pipe(ours, theirs);
            var (theirLife, life) = Pipe(ours, ours);
            var information = Kept(ours, Libc.MemoryFile([]));
            var filter = Kept(theirs, Libc.MemoryFile(command.Filter));
            var view = Kept(theirs, Libc.MemoryFile(command.View));
            var entrances = group?.OpenEntrances() ?? [];
            theirs.AddRange(entrances);
            string[] bubblewrap = [command.Program, .. CommandGate.Entering([.. command.Arguments.Skip(1)], Bubblewrap.FirstFd, entrances.Count)];
            var process = PodProcess.Start(() =>
            {
                var pid = NativeSpawn.Start(new(Program, ["sh", "-c", Text, "sh", .. bubblewrap]), command.Environment, [gateRead, wordsWrite, wordsWrite, information, filter, view, theirLife, .. entrances]);
                Libc.ChooseSignalOf(theirLife, pid, Libc.SigKill); // Here, where its pid is its own.
                return pid;
            });
            started = true;
            return (new(process, bubblewrap, gate, life, theirLife, information), words);
        }
        finally
        {
            foreach (var file in started ? theirs : [.. theirs, .. ours]) file.Dispose();
        }
    }

    /// <summary>From here on the kernel kills it when the Pod is gone, and with it bubblewrap and all inside. Both have bound themselves by now.</summary>
    /// <exception cref="LinuxException">The kernel refuses it.</exception>
    internal void DieWithUs()
    {
        Libc.SignalFrom(_theirLife);
        _theirLife.Dispose(); // The shell has the same open file.
    }

    /// <summary>The pid of the first process inside. Bubblewrap says it before anything runs there.</summary>
    /// <exception cref="SandboxException">It has not been said.</exception>
    internal int FirstInside()
    {
        var said = new byte[512];
        var length = RandomAccess.Read(_information, said, 0);
        try
        {
            using var parsed = JsonDocument.Parse(said.AsMemory(0, length));
            return parsed.RootElement.GetProperty("child-pid").GetInt32();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new SandboxException("bubblewrap did not say what it has started");
        }
    }

    /// <summary>Lets it and bubblewrap go on: one that somebody holds by SIGSTOP would never tell that the command has ended.</summary>
    internal void Continue()
    {
        if (Process.Exited.IsCompleted) return;
        foreach (var bubblewrap in PodProcess.ChildrenOf(Process.Pid)) Signal(bubblewrap, Libc.SigCont);
        Process.Signal(Libc.SigCont);
    }

    /// <summary>
    /// Ends what has not been let go. From the inside outwards: who is above ends by itself when the one below is gone, and what is not there
    /// yet comes to a closed gate.
    /// </summary>
    /// <exception cref="TimeoutException">It does not end; then it was killed, and may be there a little longer.</exception>
    internal async Task EndAsync()
    {
        Gate.Dispose();
        for (var left = EndLimit; !Process.Exited.IsCompleted && left > TimeSpan.Zero; left -= Step)
        {
            foreach (var bubblewrap in PodProcess.ChildrenOf(Process.Pid))
                foreach (var inside in PodProcess.ChildrenOf(bubblewrap)) Signal(inside, Libc.SigKill);
            await Task.WhenAny(Process.Exited, Task.Delay(Step, TimeProvider.System));
        }
        if (Process.Exited.IsCompleted)
        {
            await EndOrphanAsync();
            return;
        }
        foreach (var bubblewrap in PodProcess.ChildrenOf(Process.Pid)) Signal(bubblewrap, Libc.SigKill);
        Process.Signal(Libc.SigKill);
        throw new TimeoutException($"a sandbox that was given up did not end within {EndLimit.TotalSeconds:0} s");
    }

    public void Dispose()
    {
        foreach (var file in new[] { Gate, _theirLife, _information, _life }) file.Dispose();
        Process.Dispose();
    }

    /// <summary>Somebody else killed one of those above before it let this one go, which would wait for that for ever. It has their words.</summary>
    private async Task EndOrphanAsync()
    {
        foreach (var pid in PodProcess.OrphansOf(_bubblewrap))
        {
            using var process = PodProcess.Open(pid);
            process?.Signal(Libc.SigKill);
            if (process is not null) await process.Exited.WaitAsync(EndLimit);
        }
    }

    private static void Signal(int pid, int signal)
    {
        using var process = PodProcess.Open(pid);
        process?.Signal(signal);
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) Pipe(List<SafeFileHandle> readers, List<SafeFileHandle> writers)
    {
        var (read, write) = Libc.Pipe();
        return (Kept(readers, read), Kept(writers, write));
    }

    private static SafeFileHandle Kept(List<SafeFileHandle> owner, SafeFileHandle file)
    {
        owner.Add(file);
        return file;
    }
}
