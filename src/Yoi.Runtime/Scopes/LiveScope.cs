using Yoi.Protocol;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// The Pod's scope while it runs: one swapped reference to a <see cref="ScopePolicy"/>, kept equal to the table, and the
/// lease that makes lending wait for file writes.
/// </summary>
internal sealed class LiveScope(YoiDirectories directories, string podId)
{
    /// <summary>The policy now. Looks at the table's identity (inode, size, time) and reads it again if it changed.</summary>
    internal ScopePolicy Current() => throw new NotImplementedException(directories.State + podId);

    /// <summary>Held by a file write from resolving to rename. Many at a time.</summary>
    internal ValueTask<IDisposable> HoldWriteAsync(CancellationToken ct) => throw new NotImplementedException();

    /// <summary>Held while the grant moves in the table; waits for all writes. One at a time.</summary>
    internal ValueTask<IDisposable> HoldLendingAsync(CancellationToken ct) => throw new NotImplementedException();
}
