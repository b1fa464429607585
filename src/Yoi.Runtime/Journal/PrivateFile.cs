using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// Opens this user's own durable files: never through a link at the end of the path, never anything but a regular file,
/// closed on exec, mode 0600 in directories of 0700 whatever the umask.
/// </summary>
internal static class PrivateFile
{
    private const uint FileMode = 0x180, DirectoryMode = 0x1c0, UserRead = 0x100; // 0600, 0700, 0400

    /// <summary>Opens a file to read it. Null if it or its directory is not there.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not a regular file of this user.</exception>
    internal static SafeFileHandle? OpenToRead(string path)
    {
        var file = OpenRaw(path, OpenFlags.ReadOnly);
        if (!file.IsInvalid) return Checked(file, path, writable: false);
        var errno = Marshal.GetLastPInvokeError();
        file.Dispose();
        if (errno == Errno.Acces && GiveBack(path)) return OpenToRead(path);
        return errno is Errno.NoEnt or Errno.NotDir ? null : throw Refused(path, errno);
    }

    /// <summary>
    /// A command at level partial can take the rights from the owner of any file or directory: these are ours, and were 0600 and 0700. Else one Pod's
    /// command could keep all Pods from being seen and stopped.
    /// </summary>
    /// <returns>True if it was so, and is no more.</returns>
    internal static bool GiveBack(string path)
    {
        using var file = Libc.Open(path, OpenFlags.Path | OpenFlags.NoFollow | OpenFlags.CloseOnExec, 0);
        if (file.IsInvalid) return false;
        var status = Libc.Identify(file, path);
        var (right, mode) = status.IsDirectory ? (DirectoryMode, DirectoryMode) : (UserRead, FileMode);
        if (!(status.IsFile || status.IsDirectory) || status.Owner != Libc.Geteuid() || (status.Permissions & right) == right) return false;
        try
        {
            File.SetUnixFileMode(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{file.DangerousGetHandle()}"), (UnixFileMode)mode);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // The file system takes no writes: why it cannot be opened is said as it is.
        }
    }

    /// <summary>All that is in a file. Null if it or its directory is not there.</summary>
    /// <exception cref="IOException">It cannot be read, or is not a regular file of this user.</exception>
    internal static string? ReadText(string path)
    {
        using var file = OpenToRead(path);
        if (file is null) return null;
        using var stream = new FileStream(file, FileAccess.Read);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>Opens a file to read and write it, creating it if it is not there.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not a regular, writable file of this user.</exception>
    internal static SafeFileHandle OpenToWrite(string path, int moreFlags = 0)
    {
        var file = OpenRaw(path, OpenFlags.ReadWrite | OpenFlags.Create | moreFlags);
        if (!file.IsInvalid) return Checked(file, path, writable: true);
        var errno = Marshal.GetLastPInvokeError();
        file.Dispose();
        throw Refused(path, errno);
    }

    /// <summary>
    /// Makes a directory and those missing above it, 0700, and syncs what holds them. One that is there already must be
    /// this user's and is left as it is: its mode is not ours to change.
    /// </summary>
    /// <exception cref="IOException">It cannot be made, or is not a directory of this user.</exception>
    internal static void CreateDirectory(string path)
    {
        Failpoint.Pass(Failpoints.DirectoryMake);
        var made = Libc.Mkdir(path, DirectoryMode) == 0;
        if (!made && Marshal.GetLastPInvokeError() == Errno.NoEnt && Path.GetDirectoryName(path) is { Length: > 1 } above && !Directory.Exists(above))
        {
            CreateDirectory(above);
            made = Libc.Mkdir(path, DirectoryMode) == 0;
        }
        if (!made && Marshal.GetLastPInvokeError() is not Errno.Exist and var errno) throw new LinuxException("mkdir " + path, errno);
        using (var directory = OpenDirectory(path))
        {
            var status = Libc.Identify(directory, path);
            if (status.Owner != Libc.Geteuid()) throw new IOException($"{path} belongs to user {status.Owner}, not to you");
            if (made && status.Permissions != DirectoryMode && Libc.Fchmod(directory, DirectoryMode) != 0) throw Libc.Failed("chmod " + path);
        }
        if (!made) return;
        Failpoint.Pass(Failpoints.DirectorySync);
        SyncDirectory(Path.GetDirectoryName(path) ?? "/");
    }

    /// <summary>Told of everything that has become durable: a file's content, a directory's names. For tests, which forget all else.</summary>
    internal static Action<string>? Durable { get; set; }

    /// <summary>Makes a file's content and length durable.</summary>
    /// <exception cref="LinuxException">It failed; what was written since the last time may be lost.</exception>
    internal static void Sync(SafeFileHandle file, string path)
    {
        while (Libc.Fdatasync(file) != 0)
        {
            if (Marshal.GetLastPInvokeError() != Errno.Intr) throw Libc.Failed("fdatasync " + path);
        }
        Durable?.Invoke(path);
    }

    /// <summary>Makes the names in a directory durable.</summary>
    /// <exception cref="LinuxException">It cannot be opened or synced.</exception>
    internal static void SyncDirectory(string path)
    {
        using var directory = OpenDirectory(path);
        if (Libc.Fsync(directory) != 0) throw Libc.Failed("fsync " + path);
        Durable?.Invoke(path);
    }

    /// <summary>
    /// Puts a file in the place of an older one, or of a link that stands there: whole or not at all, 0600. One writer at a time.
    /// </summary>
    /// <param name="durable">True if it must survive a power loss when this returns.</param>
    /// <exception cref="IOException">It failed; what was there before still is.</exception>
    internal static void Replace(string path, ReadOnlySpan<byte> content, bool durable)
    {
        var aside = path + ".new"; // What a killed writer left under this name goes first.
        File.Delete(aside);
        try
        {
            using (var file = OpenToWrite(aside, OpenFlags.Exclusive))
            {
                if (durable) Failpoint.Pass(Failpoints.ReplaceWrite);
                RandomAccess.Write(file, content, 0);
                if (durable) Failpoint.Pass(Failpoints.ReplaceSync);
                if (durable) Sync(file, aside);
            }
            if (durable) Failpoint.Pass(Failpoints.ReplaceRename);
            if (Libc.Rename(aside, path) != 0) throw Libc.Failed("rename " + aside);
        }
        catch (IOException)
        {
            _ = Libc.Unlink(aside);
            throw;
        }
        if (!durable) return;
        Failpoint.Pass(Failpoints.ReplaceDirectorySync);
        SyncDirectory(Path.GetDirectoryName(path)!);
    }

    internal static SafeFileHandle OpenDirectory(string path)
    {
        var directory = Libc.Open(path, OpenFlags.ReadOnly | OpenFlags.Directory | OpenFlags.CloseOnExec, 0);
        if (!directory.IsInvalid) return directory;
        var failure = Libc.Failed("open " + path);
        directory.Dispose();
        throw failure;
    }

    // O_NONBLOCK: a FIFO in the file's place must not hold us up. Nothing to a regular file.
    private static SafeFileHandle OpenRaw(string path, int flags) =>
        Libc.Open(path, flags | OpenFlags.CloseOnExec | OpenFlags.NoFollow | OpenFlags.NonBlock, FileMode);

    private static SafeFileHandle Checked(SafeFileHandle file, string path, bool writable)
    {
        try
        {
            var status = Libc.Identify(file, path);
            if (!status.IsFile) throw new IOException($"{path} is not a regular file");
            if (status.Owner != Libc.Geteuid()) throw new IOException($"{path} belongs to user {status.Owner}, not to you");
            if (!writable) return file;
            if ((status.Permissions & FileMode) != FileMode)
            {
                throw new IOException($"{path} has mode {Convert.ToString(status.Permissions, 8)}; its owner must be able to read and write it (chmod 600)");
            }
            if (status.Permissions != FileMode && Libc.Fchmod(file, FileMode) != 0) throw Libc.Failed("chmod " + path);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static IOException Refused(string path, int errno) => errno == Errno.Loop
        ? new IOException($"{path} is a symbolic link; it must be a regular file")
        : new LinuxException("open " + path, errno);
}
