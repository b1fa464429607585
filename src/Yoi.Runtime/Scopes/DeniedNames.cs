using System.Text.Json;
using System.Text.Json.Serialization;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// What a mask cannot do. A mask lies on what is there: a denied name that is not there can be made by a command, and what is there can be
/// replaced from outside. Both are seen by comparing before and after. What appeared is moved away and reported, see <see cref="Quarantine"/>.
/// What was seen before is kept beside the command's mark, so that whoever takes over from a Pod that was killed can compare, too.
/// </summary>
/// <param name="Command">The command's name: what it made is called after it.</param>
/// <param name="Part">Where it may have made repositories.</param>
/// <param name="Repositories">Those that were there, with what git would run in them; null for one that mounts lie on.</param>
/// <param name="Unfinished">Of the latter what was left in the middle, on which no mounts lie; null in a mark of an older Yoi.</param>
internal sealed record DeniedNames(
    string Command, IReadOnlyList<DeniedNames.Watched> Names, WritablePart Part, IReadOnlyDictionary<string, Dictionary<string, string>?> Repositories,
    IReadOnlyDictionary<string, Dictionary<string, string>>? Unfinished = null)
{
    /// <param name="Root">The writable scope root that holds it.</param>
    /// <param name="Covered">True if a mount lies on it: the command cannot change it.</param>
    /// <param name="Was">What was at the name, or what stood in its way.</param>
    internal sealed record Watched(string Root, string Path, bool Covered, Thing? Was);

    /// <param name="At">The name itself, or the link or file on the way to it.</param>
    internal readonly record struct Thing(string At, ulong Device, ulong Inode, long Born);

    /// <summary>To be called before the command may begin.</summary>
    /// <param name="covered">Where a mount lies.</param>
    /// <param name="absent">What could not be masked.</param>
    /// <param name="repositories">Those that are there, and whether mounts lie on what git would run in them.</param>
    internal static DeniedNames Look(
        string command, ScopePolicy policy, IReadOnlySet<string> covered, IEnumerable<string> absent, WritablePart part, IEnumerable<(string Git, bool Masked)> repositories)
    {
        var watched = new List<Watched>();
        foreach (var path in policy.Deny.Select(deny => deny.Target).Concat(absent).Distinct())
        {
            var root = policy.Rules.Allow.Where(rule => rule.Permission == Permission.Write && ScopePath.IsAtOrBelow(path, rule.Target)).Select(rule => rule.Target).MinBy(target => target.Length);
            if (root is null || root == path) continue;
            using var found = Quarantine.Find(root, path);
            watched.Add(new(root, path, covered.Contains(path), found?.Thing));
        }
        List<(string Git, bool Masked)> all = [.. repositories];
        return new(command, watched, part, all.ToDictionary(one => one.Git, one => one.Masked ? null : RepositoryStamps.Of(one.Git), StringComparer.Ordinal),
            all.Where(one => one.Masked).ToDictionary(one => one.Git, one => RepositoryStamps.OfUnfinished(one.Git), StringComparer.Ordinal));
    }

    /// <summary>What mounts lie on.</summary>
    internal IEnumerable<string> Covered => Names.Where(one => one.Covered).Select(one => one.Path);

    /// <summary>Null while everything that mounts lie on is what it was; else what is there now, each with its version, null for nothing.</summary>
    internal IReadOnlyDictionary<string, FileVersion?>? Replaced()
    {
        if (!Names.Any(one => one.Covered && ThingAt(one) != one.Was)) return null;
        return Names.Where(one => one.Covered).ToDictionary(one => one.Path, VersionAt, StringComparer.Ordinal);
    }

    private static Thing? ThingAt(Watched one)
    {
        using var found = Quarantine.Find(one.Root, one.Path);
        return found?.Thing;
    }

    private static FileVersion? VersionAt(Watched one)
    {
        using var found = Quarantine.Find(one.Root, one.Path);
        return found?.Thing.At == one.Path ? found.Status.Version : null;
    }

    /// <summary>
    /// To be called when the command's tree is gone. One line for each thing that was found, for model and human. May be done again: what
    /// somebody found who did not come to the end is in the mark.
    /// </summary>
    /// <param name="noticed">What <see cref="Replaced"/> saw while the command ran, before it was ended for that.</param>
    /// <param name="index">Knows from before what need not be listed again.</param>
    /// <returns>What was found, and the repositories that there are now.</returns>
    internal (IReadOnlyList<string> Found, IReadOnlyCollection<string> Repositories) Check(CommandMark mark, RepositoryIndex index, IReadOnlyDictionary<string, FileVersion?>? noticed = null)
    {
        var quarantine = new Quarantine(Command, mark);
        var appeared = new List<Watched>();
        foreach (var one in Names)
        {
            using var found = Quarantine.Find(one.Root, one.Path, unlock: true);
            if (found?.Thing == one.Was || (found is not null && mark.HasMade(found.Thing.Device, found.Thing.Inode))) continue;
            if (one.Covered) quarantine.Say($"{PathText.Shown(one.Path)} was {(found is null ? "removed" : "replaced")} from outside while the command ran; look at it before you trust what is there");
            // What was written since it was noticed is not the host's: for the command nothing lay on it any more.
            if (found is not null && (!one.Covered || (noticed is not null && noticed.TryGetValue(one.Path, out var then) && VersionAt(one) != then))) appeared.Add(one);
        }
        // What lies where the quarantine will be is moved first; the quarantine that we make is no find.
        foreach (var one in appeared.OrderByDescending(found => ScopePath.IsAtOrBelow(found.Path, ScopePath.Join(found.Root, Quarantine.Top))))
            quarantine.Take(one.Root, one.Path, one.Was);
        var all = index.Find(Part, unlock: true).ToHashSet(StringComparer.Ordinal);
        CheckRepositories(quarantine, all);
        return (quarantine.Said, all);
    }

    private void CheckRepositories(Quarantine quarantine, HashSet<string> all)
    {
        foreach (var git in all)
        {
            var masked = Repositories.TryGetValue(git, out var before) && before is null;
            if (masked && Unfinished?.TryGetValue(git, out before) != true) continue;
            if (Part.RootOf(git) is not { } root) continue;
            var changed = (masked ? RepositoryStamps.OfUnfinished(git) : RepositoryStamps.Of(git)).Where(now => before?.GetValueOrDefault(now.Key) != now.Value).Select(now => now.Key).ToHashSet(StringComparer.Ordinal);
            if (changed.Count > 0) quarantine.Take(root, git, changed, all);
        }
    }

    /// <summary>
    /// What the commands of a dead Pod made, when they are gone and before its scope goes to anybody else. The caller holds the lock of the
    /// scope table: nobody else does the same. Their marks stay until somebody tells what was found.
    /// </summary>
    /// <exception cref="IOException">A mark cannot be written.</exception>
    internal static IReadOnlyList<string> SettleLeft(string podDirectory, TimeProvider time)
    {
        var found = new List<string>();
        var index = new RepositoryIndex(time); // One for all: they mostly had the same scope, and what did not change is not listed again.
        foreach (var mark in CommandMarks.Of(podDirectory).Where(mark => !mark.IsSettled))
        {
            if (mark.About is { } about) found.AddRange(Of(about) is { } names ? names.Check(mark, index).Found : Unread(mark));
            mark.Settle();
        }
        return found;
    }

    /// <summary>One line.</summary>
    internal string ToText() => JsonSerializer.Serialize(With(Out), DeniedNamesJson.Default.DeniedNames);

    /// <summary>A power loss cut it off, or another version of Yoi wrote it: it stands in nobody's way, and that nothing was compared is told.</summary>
    private static string[] Unread(CommandMark mark)
    {
        var told = $"what the command of {mark.Path} may have made of denied names could not be looked for, for that file cannot be read: look at hooks and settings of repositories that it could write";
        mark.Tell(told);
        return [told];
    }

    /// <summary>Null if it is not what was written.</summary>
    private static DeniedNames? Of(string text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, DeniedNamesJson.Default.DeniedNames)?.With(In);
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            return null;
        }
    }

    private DeniedNames With(Func<string, string> name) => this with
    {
        Repositories = Repositories.ToDictionary(one => name(one.Key), one => one.Value?.ToDictionary(stamp => name(stamp.Key), stamp => stamp.Value, StringComparer.Ordinal), StringComparer.Ordinal),
        Unfinished = Unfinished?.ToDictionary(one => name(one.Key), one => one.Value, StringComparer.Ordinal),
    };

    // Commands give names; not all of them are text.
    private static string Out(string name) => name.Any(char.IsSurrogate) || name.StartsWith('=') ? "=" + Convert.ToBase64String(PathText.Encode(name).AsSpan()[..^1]) : name;

    private static string In(string name) => name.StartsWith('=') ? PathText.Decode(Convert.FromBase64String(name[1..])) : name;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(DeniedNames))]
internal sealed partial class DeniedNamesJson : JsonSerializerContext;
