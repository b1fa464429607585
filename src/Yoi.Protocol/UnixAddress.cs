using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Yoi.Protocol;

/// <summary>
/// Connects to a Unix socket whose path may be of any length. The kernel takes 107 bytes; a longer path goes through a
/// handle on its directory, as <c>/proc/self/fd/N/name</c>.
/// </summary>
internal static partial class UnixAddress
{
    /// <summary>Longest path that fits a socket address, in bytes.</summary>
    internal const int MaxBytes = 107;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(2), LongestPause = TimeSpan.FromMilliseconds(100);

    // The same on x64 and arm64.
    private const int OPath = 0x200000, OCloseOnExec = 0x80000;

    /// <summary>Connects; while the listener's queue is full, again and again.</summary>
    /// <exception cref="IOException">Nobody listens there, or it may not be reached; the message says which.</exception>
    internal static async Task<Socket> ConnectAsync(string path, TimeProvider time, CancellationToken ct)
    {
        for (var pause = FirstPause; ; pause = pause < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                return await TryAsync(path, ct);
            }
            catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.WouldBlock })
            {
                await Task.Delay(pause, time, ct); // It works its queue off, or is stopped: the kernel has nothing to wait for that by.
            }
        }
    }

    private static async Task<Socket> TryAsync(string path, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using var directory = Encoding.UTF8.GetByteCount(path) > MaxBytes ? OpenDirectory(path) : null;
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(directory is null ? path : Through(directory, Path.GetFileName(path))), ct);
            return socket;
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            socket.Dispose();
            throw new IOException($"cannot reach a Pod at {path}: {Reason(e)}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A path of at most 107 bytes that leads to <paramref name="name"/> in an open directory.</summary>
    internal static string Through(SafeFileHandle directory, string name) => $"/proc/self/fd/{directory.DangerousGetHandle()}/{name}";

    private static string Reason(Exception e) => (e as SocketException)?.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => "nobody listens there any more; the Pod has ended",
        SocketError.AddressNotAvailable => "there is no such socket; the Pod has ended, or its runtime directory was removed",
        SocketError.AccessDenied => "it belongs to another user",
        _ => e.Message,
    };

    private static SafeFileHandle OpenDirectory(string path)
    {
        var directory = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var handle = new SafeFileHandle(Open(directory, OPath | OCloseOnExec), ownsHandle: true);
        if (!handle.IsInvalid) return handle;
        var why = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError());
        handle.Dispose();
        throw new IOException($"cannot reach a Pod at {path}: {directory}: {why}");
    }

    [LibraryImport("libc.so.6", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
