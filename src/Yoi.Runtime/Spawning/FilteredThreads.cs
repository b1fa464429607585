using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Threads for commands, each for one. The thread that makes them has given up before what every command is without: capabilities, new
/// privileges, system calls; so they have none of it from their first moment. The next one is always there: no command waits for any of that.
/// </summary>
internal sealed class FilteredThreads
{
    private const int StackSize = 256 * 1024;

    private readonly byte[] _filter;
    private readonly ConcurrentQueue<Action<IOException?>> _work = [];

    // A count in the kernel each, where a wait sleeps at once: those of the runtime first spin, on the processor that the command is to start on.
    private readonly SafeFileHandle _given = Counter(), _taken = Counter();

    /// <exception cref="IOException">No thread can be started.</exception>
    internal FilteredThreads(byte[] filter)
    {
        _filter = filter;
        Start(MakeAll, "filter");
    }

    internal bool Has(ReadOnlySpan<byte> filter) => filter.SequenceEqual(_filter);

    /// <summary>Runs this on a thread that nothing else will ever use: what it takes on stays.</summary>
    /// <param name="work">Is told why the thread is not what it should be; null if it is. Must not throw.</param>
    internal void Run(Action<IOException?> work)
    {
        _work.Enqueue(work);
        Add(_given);
    }

    private void MakeAll()
    {
        IOException? failure = null;
        try
        {
            Libc.FilterThread(_filter);
        }
        catch (LinuxException e)
        {
            failure = e;
        }
        while (true)
        {
            if (TryMake(failure) is not null)
            {
                TakeOne(_given); // None ahead: it is made when it is wanted, and whoever wants it hears if it cannot be then either.
                if (TryMake(failure) is { } why)
                {
                    if (_work.TryDequeue(out var work)) work(why);
                    continue;
                }
                Add(_given);
            }
            TakeOne(_taken);
        }
    }

    /// <summary>Why there is none; null if there is.</summary>
    private IOException? TryMake(IOException? failure)
    {
        try
        {
            Start(() => Serve(failure), "command");
            return null;
        }
        catch (IOException e)
        {
            return e;
        }
    }

    private void Serve(IOException? failure)
    {
        TakeOne(_given);
        Add(_taken);
        if (_work.TryDequeue(out var work)) work(failure); // There is one for each that was counted.
    }

    private static void Start(ThreadStart what, string name)
    {
        try
        {
            new Thread(what, StackSize) { IsBackground = true, Name = name }.Start();
        }
        catch (OutOfMemoryException) // What the runtime calls it.
        {
            throw new IOException("no thread can be started: the user has too many processes, or too little memory");
        }
    }

    private static SafeFileHandle Counter() => new(Libc.EventFd(0, Libc.CloseOnExec | Libc.OneByOne), ownsHandle: true);

    private static void Add(SafeFileHandle counter)
    {
        if (Libc.EventFdWrite(counter, 1) != 0) throw Libc.Failed("eventfd_write");
    }

    private static void TakeOne(SafeFileHandle counter)
    {
        if (Libc.EventFdRead(counter, out _) != 0) throw Libc.Failed("eventfd_read");
    }
}
