using System.Text;
using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>A path that the scope does not allow, or that is not what it must be. The message says what is allowed instead.</summary>
internal sealed class PathException(string message) : Exception(message);

/// <summary>What a name in a directory is.</summary>
internal enum NodeKind { File, Directory, Link, Other }

/// <summary>A file that was opened through the door and judged by what the kernel resolved.</summary>
/// <param name="Path">The resolved, absolute path.</param>
/// <param name="Handle">Open for reading.</param>
/// <param name="Status">As it was opened.</param>
internal sealed record OpenedFile(string Path, SafeFileHandle Handle, FileStatus Status) : IDisposable
{
    internal long Size => Status.Size;

    internal DateTimeOffset Modified => Status.Modified;

    /// <summary>Names it without its content: changes when the file is replaced or, as far as its times tell, written.</summary>
    internal string Stamp => ScopedFiles.StampOf(Status);

    /// <summary>Reads on from where the last one ended, until the buffer is full or the file ends; by one call of the kernel where it can.</summary>
    /// <returns>Bytes read.</returns>
    /// <exception cref="LinuxException">It cannot be read.</exception>
    internal int Fill(Span<byte> buffer)
    {
        for (var length = 0; ;)
        {
            var asked = buffer.Length - length;
            var read = (int)Libc.Read(Handle, buffer[length..], asked);
            if (read < 0) throw Libc.Failed("read " + PathText.Shown(Path));
            length += read;
            if (read < asked || read == 0) return length; // A regular file gives less only at its end.
        }
    }

    public void Dispose() => Handle.Dispose();
}

/// <summary>A file was written.</summary>
/// <param name="Path">The resolved, absolute path.</param>
/// <param name="InPlace">The inode is the old one: the scope does not allow a second name beside it.</param>
internal sealed record WrittenFile(string Path, bool Created, bool InPlace);

/// <summary>
/// The one door between paths that a model names and the file system. Opens relative to directory handles with
/// <c>openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)</c>, judges what was opened, never checks first and opens later.
/// </summary>
/// <param name="mark">Where what a killed write leaves is noted; null: nowhere.</param>
internal sealed class ScopedFiles(Func<ScopePolicy> policy, Func<CancellationToken, ValueTask<IDisposable>> holdWrite, string cwd, SpareMark? mark = null) : IDisposable
{
    /// <summary>Writes of this Pod's file tools, one at a time: what a change saw is what it replaces.</summary>
    private readonly SemaphoreSlim _writing = new(1);

    internal ScopedFiles(LiveScope scope, string cwd, SpareMark? mark = null) : this(scope.Current, scope.HoldWriteAsync, cwd, mark) { }

    /// <summary>So often in a row nobody replaces a file.</summary>
    private const int MostLooks = 16;

    /// <summary>The Pod's working directory.</summary>
    internal string Cwd => cwd;

    /// <summary>An absolute path from what a model wrote: relative paths start at the Pod's working directory. Nothing is expanded.</summary>
    /// <exception cref="PathException">No path at all.</exception>
    internal string Absolute(string path)
    {
        if (path.Length == 0) throw new PathException("the path is empty");
        if (path.Contains('\0')) throw new PathException($"the path has a NUL in it: {PathText.Shown(path)}");
        var absolute = path[0] == '/' ? path : ScopePath.Join(cwd, path);
        var length = Encoding.UTF8.GetByteCount(absolute);
        return length <= ScopePath.MostBytes ? absolute : throw new PathException($"the path is too long: {length} bytes; at most {ScopePath.MostBytes}");
    }

    /// <summary>Where a path leads now, for what only compares paths; by the letter where that cannot be told. Opens and judges nothing.</summary>
    internal string Place(string path)
    {
        if (path.Length == 0) return cwd;
        try
        {
            // A file that is replaced while it is looked at has no name any more; the one in its place has.
            var place = PathWalk.Follow(policy(), Absolute(path)).Path;
            for (var tries = 0; tries < MostLooks && place.EndsWith(Door.Removed, StringComparison.Ordinal); tries++) place = PathWalk.Follow(policy(), Absolute(path)).Path;
            return place;
        }
        catch (Exception e) when (e is PathException or ScopeException or IOException)
        {
            return ScopePath.Normalize(path[0] == '/' ? path : ScopePath.Join(cwd, path));
        }
    }

    /// <summary>A path as a person or a model reads it: relative if it is below the working directory, odd characters escaped.</summary>
    internal string Shown(string path) => PathText.Shown(
        path != cwd && ScopePath.IsAtOrBelow(path, cwd) ? Door.Below(cwd, path) : path);

    /// <summary>
    /// Whether something may have this name, for who asks for names that mostly nothing has: a refusal with its words is dear. Looks only where the
    /// scope, by the letter, lets one read, and through the door; what is there may still be refused.
    /// </summary>
    internal bool MayBeThere(string path)
    {
        var now = policy();
        if (now.AccessAt(path) == Access.None) return false;
        using var found = Open(now, path, out var error);
        return found is not null || error is not (Errno.NoEnt or Errno.NotDir);
    }

    /// <summary>Opens a regular file for reading.</summary>
    /// <exception cref="PathException">Outside the scope, missing, or no regular file.</exception>
    internal OpenedFile OpenRead(string path)
    {
        var absolute = Absolute(path);
        var now = policy();
        using var found = Find(now, absolute, Access.Read);
        return Read(found.Handle, found.Path, absolute);
    }

