using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Spawning;

/// <summary>
/// Starts a process in a session of its own: one descriptor as stdin and stdout, a file as stderr, nothing else open,
/// every signal at its default, no signal blocked. (<c>Process.Start</c> can do none of this.)
/// </summary>
internal static class NativeSpawn
{
    /// <returns>The pid.</returns>
    /// <exception cref="LinuxException">It could not be executed.</exception>
    internal static unsafe int Start(PodProgram program, IReadOnlyList<string> environment, SafeFileHandle standard, string stderr, bool emptyStderr)
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
        var fd = (int)standard.DangerousGetHandle(); // Ours for the length of this call: the caller disposes it afterwards.
        try
        {
            Check(Libc.SpawnAttributesSetFlags(attributes, Libc.SpawnSetSession | Libc.SpawnSetSignalDefaults | Libc.SpawnSetSignalMask), "posix_spawnattr_setflags");
            Check(Libc.SpawnAttributesSetSignalDefaults(attributes, allSignals), "posix_spawnattr_setsigdefault");
            Check(Libc.SpawnAttributesSetSignalMask(attributes, noSignals), "posix_spawnattr_setsigmask");
            Check(Libc.SpawnActionsDuplicate(actions, fd, 0), "adddup2");
            Check(Libc.SpawnActionsDuplicate(actions, fd, 1), "adddup2");
            var flags = Libc.OpenWriteOnly | Libc.OpenCreate | Libc.OpenAppend | (emptyStderr ? Libc.OpenTruncate : 0);
            Check(Libc.SpawnActionsOpen(actions, 2, stderr, flags, 0x180 /* 0600 */), "addopen");
            Check(Libc.SpawnActionsChangeDirectory(actions, "/"), "addchdir");
            CloseTheRest(actions);
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

    private static unsafe void CloseTheRest(byte* actions)
    {
        try
        {
            Check(Libc.SpawnActionsCloseFrom(actions, 3), "addclosefrom");
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
