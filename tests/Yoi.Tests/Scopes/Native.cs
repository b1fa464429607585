using System.Runtime.InteropServices;
using System.Text;

namespace Yoi.Tests.Scopes;

/// <summary>Calls that only tests make: to set scenes and to attack.</summary>
internal static partial class Native
{
    private const int CurrentDirectory = -100;

    internal static int MakeNode(string path, uint mode) => MakeNode(Encoding.UTF8.GetBytes(path + "\0"), mode);

    internal static int MakeNode(byte[] path, uint mode) => MknodAt(CurrentDirectory, path, mode, 0);

    /// <summary>For names that .NET cannot spell.</summary>
    internal static int Remove(byte[] path) => UnlinkAt(CurrentDirectory, path, 0);

    /// <summary>Two names change places at once.</summary>
    internal static int Exchange(string a, string b) => RenameAt2(CurrentDirectory, a, CurrentDirectory, b, 2);

    /// <summary>Waits until a child process has stopped or ended; its raw status.</summary>
    internal static int WaitStopped(int pid) => WaitPid(pid, out var status, 2) == pid ? status : -1;

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MknodAt(int directory, byte[] path, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(int directory, byte[] path, int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt2(int fromDirectory, string from, int toDirectory, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitPid(int pid, out int status, int options);
}
