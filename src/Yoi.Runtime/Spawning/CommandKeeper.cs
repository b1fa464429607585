using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The Pod's side of its keeper: one process that starts the Pod's commands at level <c>partial</c>, from the first command to the Pod's end.
/// Disposed, or gone with the Pod, it ends all of them first.
/// </summary>
internal sealed class CommandKeeper : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20), EndLimit = TimeSpan.FromSeconds(10);

    private readonly PodProcess _process;
    private readonly SafeFileHandle _channel;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, KeptHold> _holds = new(StringComparer.Ordinal);
    private readonly Task _reading;
    private volatile bool _isOver;
    private int _number;

    private CommandKeeper(PodProcess process, SafeFileHandle channel, TimeProvider time)
    {
        (_process, _channel, _time) = (process, channel, time);
        _reading = Task.Factory.StartNew(ReadAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>True if the process has ended: nothing can be started with it any more.</summary>
    internal bool IsGone => _reading.IsCompleted;

    /// <summary>Starts the process.</summary>
    /// <param name="life">The Pod's life-lock, which it shares; null for a trial.</param>
    /// <exception cref="SandboxException">It cannot be started.</exception>
    internal static CommandKeeper Start(PodProgram program, PodLock? life, TimeProvider time)
    {
        var (ours, theirs) = Libc.MessagePair();
        try
        {
            using (theirs)
            using (var shared = life?.Share())
            using (var stderr = new SafeFileHandle(2, ownsHandle: false))
            {
                List<SafeFileHandle> given = [theirs, theirs, stderr];
                if (shared is not null) given.Add(shared);
                return new(PodProcess.Start(() => NativeSpawn.Start(program, Environment(), given)), ours, time);
            }
        }
        catch (Exception e)
        {
            ours.Dispose();
            if (e is LinuxException) throw new SandboxException($"the keeper of commands could not be started: {e.Message}");
            throw;
        }
    }

    /// <summary>Starts a command as far as the gate. The restrictions are on, and nothing of the command has run.</summary>
    /// <param name="about">What is to be settled when it is gone; null: nothing. Nothing of it is started before that is known.</param>
    /// <exception cref="SandboxException">It does not come that far; says why. Nothing is left.</exception>
    /// <exception cref="TimeoutException">The same, but something is left that does not die.</exception>
    internal async Task<SandboxedCommand> StartAsync(string podDirectory, LandlockCommand command, string outputPath, CommandLimits limits, Task<string?>? about, CancellationToken ct)
    {
        var number = Interlocked.Increment(ref _number).ToString(CultureInfo.InvariantCulture);
        KeptHold? hold = null;
        CommandOutput? output = null;
        CommandGroup? group = null;
        CommandMark? mark = null;
        var started = false;
        try
        {
            group = CommandGroup.TryMake(limits);
            string? toSettle;
            var (words, written) = Libc.Pipe();
            using (written)
            {
                output = CommandOutput.Open(words, outputPath, CommandGate.ReadyLine, (long)limits.OutputMb << 20);
                toSettle = about is null ? null : await about;
                hold = Order(number, command, podDirectory, written, group);
                output.Begin(hold.Kill);
            }
            var pid = await hold.Started.WaitAsync(StartLimit, _time, ct);
            var process = CommandMarks.Look(pid) ?? throw new SandboxException("the command ended before it came to the gate");
            mark = CommandMarks.Put(podDirectory, process, toSettle); // While the shell is still on its way to the gate.
            var beginning = await output.Beginning.WaitAsync(StartLimit, _time, ct);
            if (!beginning.EndsWith(CommandGate.ReadyLine, StringComparison.Ordinal)) throw new SandboxException($"the command did not come to the gate: {beginning.Trim()}");
            started = true;
            return new(mark, toSettle is null, process, hold, output, group);
        }
        catch (TimeoutException)
        {
            throw new SandboxException($"the sandbox was not ready within {StartLimit.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is IOException)
        {
            throw new SandboxException($"the sandbox could not be started: {e.Message}");
        }
        finally
        {
            if (!started)
            {
                await GiveUpAsync(hold, group, output, _time);
                mark?.Remove(); // Not if it does not die.
            }
        }
    }

    /// <summary>Asks for something; a keeper that is gone has ended everything, or its holds do.</summary>
    internal void Say(string what, string number, params ReadOnlySpan<SafeFileHandle> files)
    {
        try
        {
            Libc.SendMessage(_channel, Encoding.ASCII.GetBytes($"{what} {number}"), files);
        }
        catch (Exception e) when (e is LinuxException { Errno: Errno.Pipe or Errno.ConnectionReset } or ObjectDisposedException)
        {
            // The end of the channel says so to all who wait.
        }
    }

    /// <summary>Lets it go on: one that somebody holds by SIGSTOP would end nothing.</summary>
    internal void Continue() => _process.Signal(Libc.SigCont);

    internal void Forget(string number) => _holds.TryRemove(number, out _);

    /// <summary>Ends what is left and waits for the process: with it the last share of the life-lock goes.</summary>
    public async ValueTask DisposeAsync()
    {
        Libc.EndMessages(_channel);
        Continue();
        await _process.Exited.WaitAsync(EndLimit, _time);
        await _reading;
        _channel.Dispose();
        _process.Dispose();
    }

    /// <summary>Asks for a command. If this fails, nobody was asked, and there is no end to wait for.</summary>
    private KeptHold Order(string number, LandlockCommand command, string podDirectory, SafeFileHandle written, CommandGroup? group)
    {
        using var arguments = Libc.MemoryFile(Words(command.Arguments));
        using var environment = Libc.MemoryFile(Words(command.Environment));
        using var filter = Libc.MemoryFile(command.Filter);
        IReadOnlyList<SafeFileHandle> entrances = [];
        var (gate, open) = Libc.Pipe();
        var hold = _holds[number] = new KeptHold(this, number, podDirectory, open, _time);
        try
        {
            entrances = group?.OpenEntrances() ?? [];
            Say(KeeperWords.Start, number, [arguments, environment, filter, command.Ruleset, gate, written, .. entrances]);
        }
        catch
        {
            hold.Dispose();
            throw;
        }
        finally
        {
            gate.Dispose();
            foreach (var entrance in entrances) entrance.Dispose();
        }
        if (_isOver) hold.Lost(); // It came too late to be told so with the others.
        return hold;
    }

    private void ReadAll()
    {
        var buffer = new byte[KeeperProcess.MostMessage];
        try
        {
            while (Libc.ReceiveMessage(_channel, buffer) is { Length: > 0 } message)
            {
                var parts = Encoding.UTF8.GetString(buffer, 0, message.Length).Split(' ', 3);
                if (_holds.TryGetValue(parts[1], out var hold)) hold.Told(parts[0], parts[2]);
            }
        }
        catch (LinuxException)
        {
            // Reset: it was killed with words of ours unread.
        }
        _isOver = true;
        foreach (var hold in _holds.Values) hold.Lost();
    }

    private static async Task GiveUpAsync(KeptHold? hold, CommandGroup? group, CommandOutput? output, TimeProvider time)
    {
        hold?.Kill();
        if (hold is not null) await hold.Gone.WaitAsync(EndLimit, time);
        hold?.Dispose();
        group?.Remove();
        if (output is null) return;
        await output.Ended.WaitAsync(EndLimit, time);
        output.Delete();
        output.Dispose();
    }

    private static byte[] Words(IReadOnlyList<string> words) => PathText.Encode(string.Join('\0', words)); // Each ends with NUL.

    /// <summary>What a program of .NET needs to start, and nothing else: no key can be among it.</summary>
    private static List<string> Environment()
    {
        string[] names = ["PATH", "HOME", "TMPDIR", "LANG", "DOTNET_ROOT", "DOTNET_ROOT_X64", "DOTNET_ROOT_ARM64", "DOTNET_BUNDLE_EXTRACT_BASE_DIR", "YOI_FAILPOINT"];
        return [.. names.Select(name => (name, System.Environment.GetEnvironmentVariable(name))).Where(pair => pair.Item2 is not null).Select(pair => $"{pair.name}={pair.Item2}"),
            .. PodProgram.Small];
    }
}

/// <summary>A command that the keeper holds. The gate is the Pod's: if the Pod dies before it is opened, the command sees the end of its input and never runs.</summary>
internal sealed class KeptHold(CommandKeeper keeper, string number, string podDirectory, SafeFileHandle gate, TimeProvider time) : ICommandHold
{
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource<int> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<ProcessExit> _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ending = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The pid of the first process, when it runs and is restricted.</summary>
    internal Task<int> Started => _started.Task;

    public Task<ProcessExit> Gone => GoneAsync();

    public void Go() => CommandGate.Open(gate);

    public void Kill()
    {
        gate.Dispose();
        keeper.Say(KeeperWords.End, number);
        keeper.Continue();
    }

    public void Dispose()
    {
        gate.Dispose();
        keeper.Forget(number);
    }

    internal void Told(string what, string more)
    {
        switch (what)
        {
            case KeeperWords.Started: _started.TrySetResult(int.Parse(more, CultureInfo.InvariantCulture)); break;
            case KeeperWords.Ending: _ending.TrySetResult(); break;
            case KeeperWords.Ended: _gone.TrySetResult(KeptExit.Parse(more)); break;
            case KeeperWords.Failed:
                _started.TrySetException(new SandboxException($"the sandbox could not be made: {more}"));
                _gone.TrySetResult(new(null, Libc.SigKill));
                break;
        }
    }

    /// <summary>The keeper ended before the command did: somebody killed it. What it left is found and ended.</summary>
    internal void Lost()
    {
        gate.Dispose(); // What is not let go yet ends at its gate, what is has its mark.
        _started.TrySetException(new SandboxException("the keeper of commands was ended from outside; nothing was run"));
        if (CommandMarks.AnyLeft(podDirectory)) _gone.TrySetException(new TimeoutException("the keeper of commands was ended from outside, and a command does not end"));
        else _gone.TrySetResult(new(null, Libc.SigKill));
    }

    /// <summary>A tree that is being ended and does not end within the limit is an error.</summary>
    private async Task<ProcessExit> GoneAsync()
    {
        await Task.WhenAny(_ending.Task, _gone.Task);
        return await _gone.Task.WaitAsync(EndLimit, time);
    }
}
