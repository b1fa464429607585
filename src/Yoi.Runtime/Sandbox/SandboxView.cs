using System.Globalization;
using System.Runtime.CompilerServices;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>How a path is seen inside.</summary>
internal enum Sight
{
    /// <summary>Nothing of it: in the place of a directory an empty one, of a file an empty one, both unreadable.</summary>
    Masked,
    /// <summary>A directory of which only the places that follow are seen: what a rule that is not recursive shows.</summary>
    Frame,
    ReadOnly,
    Writable,
}

/// <summary>One place of the view. Laid over those before it.</summary>
/// <param name="IsFile">What is there on the host.</param>
/// <param name="Opaque">For a mask: nothing below it is seen either.</param>
internal sealed record Place(string Path, Sight Sight, FileStatus OnHost, bool IsFile = false, bool Opaque = true);

/// <summary>A lent path that is not there, and the directory in which commands make and remove no names until it is.</summary>
internal sealed record Awaited(string Path, string Child, string Directory)
{
    public override string ToString() => $"{Path} is lent to {Child} and not there yet: until it is, commands make and remove no names in {Directory}";
}

/// <summary>
/// A policy as a list of places, computed from the file system as it is now; never wider than the file tools. Only a mount point cannot be
/// renamed, so every directory between a writable place and a narrower one in it is a place of its own.
/// </summary>
/// <param name="Places">Outermost first.</param>
/// <param name="NotYet">Where commands can do less because something that is lent is not there.</param>
/// <param name="Absent">Denied paths that are not there, or are reached through a link: they cannot be masked, so they are watched.</param>
internal sealed record SandboxView(IReadOnlyList<Place> Places, IReadOnlyList<string> Absent, IReadOnlyList<Awaited> NotYet)
{
    /// <summary>More mounts than this are not made: each costs time in every command.</summary>
    internal const int MostPlaces = 256;

    /// <summary>What a policy says of its targets. A policy never changes, so this never has to be computed again for one.</summary>
    private static readonly ConditionalWeakTable<ScopePolicy, IReadOnlyList<Target>> Wanted = [];

    /// <summary>Computes it.</summary>
    /// <param name="sockets">Where socket files of the host may be, links resolved: masked where one is and would be seen.</param>
    /// <exception cref="SandboxException">The policy cannot be held so; says why and what to do.</exception>
    internal static SandboxView Of(SandboxPolicy policy, IEnumerable<string> sockets)
    {
        var made = new Making(policy.Access);
        foreach (var target in Wanted.GetValue(policy.Access, WantedOf)) made.Take(target);
        List<Awaited> notYet = [];
        foreach (var (path, child) in policy.LentForWriting)
            if (Libc.Identify(path, out _) != 0 && made.Guard(path) is { } directory) notYet.Add(new(path, child, directory));
        foreach (var socket in sockets) made.Mask(socket);
        return made.Places.Count <= MostPlaces ? new(made.Places, made.Absent, notYet) : throw new SandboxException(
            $"the scope needs {made.Places.Count} mounts and at most {MostPlaces} are made: give fewer rules, or recursive ones"
            + (made.Sockets > 0 ? $"; {made.Sockets} of them hide sockets that programs of the host listen at: leave their directories out of the scope" : ""));
    }

