using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Starts a process in a session of its own: for a Pod one descriptor as stdin and stdout and a file as stderr, nothing else open,
/// every signal at its default, no signal blocked. (<c>Process.Start</c> can do none of this.)
/// </summary>
internal static class NativeSpawn
{
    /// <returns>The pid.</returns>
    /// <exception cref="LinuxException">It could not be executed.</exception>
    internal static int Start(PodProgram program, IReadOnlyList<string> environment, SafeFileHandle standard, string stderr, bool emptyStderr) =>
        Start(program, environment, [standard, standard], (stderr, emptyStderr));

    /// <summary>The same with descriptors of the caller's choice: the first becomes 0, the second 1, and so on.</summary>
    /// <param name="given">Each above the number it becomes: moving one must not overwrite the next.</param>
    /// <param name="last">Called when all is prepared, on this thread: what the thread takes on there the process has from its first moment.</param>
    internal static int Start(PodProgram program, IReadOnlyList<string> environment, IReadOnlyList<SafeFileHandle> given, Action? last = null) =>
        Start(program, environment, given, null, last);

    private static unsafe int Start(
        PodProgram program, IReadOnlyList<string> environment, IReadOnlyList<SafeFileHandle> given, (string Path, bool Empty)? stderr, Action? last = null)
    {
        var attributes = stackalloc byte[Libc.SpawnAttributesSize];
        var actions = stackalloc byte[Libc.SpawnActionsSize];
        var allSignals = stackalloc byte[Libc.SignalSetSize];
        var noSignals = stackalloc byte[Libc.SignalSetSize];
        new Span<byte>(allSignals, Libc.SignalSetSize).Clear();
        new Span<byte>(allSignals, 8).Fill(0xFF);
        new Span<byte>(noSignals, Libc.SignalSetSize).Clear();
        Check(Libc.SpawnAttributesInit(attributes), "posix_spawnattr_init");
        Check(Libc.SpawnActionsInit(actions), "posix_spawn_file_actions_init");
        var arguments = new NativeStrings(program.Arguments);
        var variables = new NativeStrings(environment);
        try
        {
            Check(Libc.SpawnAttributesSetFlags(attributes, Libc.SpawnSetSession | Libc.SpawnSetSignalDefaults | Libc.SpawnSetSignalMask), "posix_spawnattr_setflags");
            Check(Libc.SpawnAttributesSetSignalDefaults(attributes, allSignals), "posix_spawnattr_setsigdefault");
            Check(Libc.SpawnAttributesSetSignalMask(attributes, noSignals), "posix_spawnattr_setsigmask");
            // Ours for the length of this call: the caller disposes them afterwards.
            for (var i = 0; i < given.Count; i++) Check(Libc.SpawnActionsDuplicate(actions, (int)given[i].DangerousGetHandle(), i), "adddup2");
            if (stderr is { } file)
            {
                var flags = Libc.OpenWriteOnly | Libc.OpenCreate | Libc.OpenAppend | (file.Empty ? Libc.OpenTruncate : 0);
                Check(Libc.SpawnActionsOpen(actions, 2, file.Path, flags, 0x180 /* 0600 */), "addopen");
            }
            Check(Libc.SpawnActionsChangeDirectory(actions, "/"), "addchdir");
            CloseTheRest(actions, Math.Max(3, given.Count));
            last?.Invoke();
            var errno = Libc.PosixSpawn(out var pid, program.Path, actions, attributes, arguments.Array, variables.Array);
            return errno == 0 ? pid : throw new LinuxException("exec " + program.Path, errno);
        }
        finally
        {
            arguments.Free();
            variables.Free();
            _ = Libc.SpawnActionsDestroy(actions);
            _ = Libc.SpawnAttributesDestroy(attributes);
        }
    }

    private static unsafe void CloseTheRest(byte* actions, int first)
    {
        try
        {
            Check(Libc.SpawnActionsCloseFrom(actions, first), "addclosefrom");
        }
        catch (EntryPointNotFoundException)
        {
            // glibc before 2.34: close-on-exec, which every descriptor of ours carries, does the same.
        }
    }

    private static void Check(int errno, string what)
    {
        if (errno != 0) throw new LinuxException(what, errno);
    }

    /// <summary>A null-terminated array of C strings. Freed by hand: it must outlive no call.</summary>
    private readonly unsafe struct NativeStrings
    {
        private readonly int _count;

        internal NativeStrings(IReadOnlyList<string> strings)
        {
            _count = strings.Count;
            Array = (byte**)NativeMemory.AllocZeroed((nuint)(_count + 1), (nuint)sizeof(byte*));
            for (var i = 0; i < _count; i++)
            {
                var bytes = Encoding.UTF8.GetBytes(strings[i]);
                Array[i] = (byte*)NativeMemory.AllocZeroed((nuint)bytes.Length + 1);
                bytes.CopyTo(new Span<byte>(Array[i], bytes.Length));
            }
        }

        internal byte** Array { get; }

        internal void Free()
        {
            for (var i = 0; i < _count; i++) NativeMemory.Free(Array[i]);
            NativeMemory.Free(Array);
        }
    }
}
