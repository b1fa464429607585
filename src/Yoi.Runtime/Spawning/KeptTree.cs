using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Sandbox;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// All processes of one command: those in its Landlock domain, however they detached themselves. The thread that starts it is in the domain,
/// too, so that it can signal all of them, at once and nobody else.
/// </summary>
/// <param name="files">Arguments, environment (each word ends with NUL), filter, ruleset, its gate, the pipe that it writes to, the file with its command, and the entrances of its control groups.</param>
/// <param name="podPid">A process outside, of the same user.</param>
internal sealed class KeptTree(SafeFileHandle[] files, int podPid) : IDisposable
{
    private const int Everybody = -1, Nothing = 0, FilterFile = 2, RulesetFile = 3, GateFile = 4, WordsFile = 5, HandedFile = 6, FilesOfOrder = 7;

    private readonly SafeFileHandle _wake = MakeWake();
    private readonly TaskCompletionSource _gone = new();
    private volatile bool _over;

    /// <summary>Of its first process.</summary>
    internal int Pid { get; private set; }

    /// <summary>Of its first process.</summary>
    internal KeptExit Exit { get; private set; }

    /// <summary>Completes when all of it is gone.</summary>
    internal Task Gone => _gone.Task;

    /// <summary>The filter that it is to have.</summary>
    /// <exception cref="IOException">The order is not complete.</exception>
    internal byte[] Filter() => files.Length < FilesOfOrder ? throw new IOException("the order has not all its files") : Bytes(files[FilterFile]);

    /// <summary>Takes on its rules and starts the command as far as its gate. To be called on a thread that has its filter.</summary>
    /// <exception cref="IOException">A step failed; nothing was started.</exception>
    internal void Execute()
    {
        for (var i = HandedFile; i < files.Length; i++)
            using (files[i]) files[i] = Libc.Raised(files[i]);
        var arguments = CommandGate.Entering(Words(files[0]), CommandGate.HandedFd + 1, files.Length - FilesOfOrder);
        if (_over) throw new IOException("it was ended before it was started");
        Pid = NativeSpawn.Start(
            new PodProgram(arguments[0], arguments), Words(files[1]), [files[GateFile], files[WordsFile], files[WordsFile], .. files[HandedFile..]], Restrict);
        foreach (var file in files) file.Dispose();
    }

    internal void End()
    {
        _over = true;
        Wake();
    }

    /// <summary>Until its first process has ended, or somebody ends it.</summary>
    internal void WaitForEnd()
    {
        while (!_over) Sleep();
    }

    /// <summary>
    /// Kills all of the domain, at once: what forks while it is killed does not get a child. Returns when the last is reaped; each becomes the
    /// keeper's child before that.
    /// </summary>
    internal void EndAll()
    {
        // All of it is below this process: mostly nothing is by now, and the machine's processes need not be asked.
        if (!Libc.HasChildren()) return;
        if (Libc.Kill(Everybody, Libc.SigKill) != 0) return; // There is no other process at all. Whom it may not signal the kernel passes over.
        while (Libc.HasChildren() && Directory.EnumerateDirectories("/proc").Any(IsOfDomain)) Sleep();
    }

    /// <summary>Something below the keeper has ended.</summary>
    internal void Reaped(int pid, (int Code, int Status) exit)
    {
        if (pid == Pid)
        {
            Exit = new(exit.Code, exit.Status);
            _over = true;
        }
        Wake();
    }

    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
        _wake.Dispose();
        _gone.SetResult();
    }

    private void Restrict()
    {
        if (Libc.Kill(podPid, Nothing) != 0) throw new IOException("the Pod is gone");
        Libc.RestrictThread(files[RulesetFile]);
        // Everything hangs on it: this thread will kill whomever it can signal.
        if (Libc.Kill(podPid, Nothing) == 0 || Marshal.GetLastPInvokeError() != Errno.Perm) throw new IOException("signals are not held by the sandbox");
        Failpoint.Pass(Failpoints.KeeperRestricted);
    }

    private static bool IsOfDomain(string path) =>
        int.TryParse(path.AsSpan("/proc/".Length), CultureInfo.InvariantCulture, out var pid) && pid != Environment.ProcessId && Libc.Kill(pid, Nothing) == 0;

    private static SafeFileHandle MakeWake()
    {
        var made = new SafeFileHandle(Libc.EventFd(0, Libc.CloseOnExec), ownsHandle: true);
        return made.IsInvalid ? throw Libc.Failed("eventfd") : made;
    }

    private void Wake()
    {
        if (Libc.EventFdWrite(_wake, 1) != 0) throw Libc.Failed("eventfd_write");
    }

    private void Sleep()
    {
        if (Libc.EventFdRead(_wake, out _) != 0) throw Libc.Failed("eventfd_read");
    }

    private static byte[] Bytes(SafeFileHandle file)
    {
        var bytes = new byte[RandomAccess.GetLength(file)];
        for (var at = 0; at < bytes.Length;)
            at += RandomAccess.Read(file, bytes.AsSpan(at), at) is > 0 and var read ? read : throw new IOException("a file of the order is cut off");
        return bytes;
    }

    private static string[] Words(SafeFileHandle file) => PathText.Decode(Bytes(file)).Split('\0')[..^1];
}

/// <summary><c>si_code</c> and <c>si_status</c> of a process that has ended.</summary>
internal readonly record struct KeptExit(int Code, int Status)
{
    private const int Exited = 1;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Code} {Status}");

    internal static ProcessExit Parse(string text)
    {
        var numbers = text.Split(' ').Select(word => int.Parse(word, CultureInfo.InvariantCulture)).ToList();
        return numbers[0] == Exited ? new(numbers[1], null) : new(null, numbers[1]);
    }
}
