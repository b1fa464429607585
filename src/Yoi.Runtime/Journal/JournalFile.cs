using Microsoft.Win32.SafeHandles;
using Yoi.Protocol;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Journal;

/// <summary>
/// The three things that are done to a journal's file: append, sync, cut. Its length is always that of whole appends:
/// what a failed append left behind is cut before the next. Open for tests, which make it fail and forget.
/// </summary>
internal class JournalFile : IDisposable
{
    private readonly string _path;
    private bool _torn;

    internal JournalFile(string path)
    {
        _path = path;
        Handle = PrivateFile.OpenToWrite(path, OpenFlags.Append);
        Length = RandomAccess.GetLength(Handle);
        IsNew = Length == 0;
    }

    internal SafeFileHandle Handle { get; }

    internal bool IsNew { get; }

    /// <summary>Bytes that count.</summary>
    internal long Length { get; private set; }

    /// <summary>Appends with one write. After a failure nothing of it counts.</summary>
    /// <exception cref="IOException">The write, or the cut after an earlier failure, failed.</exception>
    internal void Append(ReadOnlySpan<byte> bytes)
    {
        if (_torn) CutTo(Length);
        _torn = true;
        Failpoint.Pass(Failpoints.JournalAppend);
        Write(bytes);
        _torn = false;
        Length += bytes.Length;
        Failpoint.Pass(Failpoints.JournalAppended);
    }

    /// <summary>Makes all that was appended survive a power loss.</summary>
    /// <exception cref="IOException">It failed; what was appended since the last sync may be lost.</exception>
    internal void Sync()
    {
        Failpoint.Pass(Failpoints.JournalSync);
        Flush();
    }

    /// <summary>
    /// Writes again, in its place, what was appended from an offset on: after a sync that failed the kernel takes it for written, whatever
    /// became of it.
    /// </summary>
    /// <exception cref="IOException">It is no longer what was appended, or it cannot be written now.</exception>
    internal void WriteAgain(long from)
    {
        var bytes = new byte[Length - from];
        if (RandomAccess.Read(Handle, bytes, from) != bytes.Length) throw new IOException($"{_path} is shorter than what was appended to it");
        for (var rest = bytes.AsSpan(); rest.Length > 0; rest = rest[(rest.IndexOf((byte)'\n') + 1)..])
        {
            var line = rest[..Math.Max(0, rest.IndexOf((byte)'\n'))];
            if (!JournalCodec.ChecksumHolds(line)) throw new IOException($"{_path} no longer holds what was appended to it");
        }
        using var place = PrivateFile.OpenToWrite(_path); // The journal's own handle only appends.
        Failpoint.Pass(Failpoints.JournalAgain);
        RandomAccess.Write(place, bytes, from);
    }

    /// <summary>Cuts the file. If that fails it is tried again before the next append.</summary>
    /// <exception cref="IOException">The file could not be cut now.</exception>
    internal void CutTo(long length)
    {
        Length = length;
        _torn = true;
        Failpoint.Pass(Failpoints.JournalCut);
        Truncate(length);
        _torn = false;
    }

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => Handle.Dispose();

    protected virtual void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var written = Libc.Write(Handle, bytes, bytes.Length);
            if (written > 0) bytes = bytes[(int)written..]; // A short write is a full disk's first word; the next call says which error.
            else if (Retry()) continue;
            else throw Libc.Failed("write " + _path);
        }
    }

    protected virtual void Flush() => PrivateFile.Sync(Handle, _path);

    protected virtual void Truncate(long length)
    {
        while (Libc.Ftruncate(Handle, length) != 0)
        {
            if (!Retry()) throw Libc.Failed("ftruncate " + _path);
        }
    }

    private static bool Retry() => System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == Errno.Intr;
}
