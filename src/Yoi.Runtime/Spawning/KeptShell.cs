using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// A shell that the keeper holds, for one command: on its way to its gate, waiting there, or the command. The gate is the Pod's: if the Pod dies
/// before it is opened, the shell sees the end of its input and never runs anything.
/// </summary>
/// <param name="how">What it is to be held by; it has its own share of the ruleset.</param>
internal sealed class KeptShell(CommandKeeper keeper, string number, LandlockShell how, string podDirectory, CommandLimits limits, TimeProvider time) : ICommandHold
{
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource<CommandProcess?> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<ProcessExit> _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ending = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _ruleset = Libc.Raised(how.Ruleset);
    private SafeFileHandle? _gate, _words, _handed;
    private volatile CommandProcess? _process;
    private volatile bool _isLetGo, _isKilled;

    /// <summary>What holds it to its limits as a whole; null where that cannot be had.</summary>
    internal CommandGroup? Group { get; private set; }

    /// <summary>Its first process, when that runs and is restricted; null if it was gone at once.</summary>
    internal Task<CommandProcess?> Started => _started.Task;

    /// <summary>True if it has ended, or could not be started: no command can begin in it.</summary>
    internal bool IsOver => _ending.Task.IsCompleted || _gone.Task.IsCompleted;

    public Task<ProcessExit> Gone => GoneAsync();

    /// <summary>Has the keeper start it. If this fails, nobody was asked, and there is no end to wait for.</summary>
    /// <exception cref="IOException">There is too little of something: descriptors, memory.</exception>
    internal void Order()
    {
        IReadOnlyList<SafeFileHandle> entrances = [];
        try
        {
            Group = CommandGroup.TryMake(limits);
            (var gate, _gate) = Libc.Pipe();
            using var theirGate = gate;
            (_words, var written) = Libc.Pipe();
            using var theirWords = written;
            _handed = Libc.MemoryFile([]);
            using var arguments = Libc.MemoryFile(Words(how.Arguments));
            using var environment = Libc.MemoryFile(Words(how.Environment));
            using var filter = Libc.MemoryFile(how.Filter);
            entrances = Group?.OpenEntrances() ?? [];
            keeper.Say(KeeperWords.Start, number, [arguments, environment, filter, _ruleset, gate, written, _handed, .. entrances]);
        }
        catch
        {
            Dispose();
            Group?.Remove();
            throw;
        }
        finally
        {
            foreach (var entrance in entrances) entrance.Dispose();
        }
    }

    /// <summary>True if a command that is to be held like this can be in it.</summary>
    internal bool IsHeldBy(LandlockShell other) => how.IsSameAs(other);

    /// <summary>What it says and writes; the caller's from here on.</summary>
    internal SafeFileHandle TakeWords()
    {
        var words = _words ?? throw new InvalidOperationException("somebody has them");
        _words = null;
        return words;
    }

    /// <summary>Gives it the command, once. It looks at that when its gate is opened.</summary>
    /// <exception cref="IOException">There is too little memory.</exception>
    internal void Hand(LandlockCommand command) => RandomAccess.Write(_handed!, Words(command.Words), 0);

    public void Go()
    {
        _isLetGo = true;
        CommandGate.Open(_gate!);
    }

    public void Kill()
    {
        _isKilled |= !_gone.Task.IsCompleted;
        _gate?.Dispose();
        keeper.Say(KeeperWords.End, number);
        keeper.Continue();
    }

    /// <summary>Ends it, which no command is in.</summary>
    /// <exception cref="TimeoutException">It does not die.</exception>
    internal async Task GiveUpAsync()
    {
        Kill();
        await Gone.WaitAsync(EndLimit, time);
        Dispose();
        Group?.Remove();
    }

    /// <summary>Gives back what it holds open. If a command was in it and ended by itself, one like it is made ready for the next.</summary>
    public void Dispose()
    {
        foreach (var file in new[] { _gate, _words, _handed }) file?.Dispose();
        keeper.Forget(number);
        if (_isLetGo && !_isKilled) _ = Task.Run(PrepareNext); // Beside what its end is told by.
        else _ruleset.Dispose();
    }

    internal void Told(string what, string more)
    {
        switch (what)
        {
            case KeeperWords.Started: _started.TrySetResult(_process = CommandMarks.Look(int.Parse(more, CultureInfo.InvariantCulture))); break;
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
        _gate?.Dispose(); // What is not let go yet ends at its gate, what is has its mark. But for one that somebody holds there.
        if (_process is { } process && !_isLetGo) CommandMarks.End(process);
        _started.TrySetException(new SandboxException("the keeper of commands was ended from outside; nothing was run"));
        try
        {
            if (CommandMarks.AnyLeft(podDirectory)) _gone.TrySetException(new TimeoutException("the keeper of commands was ended from outside, and a command does not end"));
            else _gone.TrySetResult(new(null, Libc.SigKill));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _gone.TrySetException(new TimeoutException($"the keeper of commands was ended from outside, and it could not be seen whether a command goes on: {e.Message}"));
        }
    }

    private void PrepareNext()
    {
        using (_ruleset) keeper.Prepare(how with { Ruleset = _ruleset }, podDirectory, limits, isLate: () => false);
    }

    /// <summary>A tree that is being ended and does not end within the limit is an error.</summary>
    private async Task<ProcessExit> GoneAsync()
    {
        await Task.WhenAny(_ending.Task, _gone.Task);
        return await _gone.Task.WaitAsync(EndLimit, time);
    }

    private static byte[] Words(IReadOnlyList<string> words) => PathText.Encode(string.Join('\0', words)); // Each ends with NUL.
}