    /// <summary>Opens a directory for listing. One that may not be read itself, but has readable parts below, shows those.</summary>
    /// <exception cref="PathException">Outside the scope, missing, or no directory.</exception>
    internal OpenedDirectory OpenDirectory(string path)
    {
        var absolute = Absolute(path);
        var now = policy();
        using var found = Find(now, absolute, Access.Read);
        if (!Door.StatusOf(found.Handle).IsDirectory) throw Door.Failed("cannot list", absolute, Errno.NotDir);
        return new OpenedDirectory(now, found.Path, Door.Reopen(found.Handle, absolute));
    }

    /// <summary>What is there, without opening it for anything.</summary>
    /// <exception cref="PathException">Outside the scope or missing.</exception>
    internal NodeKind KindOf(string path)
    {
        using var found = Find(policy(), Absolute(path), Access.Read);
        return Door.KindOf(Door.StatusOf(found.Handle));
    }

    /// <summary>The first bytes of a file, all if it has no more.</summary>
    internal static byte[] ReadAll(OpenedFile file, int maxBytes)
    {
        var bytes = new byte[(int)Math.Min(file.Size, maxBytes)];
        var length = 0;
        while (length < bytes.Length)
        {
            var read = RandomAccess.Read(file.Handle, bytes.AsSpan(length), length);
            if (read == 0) break;
            length += read;
        }
        return length == bytes.Length ? bytes : bytes[..length];
    }

    /// <summary>
    /// Makes or replaces a file. <paramref name="change"/> gets the present content (null if there is none) and gives the new one; what it
    /// throws leaves everything as it was. Missing directories are made. Durable when it returns. Waits while something is being lent.
    /// </summary>
    /// <exception cref="PathException">The scope does not allow it, or the file system refused.</exception>
    internal async Task<WrittenFile> WriteAsync(string path, Func<OpenedFile?, ReadOnlyMemory<byte>> change, CancellationToken ct)
    {
        var absolute = Absolute(path);
        await _writing.WaitAsync(ct);
        try
        {
            using var lease = await holdWrite(ct);
            return FileReplacement.Run(policy(), absolute, change, mark, ct);
        }
        finally
        {
            _writing.Release();
        }
    }

    public void Dispose() => _writing.Dispose();

    /// <summary>A regular file behind a handle that was judged.</summary>
    internal static OpenedFile Read(SafeFileHandle handle, string path, string asked)
    {
        var status = Door.StatusOf(handle);
        if (!status.IsFile) throw NoFile(status, asked);
        return new(path, Door.Reopen(handle, asked), status);
    }

    internal static string StampOf(in FileStatus status) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{status.Device}:{status.Inode}:{status.Size}:{status.ModifiedSeconds}.{status.ModifiedNanoseconds}");

    internal static PathException NoFile(in FileStatus status, string asked) => new($"{PathText.Shown(asked)} is {status.Type switch
    {
        0x4000 => "a directory; Glob lists what is in it",
        0x1000 => "a named pipe (FIFO), not a regular file",
        0xc000 => "a socket, not a regular file",
        0x2000 => "a character device, not a regular file",
        0x6000 => "a block device, not a regular file",
        _ => "not a regular file",
    }}");

    /// <summary>The object that a spelled path leads to, judged.</summary>
    internal static Found Find(ScopePolicy policy, string absolute, Access wanted)
    {
        for (var tries = 0; tries < Door.MostTries; tries++)
        {
            var place = PathWalk.Follow(policy, absolute);
            if (!(place.Exists && wanted == Access.Read && Refusal.MayPass(policy, place.Path))) Refusal.Require(policy, place.Path, wanted, absolute);
            if (!place.Exists) throw Door.Failed("cannot open", absolute, place.Error);
            if (Open(policy, place.Path, out var error) is { } handle)
            {
                var path = Door.PathOf(handle);
                if (path == place.Path)
                {
                    if (Door.IsProcess(handle)) throw Closing(handle, Refusal.Process(policy, absolute));
                    if (policy.AccessAt(path) < wanted && !Door.StatusOf(handle).IsDirectory) throw Closing(handle, Refusal.Of(policy, path, wanted, absolute));
                    return new(handle, path);
                }
                handle.Dispose();
            }
            else if (error is not (Errno.NoEnt or Errno.NotDir or Errno.Loop or Errno.XDev)) throw Door.Failed("cannot open", absolute, error);
        }
        throw new PathException($"{PathText.Shown(absolute)} was moved again and again while it was being opened");
    }

    /// <summary>Opens a resolved path beneath the longest root that contains it; a root itself, and what only leads to roots, from above.</summary>
    internal static SafeFileHandle? Open(ScopePolicy policy, string path, out int error)
    {
        var root = policy.Allow.Select(rule => rule.Target).Where(target => ScopePath.IsAtOrBelow(path, target)).MaxBy(target => target.Length);
        var top = root is null ? "/" : root == path ? Door.DirectoryOf(root) : root;
        using var directory = Door.LookAt(top, out error);
        return directory is null ? null : Door.LookBeneath(directory, Door.Below(top, path), out error);
    }

    private static PathException Closing(SafeFileHandle handle, PathException refusal)
    {
        handle.Dispose();
        return refusal;
    }

    internal readonly record struct Found(SafeFileHandle Handle, string Path) : IDisposable
    {
        public void Dispose() => Handle.Dispose();
    }
}