    /// <summary>What a command may write of the scope, for those who look through it.</summary>
    internal WritablePart Writable(ScopePolicy access)
    {
        var directories = Places.Where(place => !place.IsFile).ToList();
        return new(
            [.. access.Rules.Allow.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target)],
            [.. directories.Where(place => place.Sight == Sight.Writable).Select(place => place.Path)],
            [.. directories.Where(place => place.Sight != Sight.Writable).Select(place => place.Path)]);
    }

    /// <summary>What the view allows at a path: for those who compare it with the tools.</summary>
    internal Sight SightOf(string path) => Places.LastOrDefault(place => ScopePath.IsAtOrBelow(path, place.Path)) is { } place
        ? place.Sight == Sight.Frame && place.Path != path ? Sight.Masked : place.Sight : Sight.Masked;

    /// <summary>
    /// Null if the view as it was made is the one that was computed: each place shows what was on the host then, each mask something else. Else
    /// the place that does not: somebody exchanged a directory while the mounts were made. To be asked before the command may begin.
    /// </summary>
    /// <param name="pid">A process inside.</param>
    internal string? Mismatch(int pid)
    {
        foreach (var place in Places)
        {
            var seen = Libc.Identify(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/root{place.Path}"), out var inside) == 0;
            if (!seen || inside.IsSameFile(place.OnHost) != (place.Sight is Sight.ReadOnly or Sight.Writable)) return place.Path;
        }
        return null;
    }

    /// <param name="Child">Of what is directly in it and no target.</param>
    /// <param name="Deeper">Of what lies deeper.</param>
    private sealed record Target(string Path, Access Self, Access Child, Access Deeper);

    private static IReadOnlyList<Target> WantedOf(ScopePolicy access)
    {
        const string any = "\0";
        return [.. SandboxPolicy.TargetsOf(access).Select(path =>
        {
            var child = ScopePath.Join(path, any);
            return new Target(path, access.AccessAt(path), access.AccessAt(child), access.AccessAt(ScopePath.Join(child, any)));
        })];
    }

    private sealed class Making(ScopePolicy access)
    {
        private readonly SortedDictionary<string, Place> _places = new(StringComparer.Ordinal);

        internal IReadOnlyList<Place> Places => [.. _places.Values];

        internal List<string> Absent { get; } = [];

        /// <summary>So many socket files are hidden.</summary>
        internal int Sockets { get; private set; }

        internal void Take(Target wanted)
        {
            var (target, self, child, deeper) = wanted;
            if (Libc.Identify(target, out var found) != 0 || found.IsLink || Libc.RealPath(target) != target)
            {
                if (access.Deny.Any(deny => deny.Target == target)) Absent.Add(target);
                return;
            }
            if (!found.IsDirectory)
            {
                Lay(new(target, SightOf(self), found, IsFile: true));
                return;
            }
            if (deeper == Access.None && self != Access.None && child != Access.None) LayFlat(target, found);
            else Lay(new(target, SightOf((Access)Math.Min((int)self, Math.Min((int)child, (int)deeper))), found));
        }

        /// <summary>
        /// Keeps a path that is not there from being made: in the nearest directory above it no name can be made or removed; what is in it now can be
        /// written as before. That directory, or null if nothing could be written there anyway.
        /// </summary>
        internal string? Guard(string path)
        {
            var directory = Above(path)!;
            while (Libc.Identify(directory, out _) != 0) directory = Above(directory)!;
            if ((_places.GetValueOrDefault(directory) ?? Enclosing(directory)) is not { Sight: Sight.Writable }) return null;
            if (Libc.RealPath(directory) != directory || Libc.Identify(directory, out var found) != 0 || !found.IsDirectory)
                throw new SandboxException($"{path} is lent and not there, and {directory} is no directory any more; make it one again, or take the path back with StopPod");
            _places[directory] = new(directory, Sight.ReadOnly, found);
            Pin(directory);
            foreach (var entry in Directory.EnumerateFileSystemEntries(directory))
                if (!_places.ContainsKey(entry) && Libc.Identify(entry, out var inside) == 0 && (inside.IsDirectory || inside.IsFile) && access.AccessAt(entry) == Access.Write)
                    _places[entry] = new(entry, Sight.Writable, inside, IsFile: !inside.IsDirectory);
            return directory;
        }

        /// <summary>Hides the socket file that is there, if one is; also one that a rule names.</summary>
        internal void Mask(string path)
        {
            if ((_places.GetValueOrDefault(path) ?? Enclosing(path)) is not { Sight: Sight.ReadOnly or Sight.Writable }) return;
            if (Libc.Identify(path, out var found) != 0 || !found.IsSocket || Libc.RealPath(path) != path) return;
            _places.Remove(path);
            Lay(new(path, Sight.Masked, found, IsFile: true));
            Sockets++;
        }

        /// <summary>The directory's own files as they are now; not what is made later, and nothing below.</summary>
        private void LayFlat(string directory, FileStatus found)
        {
            _places[directory] = new(directory, Sight.Frame, found);
            Pin(directory);
            foreach (var path in Directory.EnumerateFiles(directory))
                if (!_places.ContainsKey(path) && Libc.Identify(path, out var file) == 0 && file.IsFile && access.AccessAt(path) != Access.None)
                    _places[path] = new(path, Sight.ReadOnly, file, IsFile: true);
        }

        private void Lay(Place place)
        {
            var around = Enclosing(place.Path);
            if (place.Sight == (around is null or { Sight: Sight.Frame } ? Sight.Masked : around.Sight)) return;
            if (around is { Sight: Sight.Masked, Opaque: true } && place.Sight != Sight.Masked) _places[around.Path] = around with { Opaque = false };
            _places[place.Path] = place;
            Pin(place.Path);
        }

        /// <summary>Keeps the directories between a writable place and this one from being renamed.</summary>
        private void Pin(string path)
        {
            for (var above = Above(path); above is not null && !_places.ContainsKey(above); above = Above(above))
                if (Enclosing(above) is { Sight: Sight.Writable } && Libc.Identify(above, out var found) == 0) _places[above] = new(above, Sight.Writable, found);
                else return;
        }

        private Place? Enclosing(string path)
        {
            for (var above = Above(path); above is not null; above = Above(above))
                if (_places.TryGetValue(above, out var place)) return place;
            return null;
        }

        private static string? Above(string path) => path.Length == 1 ? null : path.LastIndexOf('/') is > 0 and var slash ? path[..slash] : "/";

        private static Sight SightOf(Access access) => access switch
        {
            Access.Write => Sight.Writable,
            Access.Read => Sight.ReadOnly,
            _ => Sight.Masked,
        };
    }
}
