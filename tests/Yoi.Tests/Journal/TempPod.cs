using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Journal;

/// <summary>A temporary Pod directory and what is needed to write its journal; everything is gone afterwards.</summary>
internal sealed class TempPod : IAsyncDisposable
{
    private readonly string _root = Path.Combine(Path.GetTempPath(), "yoi-journal-" + Guid.NewGuid().ToString("n"));

    internal TempPod()
    {
        Directory = Path.Combine(_root, "pods", "worker.0001");
        System.IO.Directory.CreateDirectory(Directory);
    }

    internal string Directory { get; }

    internal string Journal => Path.Combine(Directory, PodFiles.Journal);

    internal string LockFile => Path.Combine(Directory, PodFiles.Lock);

    internal PodLock? Lock { get; private set; }

    internal JournalWriter? Writer { get; private set; }

    internal Log Folded { get; private set; } = new();

    internal JournalReader Reader => new(Journal);

    internal static CancellationToken Ct => TestContext.Current.CancellationToken;

    internal static Entry.PodCreated Created(int version = JournalCodec.Version) => new(
        version, "0001", "worker", "/home/me", new ModelChoice("scripted", "m"), ScopeRules.None, 1, null, 0, null, new PodLimits(), "none", "yoi test");

    internal JournalWriter Open(TimeProvider? time = null, Func<string, JournalFile>? file = null)
    {
        Folded = new Log();
        Lock ??= PodLock.TryTake(Directory) ?? throw new InvalidOperationException("the lock is held");
        return Writer = JournalWriter.Open(Directory, Lock, [Folded], time ?? TimeProvider.System, file ?? (path => new JournalFile(path)));
    }

    internal async Task CloseAsync()
    {
        if (Writer is not null) await Writer.DisposeAsync();
        Lock?.Dispose();
        (Writer, Lock) = (null, null);
    }

    internal async Task<IReadOnlyList<JournalRecord>> Append(params IReadOnlyList<Entry> entries) =>
        await Writer!.AppendAsync(Durability.Synced, entries);

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        System.IO.Directory.Delete(_root, recursive: true);
    }

    internal sealed class Log : IJournalFold
    {
        internal List<JournalRecord> Records { get; } = [];

        public void Apply(JournalRecord record) => Records.Add(record);
    }
}

/// <summary>A journal file that fails as told, with the bytes really in the file.</summary>
internal sealed class FaultyFile(string path) : JournalFile(path)
{
    /// <summary>Before a write: the failure and how many of its bytes reach the file.</summary>
    internal Func<(int Errno, int Bytes)?> OnWrite { get; set; } = () => null;

    internal Func<int?> OnFlush { get; set; } = () => null;

    internal Func<int?> OnTruncate { get; set; } = () => null;

    internal int Flushes { get; private set; }

    protected override void Write(ReadOnlySpan<byte> bytes)
    {
        if (OnWrite() is not { } fault)
        {
            base.Write(bytes);
            return;
        }
        base.Write(bytes[..Math.Min(fault.Bytes, bytes.Length)]);
        throw new Runtime.Linux.LinuxException("write", fault.Errno);
    }

    protected override void Flush()
    {
        Flushes++;
        if (OnFlush() is { } errno) throw new Runtime.Linux.LinuxException("fdatasync", errno);
        base.Flush();
    }

    protected override void Truncate(long length)
    {
        if (OnTruncate() is { } errno) throw new Runtime.Linux.LinuxException("ftruncate", errno);
        base.Truncate(length);
    }
}

/// <summary>For tests of anything but syncing, which is what takes the time.</summary>
internal sealed class UnsyncedFile(string path) : JournalFile(path)
{
    protected override void Flush()
    {
    }
}

/// <summary>A file of which a power loss leaves what was synced and any part of what was not.</summary>
internal sealed class ForgetfulFile : JournalFile
{
    private long _synced;
    private bool _powerless;

    internal ForgetfulFile(string path) : base(path) => _synced = Length;

    /// <summary>How much of the file is left. From now on nothing reaches the disk.</summary>
    internal long LosePower(Random random)
    {
        _powerless = true;
        return random.NextInt64(_synced, Length + 1);
    }

    protected override void Flush()
    {
        if (!_powerless) _synced = Length;
    }

    protected override void Truncate(long length)
    {
        base.Truncate(length);
        _synced = Math.Min(_synced, length);
    }
}
