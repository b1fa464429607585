namespace Yoi.Runtime.Journal;

/// <summary>
/// A Pod's life-lock: open-file-description locks on its <c>pod.lock</c>. Byte 0 is held for life; byte 1 is the right
/// to write the journal.
/// </summary>
internal sealed class PodLock : IDisposable
{
    /// <summary>Takes byte 0 and byte 1 of a Pod's own lock file, creating it; null if another process holds one.</summary>
    internal static PodLock? TryTake(string podDirectory) => throw new NotImplementedException();

    /// <summary>Takes byte 1 of a dead Pod's lock (to write its end entry); null if it lives or another does so now.</summary>
    internal static PodLock? TryTakeJournalOfDead(string podDirectory) => throw new NotImplementedException();

    /// <summary>True if a process holds byte 0. Probes with F_OFD_GETLK, which disturbs nobody. A missing file is dead.</summary>
    internal static bool IsAlive(string podDirectory) => throw new NotImplementedException();

    /// <summary>Proves that another process's probe sees our locks on this file system.</summary>
    /// <returns>Null if it does, else what is wrong.</returns>
    internal static string? SelfTest(string directory) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
