using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// What <c>yoi keep</c> does: starts the commands of one Pod at level <c>partial</c>, each on a thread that first takes on the command's
/// restrictions, and ends with it whatever a command left. It shares the Pod's life-lock (descriptor 3): when the Pod goes, however it goes,
/// it ends all commands, and only then is the lock free. Nothing that it starts can signal it.
/// </summary>
internal sealed class KeeperProcess : IDisposable
{
    /// <summary>Longest message; what may be longer goes as a file.</summary>
    internal const int MostMessage = 4096;

    private readonly SafeFileHandle _pod = new(0, ownsHandle: false);
    private readonly SafeFileHandle _born = new(Libc.EventFd(0, Libc.CloseOnExec), ownsHandle: true);
    private readonly int _podPid = Libc.ParentPid();
    private readonly Lock _gate = new();
    private readonly Dictionary<string, KeptTree> _trees = new(StringComparer.Ordinal);
    private FilteredThreads? _threads;

    /// <summary>True if this process was started by a Pod, to be its keeper.</summary>
    internal static bool IsWanted => Libc.Identify(new SafeFileHandle(0, ownsHandle: false)).IsSocket;

    /// <summary>Returns when the Pod is gone and all commands with it.</summary>
    internal static int Run()
    {
        // Only the Pod's end ends it: a signal that reaches the Pod's whole session must not set its commands free.
        var ignored = new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, context => context.Cancel = true)).ToList();
        Libc.AdoptOrphans();
        using var keeper = new KeeperProcess();
        new Thread(keeper.ReapAll) { IsBackground = true, Name = "reaper" }.Start();
        keeper.ObeyAll();
        GC.KeepAlive(ignored);
        return 0;
    }

    public void Dispose() => _pod.Dispose(); // The reaper, which has the other, ends with the process.

    /// <summary>Reads what the Pod asks for until it is gone; then ends everything.</summary>
    private void ObeyAll()
    {
        var buffer = new byte[MostMessage];
        try
        {
            while (Libc.ReceiveMessage(_pod, buffer) is { Length: > 0 } message)
            {
                var words = Encoding.ASCII.GetString(buffer, 0, message.Length).Split(' ');
                Obey(words[0], words[1], message.Files);
            }
        }
        catch (LinuxException)
        {
            // Reset: the Pod went with words of ours unread. Whatever else it is, nobody can ask for anything any more.
        }
        List<KeptTree> left;
        lock (_gate)
        {
            left = [.. _trees.Values];
            foreach (var tree in left) tree.End();
        }
        Task.WaitAll(left.Select(tree => tree.Gone));
    }

    private void Obey(string what, string number, SafeFileHandle[] files)
    {
        if (what == KeeperWords.Start)
        {
            Start(number, files);
            return;
        }
        lock (_gate)
        {
            if (_trees.TryGetValue(number, out var tree)) tree.End(); // Else it is gone already.
        }
    }

    private void Start(string number, SafeFileHandle[] files)
    {
        KeptTree tree;
        try
        {
            tree = new(files, _podPid);
        }
        catch (LinuxException e)
        {
            foreach (var file in files) file.Dispose();
            Tell(KeeperWords.Failed, number, e.Message);
            return;
        }
        lock (_gate) _trees.Add(number, tree);
        try
        {
            var filter = tree.Filter();
            if (_threads?.Has(filter) != true) _threads = new(filter); // All commands of one Pod have the same.
            _threads.Run(failure => Keep(number, tree, failure));
        }
        catch (IOException e)
        {
            Keep(number, tree, e);
        }
    }

    /// <summary>From the start of a command to the end of its tree, on the command's own thread.</summary>
    /// <param name="failure">Why it cannot be started; null if it can.</param>
    private void Keep(string number, KeptTree tree, IOException? failure)
    {
        try
        {
            if (failure is not null) throw failure;
            lock (_gate) tree.Execute(); // Held: its end is not reaped before it is known whose it is.
            Failpoint.Pass(Failpoints.KeeperStarted);
            if (Libc.EventFdWrite(_born, 1) != 0) throw Libc.Failed("eventfd_write");
            Tell(KeeperWords.Started, number, string.Create(CultureInfo.InvariantCulture, $"{tree.Pid}"));
            tree.WaitForEnd();
            Tell(KeeperWords.Ending, number, "");
            tree.EndAll();
            Tell(KeeperWords.Ended, number, tree.Exit.ToString());
        }
        catch (Exception e) when (e is IOException)
        {
            Tell(KeeperWords.Failed, number, e.Message);
        }
        finally
        {
            lock (_gate) _trees.Remove(number);
            tree.Dispose();
        }
    }

    private void Tell(string what, string number, string more)
    {
        var text = Encoding.UTF8.GetBytes($"{what} {number} {more}");
        try
        {
            Libc.SendMessage(_pod, text.AsSpan(0, Math.Min(text.Length, MostMessage)));
        }
        catch (LinuxException e) when (e.Errno is Errno.Pipe or Errno.ConnectionReset)
        {
            // The Pod is gone; the other thread sees it, too.
        }
    }

    /// <summary>Every process that ends below this one, orphans too. Wakes those who wait for theirs.</summary>
    private void ReapAll()
    {
        while (true)
        {
            var pid = Libc.PeekEnded();
            if (pid == 0)
            {
                if (Libc.EventFdRead(_born, out _) != 0) throw Libc.Failed("eventfd_read");
                continue;
            }
            lock (_gate)
            {
                var exit = Libc.Reap(pid);
                foreach (var tree in _trees.Values) tree.Reaped(pid, exit);
            }
        }
    }
}
