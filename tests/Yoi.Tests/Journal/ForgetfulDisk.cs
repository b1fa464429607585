using Microsoft.Win32.SafeHandles;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Tests.Journal;

/// <summary>
/// What a power loss would leave of a directory tree: contents as they were at their last sync, names as they were at their directory's. It
/// sits under the real code, which tells it of every sync; nothing else is taken for durable.
/// </summary>
internal sealed class ForgetfulDisk : IDisposable
{
    private readonly string _root;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Dictionary<string, (ulong Inode, bool IsDirectory)>> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<ulong, (SafeFileHandle Open, byte[] Bytes)> _contents = [];

    /// <summary>What is there now counts as durable.</summary>
    internal ForgetfulDisk(string root)
    {
        _root = root;
        foreach (var directory in Directory.GetDirectories(root, "*", SearchOption.AllDirectories).Append(root)) TakeNames(directory);
        foreach (var file in Directory.GetFiles(root, "*", SearchOption.AllDirectories)) TakeContent(file);
        PrivateFile.Durable += OnDurable;
    }

    /// <summary>Called at each sync point, when it is over.</summary>
    internal Action? AtSync { get; set; }

    internal int Syncs { get; private set; }

    /// <summary>Writes what would be left.</summary>
    /// <param name="tail">How much of what was written behind the last sync of a file is there all the same, and whether as written or as NULs.</param>
    internal void Leave(string image, Func<long, (long Bytes, bool Zeros)> tail)
    {
        lock (_gate) Leave(_root, image, tail);
    }

    private void Leave(string from, string to, Func<long, (long Bytes, bool Zeros)> tail)
    {
        Directory.CreateDirectory(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var (name, (inode, isDirectory)) in _names.GetValueOrDefault(from) ?? [])
        {
            if (isDirectory)
            {
                Leave($"{from}/{name}", $"{to}/{name}", tail);
                continue;
            }
            var bytes = _contents.TryGetValue(inode, out var content) ? content.Bytes : [];
            var now = InodeOf($"{from}/{name}") == inode ? All($"{from}/{name}") : bytes;
            var (more, zeros) = now.Length > bytes.Length ? tail(now.Length - bytes.Length) : (0, false);
            byte[] left = [.. bytes, .. zeros ? new byte[more] : now.AsSpan(bytes.Length, (int)more)];
            File.WriteAllBytes($"{to}/{name}", left);
            File.SetUnixFileMode($"{to}/{name}", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    private void OnDurable(string path)
    {
        if (!path.StartsWith(_root, StringComparison.Ordinal)) return;
        lock (_gate)
        {
            if (Directory.Exists(path)) TakeNames(path);
            else TakeContent(path);
            Syncs++;
        }
        AtSync?.Invoke();
    }

    private void TakeNames(string directory) => _names[directory] = new DirectoryInfo(directory).EnumerateFileSystemInfos()
        .Where(entry => entry.LinkTarget is null).ToDictionary(entry => entry.Name, entry => (InodeOf(entry.FullName), entry is DirectoryInfo), StringComparer.Ordinal);

    // Kept open: as long as it is, no other file gets its number. Opened as the code does: File.OpenHandle would lock it.
    private void TakeContent(string path)
    {
        var open = PrivateFile.OpenToRead(path)!;
        var inode = Libc.Identify(open).Inode;
        if (_contents.Remove(inode, out var before)) before.Open.Dispose();
        _contents[inode] = (open, All(open));
    }

    private static byte[] All(SafeFileHandle file)
    {
        var bytes = new byte[RandomAccess.GetLength(file)];
        return bytes[..RandomAccess.Read(file, bytes, 0)];
    }

    private static byte[] All(string path)
    {
        using var file = PrivateFile.OpenToRead(path)!;
        return All(file);
    }

    private static ulong InodeOf(string path) => Libc.Identify(path, out var identity) == 0 ? identity.Inode : 0;

    public void Dispose()
    {
        PrivateFile.Durable -= OnDurable;
        foreach (var (open, _) in _contents.Values) open.Dispose();
    }
}
