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

    internal static int HardLink(string path, string second) => LinkAt(CurrentDirectory, path, CurrentDirectory, second, 0);

    internal static ulong Inode(string path)
    {
        Span<byte> status = stackalloc byte[256];
        return Statx(CurrentDirectory, path, 0, 0x100, status) == 0 ? BitConverter.ToUInt64(status[32..]) : throw new IOException($"statx {path}");
    }

    /// <summary>All that statx and its extended attributes tell of an object, but for when it was last read. Links are not followed.</summary>
    internal static string Describe(string path)
    {
        const int doNotFollow = 0x100;
        const uint all = 0x7ff;
        Span<byte> status = stackalloc byte[256];
        if (Statx(CurrentDirectory, path, doNotFollow, all, status) != 0) throw new IOException($"statx {path}: {Marshal.GetLastPInvokeErrorMessage()}");
        var fields = (links: BitConverter.ToUInt32(status[16..]), owner: BitConverter.ToUInt64(status[20..]), mode: BitConverter.ToUInt16(status[28..]),
            inode: BitConverter.ToUInt64(status[32..]), size: BitConverter.ToInt64(status[40..]), changed: Time(status[96..]), modified: Time(status[112..]));
        return $"{fields} {string.Join(',', Attributes(path))}";

        static (long, uint) Time(ReadOnlySpan<byte> at) => (BitConverter.ToInt64(at), BitConverter.ToUInt32(at[8..]));
    }

    /// <summary>Sets an extended attribute; false where the file system has none.</summary>
    internal static bool SetAttribute(string path, string name, string value) =>
        SetAttribute(path, name, Encoding.UTF8.GetBytes(value), value.Length, 0) == 0;

    private static IEnumerable<string> Attributes(string path)
    {
        var buffer = new byte[4096];
        var length = ListAttributes(path, buffer, buffer.Length);
        var names = length <= 0 ? [] : Encoding.UTF8.GetString(buffer, 0, (int)length).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            var size = (int)GetAttribute(path, name, buffer, buffer.Length);
            yield return $"{name}={(size < 0 ? "?" : Convert.ToHexString(buffer, 0, size))}";
        }
    }

    /// <summary>Waits until a child process has stopped or ended; its raw status.</summary>
    internal static int WaitStopped(int pid) => WaitPid(pid, out var status, 2) == pid ? status : -1;

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MknodAt(int directory, byte[] path, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(int directory, byte[] path, int flags);

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt2(int fromDirectory, string from, int toDirectory, string to, uint flags);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, Span<byte> status);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkAt(int fromDirectory, string from, int toDirectory, string to, int flags);

    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetAttribute(string path, string name, byte[] value, nint size, int flags);

    [LibraryImport("libc", EntryPoint = "llistxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint ListAttributes(string path, byte[] names, nint size);

    [LibraryImport("libc", EntryPoint = "lgetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetAttribute(string path, string name, byte[] value, nint size);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitPid(int pid, out int status, int options);
}
