using Microsoft.Win32.SafeHandles;

namespace Yoi.Runtime.Scopes;

/// <summary>A path that the scope does not allow, or that is not what it must be. The message says what is allowed instead.</summary>
internal sealed class PathException(string message) : Exception(message);

/// <summary>What a name in a directory is.</summary>
internal enum NodeKind { File, Directory, Link, Other }

/// <summary>A file or directory that was opened through the door and judged by what the kernel resolved.</summary>
/// <param name="Path">The resolved, absolute path.</param>
/// <param name="Handle">Open for reading; positioned reads only.</param>
internal sealed record OpenedFile(string Path, SafeFileHandle Handle, long Size, DateTimeOffset Modified, NodeKind Kind) : IDisposable
{
    public void Dispose() => Handle.Dispose();
}

/// <summary>
/// The one door between paths that a model names and the file system. Opens relative to directory handles with
/// <c>openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)</c>, judges what was opened, never checks first and opens later.
/// </summary>
internal sealed class ScopedFiles(LiveScope scope, string cwd)
{
    /// <summary>An absolute path from what a model wrote: relative paths start at the Pod's working directory. Nothing is expanded.</summary>
    internal string Absolute(string path) => throw new NotImplementedException(cwd + scope + path);

    /// <summary>Opens a regular file for reading.</summary>
    /// <exception cref="PathException">Outside the scope, missing, or no regular file.</exception>
    internal OpenedFile OpenRead(string path) => throw new NotImplementedException(path);
}
