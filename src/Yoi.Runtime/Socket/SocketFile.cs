using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using NetSocket = System.Net.Sockets.Socket;
using Sys = Yoi.Runtime.Linux.Libc.Sockets;

namespace Yoi.Runtime.Socket;

/// <summary>
/// A listening socket and its name in the file system. The name is given by renaming, so nothing but this object's own
/// inode is ever removed; what is not ours is neither changed nor unlinked. Paths may be of any length.
/// </summary>
internal sealed class SocketFile : IDisposable
{
    private const int Backlog = 512, PodIdLength = 32;
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly SafeFileHandle _directory;
    private readonly string _name;
    private readonly FileStatus _identity;

    private SocketFile(NetSocket listener, string path, SafeFileHandle directory, FileStatus identity)
    {
        Listener = listener;
        FullPath = path;
        _directory = directory;
        _name = Path.GetFileName(path);
        _identity = identity;
    }

    internal NetSocket Listener { get; }

    internal string FullPath { get; }

    /// <summary>True if the path still leads to this socket.</summary>
    internal bool IsInPlace
    {
        get
        {
            using var now = Sys.OpenPath(FullPath);
            return !now.IsInvalid && Libc.TryStatAt(now, "\0"u8, out var found, out _) && found.IsSameFile(_identity);
        }
    }

    /// <summary>Listens at <paramref name="path"/>; creates its directory (0700) if it is missing, replaces a socket that nobody serves.</summary>
    /// <exception cref="IOException">The directory or what stands at the path is not ours to use; the message names owner and mode.</exception>
    internal static SocketFile Bind(string path)
    {
        var directory = OpenDirectory(Path.GetDirectoryName(path)!);
        NetSocket? listener = null;
        try
        {
            var name = Path.GetFileName(path);
            RefuseWhatIsNotStale(directory, name, path);
            var passing = $"{name[..Math.Min(PodIdLength, name.Length)]}.new.{Guid.NewGuid():n}"; // Whose it is can be seen if we are killed on the way.
            listener = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            // Disposing a .NET socket unlinks the path that it bound: bound under a passing name, it can unlink no successor.
            listener.Bind(new UnixDomainSocketEndPoint(UnixAddress.Through(directory, passing)));
            if (Sys.ChmodAt(directory, passing, 0x180 /* 0600 */, 0) != 0) throw Libc.Failed($"chmod {path}");
            if (!TryStat(directory, passing, out var identity, out _)) throw Libc.Failed($"stat {path}");
            listener.Listen(Backlog);
            Failpoint.Pass(Failpoints.SocketBound);
            if (Sys.RenameAt(directory, passing, directory, name) != 0) throw Libc.Failed($"rename to {path}");
            return new SocketFile(listener, path, directory, identity);
        }
        catch (SocketException e)
        {
            listener?.Dispose();
            directory.Dispose();
            throw new IOException($"cannot listen at {path}: {e.Message}", e);
        }
        catch
        {
            listener?.Dispose();
            directory.Dispose();
            throw;
        }
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        if (!Path.Exists(path)) CreateDirectory(path);
        var directory = Sys.OpenPath(path);
        try
        {
            if (directory.IsInvalid || !Libc.TryStatAt(directory, "\0"u8, out var found, out _))
                throw Libc.Failed($"open the runtime directory {path}");
            if (!found.IsDirectory)
                throw new IOException($"the runtime directory {path} is {Describe(found)}, no directory; remove it or set YOI_HOME");
            if (found.Owner != Libc.Geteuid() || (found.Permissions & 0x3F) != 0)
                throw new IOException(
                    $"the runtime directory {path} belongs to uid {found.Owner} with mode {Octal(found.Permissions)}; " +
                    $"it must be of uid {Libc.Geteuid()} with mode 0700. Mend it, or set YOI_HOME or XDG_RUNTIME_DIR");
            return directory;
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    private static void CreateDirectory(string path)
    {
        try
        {
            Directory.CreateDirectory(path, Private);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"cannot create the runtime directory {path}: {e.Message}", e);
        }
    }

    private static void RefuseWhatIsNotStale(SafeFileHandle directory, string name, string path)
    {
        if (!TryStat(directory, name, out var found, out var error))
        {
            if (error == Errno.NoEnt) return;
            throw Libc.Failed($"stat {path}");
        }
        var what = $"{path} is {Describe(found)} of uid {found.Owner} with mode {Octal(found.Permissions)}";
        if (!found.IsSocket) throw new IOException($"{what}; a socket was to be made there. Remove it if it is not needed");
        if (found.Owner != Libc.Geteuid()) throw new IOException($"{what}; it is not ours to replace");
        if (ListeningPid(directory, name) is { } pid) throw new IOException($"{what}; process {pid} listens there");
    }

    /// <summary>The process that listens at a socket file, 0 if it does not say; null if nobody does.</summary>
    private static int? ListeningPid(SafeFileHandle directory, string name)
    {
        using var probe = new NetSocket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Blocking = false;
            probe.Connect(new UnixDomainSocketEndPoint(UnixAddress.Through(directory, name)));
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            return null;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock)
        {
            return 0; // Its queue of connections is full: somebody listens.
        }
        return PeerCredentials.Of(probe).Pid;
    }

    private static string Describe(in FileStatus found) => found switch
    {
        { IsSocket: true } => "a socket",
        { IsLink: true } => "a symbolic link",
        { IsDirectory: true } => "a directory",
        { IsFile: true } => "a regular file",
        _ => "a special file",
    };

    private static bool TryStat(SafeFileHandle directory, string name, out FileStatus status, out int error) =>
        Libc.TryStatAt(directory, Encoding.UTF8.GetBytes(name + '\0'), out status, out error);

    private static string Octal(int mode) => Convert.ToString(mode, 8).PadLeft(4, '0');

    /// <summary>Stops listening and removes the name, if it still is this socket's.</summary>
    public void Dispose()
    {
        if (_directory.IsClosed) return;
        if (TryStat(_directory, _name, out var found, out _) && found.IsSameFile(_identity))
            _ = Sys.UnlinkAt(_directory, _name, 0);
        Listener.Dispose();
        _directory.Dispose();
    }
}

/// <summary>Who is at the other end of a Unix socket, as the kernel saw it connect or listen.</summary>
internal readonly record struct PeerCredentials(int Pid, uint Uid)
{
    internal static PeerCredentials Of(NetSocket socket)
    {
        Span<byte> credentials = stackalloc byte[12]; // struct ucred: pid, uid, gid
        socket.GetRawSocketOption(Sys.SolSocket, Sys.SoPeerCred, credentials);
        return new(MemoryMarshal.Read<int>(credentials), MemoryMarshal.Read<uint>(credentials[4..]));
    }
}
