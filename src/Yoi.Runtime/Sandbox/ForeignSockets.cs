using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// Which of the socket files that a look through the writable part meets lead to programs of the host: also those that the kernel does not list
/// by that name, because they were renamed, or belong to another network namespace. Commands of one Pod may reach each other, so what
/// appears while one runs is taken for its own; and a file that nobody is bound to stays a file, to be removed or used again.
/// </summary>
internal sealed class ForeignSockets
{
    private readonly Lock _gate = new();
    private HashSet<string> _known = new(StringComparer.Ordinal);

    /// <param name="met">All socket files that a look met.</param>
    /// <param name="running">True if a command of the Pod ran at any moment of that look: it may have made what was not there before.</param>
    internal IReadOnlyList<string> Among(IEnumerable<string> met, bool running)
    {
        List<string> bound = [.. met.Where(IsBound)];
        lock (_gate)
        {
            if (running) bound.RemoveAll(path => !_known.Contains(path));
            _known = bound.ToHashSet(StringComparer.Ordinal);
        }
        return bound;
    }

    /// <summary>Whether a process, in whatever namespace, holds the socket of this file. That process does not notice. True where it cannot be told.</summary>
    internal static bool IsBound(string path)
    {
        if (Libc.Sockets.IsBound(PathText.Encode(path)) is { } known) return known;
        using var directory = Door.LookAt(Door.DirectoryOf(path), out _); // Too long for an address: by way of its directory.
        return directory is null || Libc.Sockets.IsBound(PathText.Encode(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fd/{directory.DangerousGetHandle()}/{Door.NameOf(path)}"))) != false;
    }
}
