using System.Collections.Concurrent;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// The one thread that starts sandboxed commands. It never ends: a command dies with the thread that started it (the kernel's
/// parent-death signal is the thread's, not the process's), and that must be the end of the Pod and nothing before it.
/// </summary>
internal static class SpawnThread
{
    private const int StackSize = 256 * 1024;

    private static readonly BlockingCollection<Action> Work = Start();

    internal static Task<T> RunAsync<T>(Func<T> start)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                done.SetResult(start());
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    private static BlockingCollection<Action> Start()
    {
        var work = new BlockingCollection<Action>();
        new Thread(
            () =>
            {
                foreach (var action in work.GetConsumingEnumerable()) action();
            },
            StackSize)
        { IsBackground = true, Name = "command starter" }.Start();
        return work;
    }
}
