using System.Collections.Concurrent;
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
    private readonly BlockingCollection<Action<IOException?>> _work = [];

    internal FilteredThreads(byte[] filter)
    {
        _filter = filter;
        new Thread(MakeAll, StackSize) { IsBackground = true, Name = "filter" }.Start();
    }

    internal bool Has(ReadOnlySpan<byte> filter) => filter.SequenceEqual(_filter);

    /// <summary>Runs this on a thread that nothing else will ever use: what it takes on stays.</summary>
    /// <param name="work">Is told why the thread is not what it should be; null if it is. Must not throw.</param>
    internal void Run(Action<IOException?> work) => _work.Add(work);

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
        using var taken = new SemaphoreSlim(1);
        while (true)
        {
            taken.Wait();
            new Thread(() => Serve(failure, taken), StackSize) { IsBackground = true, Name = "command" }.Start();
        }
    }

    private void Serve(IOException? failure, SemaphoreSlim taken)
    {
        var work = _work.Take();
        taken.Release();
        work(failure);
    }
}
