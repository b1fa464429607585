using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Yoi.EndToEnd;

/// <summary>
/// A running <c>yoi</c>: what it has said so far can be waited for, it can be typed to and signalled. Killed on dispose
/// if it still runs.
/// </summary>
internal sealed partial class YoiProcess : IAsyncDisposable
{
    /// <summary>Guards against a hang; nothing is expected to take this long.</summary>
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _commandLine;
    private readonly Lock _lock = new();
    private readonly StringBuilder _out = new(), _error = new();
    private readonly Task _reading;
    private TaskCompletionSource _said = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal YoiProcess(ProcessStartInfo info)
    {
        _commandLine = $"{Path.GetFileName(info.FileName)} {string.Join(' ', info.ArgumentList)}";
        _process = Process.Start(info)!;
        _reading = Task.WhenAll(ReadAsync(_process.StandardOutput, _out), ReadAsync(_process.StandardError, _error));
    }

    internal int Pid => _process.Id;

    internal bool HasExited => _process.HasExited;

    internal string Out
    {
        get
        {
            lock (_lock) return _out.ToString();
        }
    }

    internal string Error
    {
        get
        {
            lock (_lock) return _error.ToString();
        }
    }

    /// <summary>Writes to stdin.</summary>
    internal async Task TypeAsync(string text)
    {
        await _process.StandardInput.WriteAsync(text);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Ends stdin.</summary>
    internal void EndInput() => _process.StandardInput.Close();

    internal void Signal(PosixSignal signal)
    {
        var number = signal switch { PosixSignal.SIGINT => 2, PosixSignal.SIGHUP => 1, PosixSignal.SIGTERM => 15, _ => throw new ArgumentOutOfRangeException(nameof(signal)) };
        if (Kill(Pid, number) != 0) throw new InvalidOperationException($"kill -{number} {Pid}: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>Waits until stdout holds this.</summary>
    internal Task SaysAsync(string text) => UntilAsync(() => _out.ToString().Contains(text, StringComparison.Ordinal), "stdout: " + text);

    /// <summary>Waits until stderr holds this.</summary>
    internal Task RemarksAsync(string text) => UntilAsync(() => _error.ToString().Contains(text, StringComparison.Ordinal), "stderr: " + text);

    /// <summary>Waits for the end.</summary>
    /// <param name="most">For what may take longer than anything else.</param>
    internal async Task<YoiResult> EndAsync(TimeSpan? most = null)
    {
        using var limit = new CancellationTokenSource(most ?? Limit);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
            await _reading.WaitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException(Words("did not end"));
        }
        return new YoiResult(_commandLine, _process.ExitCode, Out, Error);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task UntilAsync(Func<bool> holds, string what)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (true)
        {
            Task next;
            lock (_lock)
            {
                if (holds()) return;
                next = _said.Task;
            }
            if (_reading.IsCompleted) throw new InvalidOperationException(Words("ended and never said " + what));
            try
            {
                await Task.WhenAny(next, _reading).WaitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException(Words("did not say " + what));
            }
        }
    }

    private string Words(string problem) => $"{_commandLine} {problem}\n--- stdout\n{Out}\n--- stderr\n{Error}";

    private async Task ReadAsync(StreamReader reader, StringBuilder into)
    {
        var buffer = new char[4096];
        while (await reader.ReadAsync(buffer) is > 0 and var count)
        {
            TaskCompletionSource said;
            lock (_lock)
            {
                into.Append(buffer, 0, count);
                (said, _said) = (_said, new(TaskCreationOptions.RunContinuationsAsynchronously));
            }
            said.SetResult();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
