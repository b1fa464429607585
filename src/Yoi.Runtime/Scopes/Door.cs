using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The door's hinges: opening a name beneath a handle, and asking the kernel what a handle is. Everything starts at one handle on
/// <c>/</c>. Nothing here judges; nothing here opens by a path that was checked before.
/// </summary>
internal static class Door
{
    /// <summary>As many as the kernel itself follows.</summary>
    internal const int MostLinks = 40;

    /// <summary>For what the kernel or somebody else moved while it was being opened.</summary>
    internal const int MostTries = 16;

    private const long ProcessFiles = 0x9fa0, SystemFiles = 0x62656572;
    private const int ForHandle = OpenFlags.Path | OpenFlags.CloseOnExec;
    private const ulong Straight = OpenHow.Beneath | OpenHow.NoMagicLinks | OpenHow.NoLinks;

    internal static SafeFileHandle Slash { get; } = Libc.OpenSlash();

    /// <summary>A handle that is good for asking and for opening beneath it; never follows a link.</summary>
    internal static SafeFileHandle? Look(SafeFileHandle directory, string name, out int error) =>
        Libc.TryOpenAt(directory, PathText.Encode(name), ForHandle | OpenFlags.NoFollow, 0, out error);

    /// <summary>The object itself, without a link anywhere on the way and nowhere but beneath.</summary>
    internal static SafeFileHandle? LookBeneath(SafeFileHandle directory, string path, out int error) => OpenBeneath(directory, path, ForHandle, out error);

    internal static SafeFileHandle? OpenBeneath(SafeFileHandle directory, string path, int flags, out int error)
    {
        var bytes = PathText.Encode(path);
        var how = new OpenHow(flags | OpenFlags.CloseOnExec | ((flags & OpenFlags.Path) != 0 ? 0 : OpenFlags.LargeFile), 0, Straight);
        for (var tries = 0; ; tries++)
        {
            var handle = Libc.TryOpenBeneath(directory, bytes, how, out error);
            if (handle is not null) return handle;
            if (error == Errno.NoSys) throw new PathException("this kernel has no openat2 (Linux 5.6 or later has); files are not opened in any weaker way");
            if (error is not (Errno.Again or Errno.Intr) || tries == MostTries) return null;
        }
    }

    /// <summary>The directory at an absolute path that has no links in it.</summary>
    internal static SafeFileHandle? LookAt(string path, out int error) => LookBeneath(Slash, Below("/", path), out error);

    /// <summary>The same object, open for reading. The caller has made sure that it is a file or a directory: others may block or act.</summary>
    internal static SafeFileHandle Reopen(SafeFileHandle handle, string shown)
    {
        const int flags = OpenFlags.ReadOnly | OpenFlags.NonBlock | OpenFlags.NoTerminal | OpenFlags.CloseOnExec;
        return Libc.TryOpenAt(Slash, PathText.Encode(Link(handle)), flags, 0, out var error) ?? throw Failed("cannot read", shown, error);
    }

    /// <summary>What the kernel puts behind the path of a file that has no name any more.</summary>
    internal const string Removed = " (deleted)";

    /// <summary>The path as the kernel has it now. Of a removed file it ends with " (deleted)", which is no path that anybody asked for.</summary>
    internal static string PathOf(SafeFileHandle handle)
    {
        Span<byte> target = stackalloc byte[4096];
        var length = Libc.ReadLinkAt(Slash, PathText.Encode(Link(handle)), target, target.Length);
        if (length < 0) throw Libc.Failed("readlink /" + Link(handle));
        return PathText.Decode(target[..(int)length]);
    }

    /// <summary>Where a link points; the handle is on the link itself.</summary>
    internal static string TargetOf(SafeFileHandle link)
    {
        Span<byte> target = stackalloc byte[4096];
        var length = Libc.ReadLinkAt(link, "\0"u8, target, target.Length);
        return length < 0 ? throw Libc.Failed("readlink") : PathText.Decode(target[..(int)length]);
    }

    internal static FileStatus StatusOf(SafeFileHandle handle) =>
        Libc.TryStatAt(handle, "\0"u8, out var status, out _) ? status : throw Libc.Failed("statx");

    internal static FileStatus? StatusOf(SafeFileHandle directory, string name) =>
        Libc.TryStatAt(directory, PathText.Encode(name), out var status, out _) ? status : null;

    /// <summary>The names in a directory that is open for reading, as they are now.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    internal static List<string> NamesIn(SafeFileHandle directory) => [.. EntriesOf(directory).Select(entry => entry.Name)];

    /// <summary>The same with the kind that the directory tells: 4 a directory, 8 a file, 10 a link, 12 a socket, 0 unknown.</summary>
    internal static List<(string Name, byte Kind)> EntriesOf(SafeFileHandle directory)
    {
        const int head = 19;
        var entries = new List<(string, byte)>();
        var buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            while (true)
            {
                var length = (int)Libc.ReadEntries(directory, buffer, buffer.Length);
                if (length < 0) throw Libc.Failed("getdents");
                if (length == 0) return entries;
                for (var rest = buffer.AsSpan(0, length); rest.Length > 0; rest = rest[BinaryPrimitives.ReadUInt16LittleEndian(rest[16..])..])
                {
                    var name = rest[head..];
                    name = name[..name.IndexOf((byte)0)];
                    if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8)) entries.Add((PathText.Decode(name), rest[18]));
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>True for /proc: what is there are processes, not files, and its links lead around every rule.</summary>
    internal static bool IsProcess(SafeFileHandle handle) => Libc.FileSystemOf(handle) == ProcessFiles;

    /// <summary>True for what a walk does not enter by itself.</summary>
    internal static bool IsNoTree(SafeFileHandle handle) => Libc.FileSystemOf(handle) is ProcessFiles or SystemFiles;

    internal static NodeKind KindOf(in FileStatus status) =>
        status.IsFile ? NodeKind.File : status.IsDirectory ? NodeKind.Directory : status.IsLink ? NodeKind.Link : NodeKind.Other;

    /// <summary>The path of <paramref name="path"/> from a directory at or above it.</summary>
    internal static string Below(string directory, string path) =>
        path.Length == directory.Length ? "." : path[(directory.Length == 1 ? 1 : directory.Length + 1)..];

    internal static string DirectoryOf(string path) => path.LastIndexOf('/') is > 0 and var slash ? path[..slash] : "/";

    internal static string NameOf(string path) => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>A refusal of the kernel, in words.</summary>
    internal static PathException Failed(string what, string path, int error) => new($"{what} {PathText.Shown(path)}: " + error switch
    {
        Errno.NoEnt => "no such file or directory",
        Errno.NotDir => "a part of the path is a file, not a directory",
        Errno.IsDir => "it is a directory",
        Errno.Loop => $"too many symbolic links (more than {MostLinks}, or a loop)",
        Errno.NameTooLong => "the name is too long",
        Errno.Acces or Errno.Perm => "the file's permissions do not allow it",
        Errno.Rofs => "the file system is read-only",
        Errno.NoSpc or Errno.DQuot => "no space is left; nothing was changed",
        _ => Marshal.GetPInvokeErrorMessage(error) + string.Create(CultureInfo.InvariantCulture, $" (errno {error})"),
    });

    private static string Link(SafeFileHandle handle) => string.Create(CultureInfo.InvariantCulture, $"proc/self/fd/{handle.DangerousGetHandle()}");
}
