using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The Pod's side of its keeper: one process that starts the Pod's commands at level <c>partial</c>, from the first command to the Pod's end.
/// Disposed, or gone with the Pod, it ends all of them first.
/// </summary>
internal sealed class CommandKeeper : IAsyncDisposable
{
    /// <summary>So long a shell waits for the next command.</summary>
    internal static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20), EndLimit = TimeSpan.FromSeconds(10);

    private readonly PodProcess _process;
    private readonly SafeFileHandle _channel;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, KeptShell> _shells = new(StringComparer.Ordinal);
    private readonly Task _reading;
    private readonly Lock _nextGate = new();
    private KeptShell? _next;
    private ITimer? _idle;
    private Task _givenUp = Task.CompletedTask;
    private volatile bool _isOver;
    private bool _closing;
    private int _number;

    private CommandKeeper(PodProcess process, SafeFileHandle channel, TimeProvider time)
    {
        (_process, _channel, _time) = (process, channel, time);
        _reading = Task.Factory.StartNew(ReadAll, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>True if the process has ended: nothing can be started with it any more. Whoever is told of its end by a shell finds this so.</summary>
    internal bool IsGone => _isOver;

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
            if (e is TaskSchedulerException) throw new SandboxException("the keeper of commands could not be started: no thread can be had to hear it; the user has too many processes, or too little memory");
            throw;
        }
    }

    /// <summary>Starts a command as far as the gate. The restrictions are on, and nothing of the command has run.</summary>
    /// <param name="about">What is to be settled when it is gone; null: nothing. No gate is opened before that is known.</param>
    /// <exception cref="SandboxException">It does not come that far; says why. Nothing is left.</exception>
    /// <exception cref="TimeoutException">The same, but something is left that does not die.</exception>
    internal async Task<SandboxedCommand> StartAsync(string podDirectory, LandlockCommand command, string outputPath, CommandLimits limits, Task<string?>? about, CancellationToken ct)
    {
        var waiting = TakeNext(command.Shell);
        try
        {
            return await StartAsync(waiting, podDirectory, command, outputPath, limits, about, ct);
        }
        catch (SandboxException) when (waiting is not null)
        {
            // Somebody ended it, or holds it; nothing of the command has run.
            return await StartAsync(null, podDirectory, command, outputPath, limits, about, ct);
        }
    }

    private async Task<SandboxedCommand> StartAsync(
        KeptShell? shell, string podDirectory, LandlockCommand command, string outputPath, CommandLimits limits, Task<string?>? about, CancellationToken ct)
    {
        CommandOutput? output = null;
        CommandMark? mark = null;
        var started = false;
        try
        {
            shell ??= Begin(command.Shell, podDirectory, limits);
            output = CommandOutput.Open(shell.TakeWords(), outputPath, CommandGate.ReadyLine, (long)limits.OutputMb << 20);
            output.Begin(shell.Kill);
            shell.Hand(command);
            var toSettle = about is null ? null : await about;
            var process = await shell.Started.WaitAsync(StartLimit, _time, ct);
            // One that waited may be gone meanwhile, and its number another's.
            if (process is null || CommandMarks.Look(process.Pid) != process) throw new SandboxException("the command ended before it came to the gate");
            mark = CommandMarks.Put(podDirectory, process, toSettle); // A shell of a new command is still on its way to the gate.
            var beginning = await output.Beginning.WaitAsync(StartLimit, _time, ct);
            if (!beginning.EndsWith(CommandGate.ReadyLine, StringComparison.Ordinal)) throw new SandboxException($"the command did not come to the gate: {beginning.Trim()}");
            started = true;
            return new(mark, toSettle is null, process, shell, output, shell.Group);
        }
        catch (TimeoutException)
        {
            throw new SandboxException($"the sandbox was not ready within {StartLimit.TotalSeconds:0} s");
        }
        catch (IOException e)
        {
            throw new SandboxException($"the sandbox could not be started: {e.Message}");
        }
        catch (TaskSchedulerException)
        {
            throw new SandboxException("the sandbox could not be started: no thread can be had to read what the command writes; the user has too many processes, or too little memory");
        }
        finally
        {
            if (!started)
            {
                if (shell is not null) await shell.GiveUpAsync();
                if (output is not null) await ForgetAsync(output);
                mark?.Remove(); // Not if it does not die.
            }
        }
    }

    /// <summary>
    /// Has a shell that is held just so come to its gate, for the next command: the time that it takes is not the command's then. It holds
    /// nothing but itself, and ends when no command comes for it.
    /// </summary>
    /// <param name="isLate">True from when the command is there and needs none any more.</param>
    internal void Prepare(LandlockShell how, string podDirectory, CommandLimits limits, Func<bool> isLate)
    {
        lock (_nextGate)
        {
            if (_closing || IsGone || isLate()) return;
            if (_next is { IsOver: false } waiting && waiting.IsHeldBy(how))
            {
                _idle?.Change(IdleLimit, Timeout.InfiniteTimeSpan);
                return;
            }
            if (_next is { } useless) GiveUp_NeedsLock(useless);
            try
            {
                var shell = Begin(how, podDirectory, limits);
                _next = shell;
                _idle = _time.CreateTimer(_ => GiveUp(shell), null, IdleLimit, Timeout.InfiniteTimeSpan);
            }
            catch (Exception e) when (e is IOException or SandboxException)
            {
                // The next command begins with a shell of its own, and says what is in the way if something is then.
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

    internal void Forget(string number) => _shells.TryRemove(number, out _);

    /// <summary>Ends what is left and waits for the process: with it the last share of the life-lock goes.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_nextGate) _closing = true;
        Libc.EndMessages(_channel);
        Continue();
        await _process.Exited.WaitAsync(EndLimit, _time);
        await _reading;
        if (_next is { } next) GiveUp(next);
        await Task.WhenAny(_givenUp); // Whoever did not die then has by now.
        _channel.Dispose();
        _process.Dispose();
    }

    /// <summary>The shell that waits, if it is one for this. One that is not waits on until another takes its place: to end it now would be beside the command.</summary>
    private KeptShell? TakeNext(LandlockShell how)
    {
        lock (_nextGate)
        {
            if (_next is not { IsOver: false } next || !next.IsHeldBy(how)) return null;
            Forget_NeedsLock();
            return next;
        }
    }

    private void GiveUp(KeptShell shell)
    {
        lock (_nextGate)
        {
            if (_next == shell) GiveUp_NeedsLock(shell); // Else a command has it.
        }
    }

    private void GiveUp_NeedsLock(KeptShell shell)
    {
        Forget_NeedsLock();
        _givenUp = Task.WhenAll(_givenUp, shell.GiveUpAsync());
    }

    private void Forget_NeedsLock()
    {
        _next = null;
        _idle?.Dispose();
    }

    /// <summary>Asks for a shell.</summary>
    private KeptShell Begin(LandlockShell how, string podDirectory, CommandLimits limits)
    {
        var number = Interlocked.Increment(ref _number).ToString(CultureInfo.InvariantCulture);
        var shell = _shells[number] = new KeptShell(this, number, how, podDirectory, limits, _time);
        shell.Order();
        if (_isOver) shell.Lost(); // It came too late to be told so with the others.
        return shell;
    }

    private void ReadAll()
    {
        var buffer = new byte[KeeperProcess.MostMessage];
        try
        {
            while (Libc.ReceiveMessage(_channel, buffer) is { Length: > 0 } message)
            {
                var parts = Encoding.UTF8.GetString(buffer, 0, message.Length).Split(' ', 3);
                if (_shells.TryGetValue(parts[1], out var shell)) shell.Told(parts[0], parts[2]);
            }
        }
        catch (LinuxException)
        {
            // Reset: it was killed with words of ours unread.
        }
        finally
        {
            _isOver = true;
            foreach (var shell in _shells.Values) shell.Lost();
        }
    }

    private async Task ForgetAsync(CommandOutput output)
    {
        await output.Ended.WaitAsync(EndLimit, _time);
        output.Delete();
        output.Dispose();
    }

    /// <summary>What a program of .NET needs to start, and nothing else: no key can be among it.</summary>
    private static List<string> Environment()
    {
        string[] names = ["PATH", "HOME", "TMPDIR", "LANG", "DOTNET_ROOT", "DOTNET_ROOT_X64", "DOTNET_ROOT_ARM64", "DOTNET_BUNDLE_EXTRACT_BASE_DIR", "YOI_FAILPOINT"];
        return [.. names.Select(name => (name, System.Environment.GetEnvironmentVariable(name))).Where(pair => pair.Item2 is not null).Select(pair => $"{pair.name}={pair.Item2}"),
            .. PodProgram.Small];
    }
}
