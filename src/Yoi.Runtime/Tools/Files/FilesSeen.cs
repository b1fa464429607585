using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools.Files;

/// <summary>
/// What this Pod knows of the files it has read, by resolved path: enough to tell whether a file is still what the model saw.
/// In memory: after a restart a file is read again before it is changed.
/// </summary>
internal sealed class FilesSeen
{
    /// <summary>Up to here content is compared by hash; above by inode, size and time.</summary>
    private const long MostHashed = 64L << 20;

    private readonly ConcurrentDictionary<string, string> _marks = new(StringComparer.Ordinal);

    internal void Saw(string path, string mark) => _marks[path] = mark;

    /// <summary>Throws unless the file was read before and is the same still.</summary>
    /// <exception cref="ToolFailure">Read it first.</exception>
    internal void RequireCurrent(OpenedFile file, string verb, CancellationToken ct)
    {
        var shown = PathText.Shown(file.Path);
        if (!_marks.TryGetValue(file.Path, out var mark)) throw new ToolFailure($"{shown} exists and has not been read yet. Read it first, then {verb} it.");
        if (mark != MarkOf(file, ct)) throw new ToolFailure($"{shown} was changed since it was read, by somebody else. Read it again, then {verb} it.");
    }

    internal static string MarkOf(ReadOnlySpan<byte> content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    internal static string MarkOf(OpenedFile file, CancellationToken ct)
    {
        if (file.Size > MostHashed) return file.Stamp;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[64 * 1024];
        for (long at = 0; ;)
        {
            ct.ThrowIfCancellationRequested();
            var read = RandomAccess.Read(file.Handle, buffer, at);
            if (read == 0) return "sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset());
            if ((at += read) > MostHashed) return string.Create(CultureInfo.InvariantCulture, $"grew to {at}");
            hash.AppendData(buffer, 0, read);
        }
    }
}
