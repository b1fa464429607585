using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// What a command writes, both streams in the order in which it wrote: read by a thread of its own into a file, never more than a limit.
/// Whoever shows it reads the file. A command can give its end of the pipe to others over a socket: nobody waits for those.
/// </summary>
internal sealed class CommandOutput : IDisposable
{
    private const int Chunk = 64 * 1024, MostBeforeMarker = 4096, MostInPipe = 1 << 20;

    private readonly SafeFileHandle _pipe;
    private readonly SafeFileHandle _file;
    private readonly SafeFileHandle _wake = new(Libc.EventFd(0, Libc.CloseOnExec), ownsHandle: true);
    private readonly long _limit;
    private readonly byte[] _marker;
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _length;
    private int _left = MostInPipe;
    private volatile bool _over;
    private volatile TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private CommandOutput(SafeFileHandle pipe, string path, string marker, long limit) =>
        (_pipe, _file, Path, _marker, _limit) = (pipe, PrivateFile.OpenToWrite(path, OpenFlags.Exclusive), path, Encoding.ASCII.GetBytes(marker), limit);

    internal string Path { get; }

    /// <summary>Bytes in the file.</summary>
    internal long Length => Interlocked.Read(ref _length);

    /// <summary>True if there was more than the limit; the rest was not kept.</summary>
    internal bool Full { get; private set; }

    /// <summary>Why what it wrote could not be kept; null if it could. Then it is also <see cref="Full"/>.</summary>
    internal string? Failure { get; private set; }

    /// <summary>What came up to the marker and with it, or all there was without one; it is not in the file.</summary>
    internal Task<string> Beginning => _first.Task;

    /// <summary>Completes when every writer has closed its end, or after <see cref="EndAsync"/>. Until it begins there is nothing to wait for.</summary>
    internal Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Completes at the next output or at the end.</summary>
    internal Task More => _more.Task;

    /// <summary>Takes the pipe over.</summary>
    /// <param name="marker">A line; what comes before it is not the command's.</param>
    /// <exception cref="IOException">The file cannot be made; the pipe is closed.</exception>
    internal static CommandOutput Open(SafeFileHandle pipe, string path, string marker, long limit)
    {
        try
        {
            return new(pipe, path, marker, limit);
        }
        catch
        {
            pipe.Dispose();
            throw;
        }
    }

    /// <summary>From here on the pipe is read, to its end.</summary>
    /// <param name="full">Called once, from the reading thread, when the limit is reached.</param>
    internal void Begin(Action full) => Ended = Task.Factory.StartNew(() => Read(full), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Nothing of the command is left: what is in the pipe by now is the rest of it.</summary>
    internal Task EndAsync()
    {
        _over = true;
        return Libc.EventFdWrite(_wake, 1) == 0 ? Ended : throw Libc.Failed("eventfd_write");
    }

    /// <summary>False when it was removed to make room.</summary>
    internal bool IsKept => File.Exists(Path);

    /// <summary>Text of a part of the file, also when it is closed; nothing if it is not kept. Bytes that are no text are shown as such.</summary>
    internal string Text(long from, int most)
    {
        using var file = PrivateFile.OpenToRead(Path);
        if (file is null) return "";
        var bytes = new byte[(int)Math.Min(Math.Max(0, Length - from), most)];
        var read = RandomAccess.Read(file, bytes, from);
        return Encoding.UTF8.GetString(bytes, 0, read).Replace('\0', '\u2400');
    }

    /// <summary>Forgets the file, too.</summary>
    internal void Delete() => _ = Libc.Unlink(Path);

    /// <summary>Closes the file; it stays.</summary>
    public void Dispose()
    {
        _pipe.Dispose();
        _file.Dispose();
        _wake.Dispose();
    }

    private void Read(Action full)
    {
        var buffer = new byte[Chunk];
        var first = new List<byte>();
        using (_pipe)
        {
            Libc.DoNotWait(_pipe);
            while (Next(buffer) is > 0 and var read)
            {
                var bytes = buffer.AsSpan(0, read);
                if (!_first.Task.IsCompleted && (bytes = TakeFirst(first, bytes)).Length == 0) continue;
                Keep(bytes, full);
            }
        }
        _first.TrySetResult(Encoding.UTF8.GetString([.. first]));
        _more.TrySetResult();
    }

    /// <summary>Waits for what comes next; 0 at the end. Behind the command's own end only what it can have left is read.</summary>
    private int Next(byte[] buffer)
    {
        while (true)
        {
            var over = _over; // Before the look: what was written until then is seen.
            var read = (int)Libc.Read(_pipe, buffer, over ? Math.Min(buffer.Length, _left) : buffer.Length);
            if (over) _left -= Math.Max(read, 0);
            if (read >= 0) return read;
            var error = Marshal.GetLastPInvokeError();
            if (error == Errno.Again && !over) Wait();
            else if (error != Errno.Intr) return 0;
        }
    }

    private unsafe void Wait()
    {
        var fds = stackalloc PollFd[2];
        fds[0] = new PollFd { Fd = (int)_pipe.DangerousGetHandle(), Events = Libc.PollIn };
        fds[1] = new PollFd { Fd = (int)_wake.DangerousGetHandle(), Events = Libc.PollIn };
        _ = Libc.Poll(fds, 2, -1);
    }

    private Span<byte> TakeFirst(List<byte> first, Span<byte> bytes)
    {
        first.AddRange(bytes);
        var all = CollectionsMarshal.AsSpan(first);
        var at = all.IndexOf(_marker);
        if (at < 0 && first.Count < MostBeforeMarker) return [];
        var end = at < 0 ? first.Count : at + _marker.Length;
        _first.SetResult(Encoding.UTF8.GetString(all[..end]));
        return all[end..];
    }

    private void Keep(ReadOnlySpan<byte> bytes, Action full)
    {
        ReadOnlySpan<byte> kept = Full ? [] : bytes[..(int)Math.Min(bytes.Length, _limit - _length)];
        try
        {
            if (kept.Length > 0) RandomAccess.Write(_file, kept, _length);
        }
        catch (IOException e)
        {
            // A full disk is as a limit reached: the command ends, and its pipe is read to the end all the same. What was kept goes, so that
            // there is space to say so.
            Failure = e.Message;
            kept = [];
            RandomAccess.SetLength(_file, 0);
            Interlocked.Exchange(ref _length, 0);
        }
        Interlocked.Add(ref _length, kept.Length);
        var more = _more;
        _more = new(TaskCreationOptions.RunContinuationsAsynchronously);
        more.TrySetResult();
        if (kept.Length == bytes.Length || Full) return;
        Full = true;
        full();
    }
}
