using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// <c>scopes.json</c> as a file: read without a lock, always one whole document, and parsed again only if the file is another one.
/// Keeps the file that it read last open: as long as it is, no other file gets its inode number.
/// </summary>
internal sealed class TableFile(YoiDirectories directories) : IDisposable
{
    private const long LargestFile = 64 << 20;

    private const string ByHand = "`yoi scopes repair` makes it anew from the journals of all Pods";

    private static readonly TableJson Lenient = new(new JsonSerializerOptions(TableJson.Default.Options) { UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Skip });

    private Kept? _kept;

    private sealed record Kept(SafeFileHandle File, FileStatus Identity, TableDocument Document, TableText? Text);

    /// <summary>The document now; null if there is no file. The same object as long as the file is the same.</summary>
    /// <exception cref="ScopeException">Unreadable or impossible content; names the repair command.</exception>
    internal TableDocument? Read()
    {
        var errno = Libc.Identify(directories.ScopeTable, out var now);
        if (errno is Errno.NoEnt or Errno.NotDir) return null;
        if (errno != 0) throw Untrusted(Marshal.GetPInvokeErrorMessage(errno));
        if (Volatile.Read(ref _kept) is { } kept && kept.Identity.IsUnchanged(now)) return kept.Document;
        SafeFileHandle? file = null;
        try
        {
            file = PrivateFile.OpenToRead(directories.ScopeTable);
            if (file is null) return null;
            var identity = Libc.Identify(file);
            if ((identity.Permissions & 0x12) != 0) throw Untrusted("others may write it");
            var document = Parse(Content(file, identity.Size));
            Keep(new(file, identity, document, null));
            file = null;
            return document;
        }
        catch (IOException e)
        {
            throw Untrusted(e.Message, e);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <summary>The document; null if there is none that can be used.</summary>
    /// <exception cref="ScopeException">It is of a newer version, which is not ours to replace.</exception>
    internal TableDocument? ReadIfGood()
    {
        try
        {
            return Read();
        }
        catch (ScopeException e) when (e.IsNewer is false)
        {
            return null;
        }
    }

    /// <summary>Keeps what cannot be used beside the table, for who wants to look at it. The caller holds the lock.</summary>
    internal void PutAside()
    {
        Failpoint.Pass(Failpoints.TableAside);
        if (Libc.Rename(directories.ScopeTable, directories.ScopeTable + ".damaged") != 0 && Marshal.GetLastPInvokeError() is not Errno.NoEnt)
            throw Libc.Failed("rename " + directories.ScopeTable);
    }

    /// <summary>Write aside, fsync, rename, fsync of the directory. The caller holds the lock.</summary>
    /// <exception cref="ScopeException">It failed; says whether the old table still stands.</exception>
    internal void Replace(TableDocument document)
    {
        var temporary = directories.ScopeTable + ".tmp"; // One name: only the lock's holder writes it, and what a killed one left is removed here.
        var renamed = false;
        SafeFileHandle? file = null;
        try
        {
            File.Delete(temporary);
            file = PrivateFile.OpenToWrite(temporary, OpenFlags.Exclusive);
            Failpoint.Pass(Failpoints.TableWrite);
            var text = TableText.Of(document, Volatile.Read(ref _kept)?.Text);
            RandomAccess.Write(file, text.Bytes.Span, 0);
            Failpoint.Pass(Failpoints.TableSync);
            PrivateFile.Sync(file, temporary);
            Failpoint.Pass(Failpoints.TableRename);
            if (Libc.Rename(temporary, directories.ScopeTable) != 0) throw Libc.Failed("rename " + temporary);
            renamed = true;
            Failpoint.Pass(Failpoints.TableDirectorySync);
            PrivateFile.SyncDirectory(directories.State);
            Keep(new(file, Libc.Identify(file), document, text));
            file = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ScopeException($"the scope table could not be written: {e.Message}. "
                + (renamed ? "The change is in it and may be lost with the power: do not use it." : "Nothing was changed."), cause: e);
        }
        finally
        {
            file?.Dispose();
            if (!renamed) File.Delete(temporary);
        }
    }

    /// <summary>The refusal for a table that is not to be believed.</summary>
    internal ScopeException Untrusted(string why, Exception? cause = null) => new(
        $"the scope table {directories.ScopeTable} cannot be used: {why}. It is not taken for an empty one; nothing was changed. "
        + ByHand, cause: cause);

    public void Dispose() => Interlocked.Exchange(ref _kept, null)?.File.Dispose();

    /// <summary>Bytes to document, and nothing that a table cannot be.</summary>
    internal TableDocument Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) throw Untrusted("it is empty");
        try
        {
            var document = JsonSerializer.Deserialize(bytes, TableText.Json.TableDocument) ?? throw Untrusted("it is `null`");
            if (document.Version > TableDocument.CurrentVersion) throw Newer($"has version {document.Version}");
            return document.Problem() is { } problem ? throw Untrusted(problem) : document;
        }
        catch (JsonException e)
        {
            if (VersionOf(bytes) is { } version and > TableDocument.CurrentVersion) throw Newer($"has version {version}");
            if (SaysMore(bytes)) throw Newer($"says more of somebody's rules or limits than is known here ({e.Message})");
            throw Untrusted("it is damaged" + (e.LineNumber is { } line ? $" at line {line + 1}, byte {e.BytePositionInLine + 1}" : ""), e);
        }
    }

    private ScopeException Newer(string what) => new(
        $"the scope table {directories.ScopeTable} {what}; this yoi reads up to version {TableDocument.CurrentVersion} and leaves it as it is. "
        + "Use the newer yoi that wrote it; `yoi scopes repair` of this one leaves it alone, too.")
    { IsNewer = true };

    /// <summary>True if it is a table but for members where none may be passed over: what they take away, this program would give.</summary>
    private static bool SaysMore(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return JsonSerializer.Deserialize(bytes, Lenient.TableDocument)?.Problem() is null;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static int? VersionOf(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return JsonSerializer.Deserialize(bytes, TableText.Json.TableVersion)?.Version;
        }
        catch (JsonException)
        {
            return null; // No document at all: the first exception says so.
        }
    }

    private byte[] Content(SafeFileHandle file, long size)
    {
        if (size > LargestFile) throw Untrusted($"it has {size} bytes, and no table is that large");
        var bytes = new byte[size];
        for (var at = 0; at < bytes.Length;)
        {
            var read = RandomAccess.Read(file, bytes.AsSpan(at), at);
            if (read == 0) throw Untrusted("it became shorter while it was read");
            at += read;
        }
        return bytes;
    }

    private void Keep(Kept kept) => Interlocked.Exchange(ref _kept, kept)?.File.Dispose();
}
