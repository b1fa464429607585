using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Shared.Invariants;

namespace Yoi.EndToEnd.Torture;

/// <summary>Reads the scope table without a lock each time it is replaced, and keeps every version that it saw.</summary>
internal sealed class TableWatch : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TableFile _file;
    private readonly FileSystemWatcher _watcher;
    private readonly List<TableDocument> _seen = [];
    private readonly List<Violation> _unreadable = [];

    internal TableWatch(YoiDirectories directories)
    {
        _file = new TableFile(directories);
        _watcher = new FileSystemWatcher(directories.State, Path.GetFileName(directories.ScopeTable)) { NotifyFilter = NotifyFilters.FileName };
        _watcher.Renamed += (_, _) => Look();
        _watcher.EnableRaisingEvents = true;
    }

    internal IReadOnlyList<TableDocument> Seen
    {
        get { lock (_gate) return [.. _seen]; }
    }

    /// <summary>Versions that could not be read: a reader sees one whole document, always.</summary>
    internal IReadOnlyList<Violation> Unreadable
    {
        get { lock (_gate) return [.. _unreadable]; }
    }

    private void Look()
    {
        lock (_gate)
        {
            try
            {
                if (_file.Read() is { } table && !ReferenceEquals(table, _seen.LastOrDefault())) _seen.Add(table);
            }
            catch (ScopeException e)
            {
                _unreadable.Add(new("one writer", e.Message));
            }
        }
    }

    public void Dispose()
    {
        _watcher.Dispose();
        lock (_gate) _file.Dispose();
    }
}
