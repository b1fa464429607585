using System.Globalization;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Sandbox;

/// <summary>
/// What a mask cannot do. A mask lies on what is there: a denied name that is not there can be made by a command, and what is there can be
/// replaced from outside. Both are seen by comparing before and after. What appeared is made inert and reported; what was in it is kept.
/// </summary>
internal sealed class DeniedNames
{
    private const string Quarantine = ".yoi/quarantine";

    private readonly ScopePolicy _policy;
    private readonly IReadOnlyList<(string Path, FileIdentity? Was)> _before;

    private DeniedNames(ScopePolicy policy, IReadOnlyList<(string, FileIdentity?)> before) => (_policy, _before) = (policy, before);

    /// <summary>To be called before the command may begin.</summary>
    internal static DeniedNames Look(ScopePolicy policy, SandboxView view) => new(policy,
    [
        .. view.Places.Where(place => place.Sight == Sight.Masked || policy.Rules.Deny.Any(deny => deny.Target == place.Path)).Select(place => place.Path)
            .Concat(view.Absent).Distinct().Select(path => (path, Libc.Identify(path, out var found) == 0 ? found : (FileIdentity?)null)),
    ]);

    /// <summary>To be called when the command's tree is gone. One line for each thing that was found, for model and human.</summary>
    internal IReadOnlyList<string> Check(string name)
    {
        var reports = new List<string>();
        var appeared = new List<(string Path, FileIdentity Now)>();
        foreach (var (path, was) in _before)
        {
            var there = Libc.Identify(path, out var now) == 0;
            if (was is null && there) appeared.Add((path, now));
            if (was is { } before && !(there && now.IsSameFile(before)))
                reports.Add($"{path} was {(there ? "replaced" : "removed")} from outside while the command ran; look at it before you trust what is there");
        }
        // What lies where the quarantine will be is moved first; the quarantine that we make is no find.
        foreach (var (path, now) in appeared.OrderByDescending(found => found.Path.Contains("/.yoi", StringComparison.Ordinal)))
            if (Appeared(path, now, name) is { } report) reports.Add(report);
        return reports;
    }

    private string? Appeared(string path, FileIdentity now, string name)
    {
        if (_policy.AccessAt(path) == Access.Write) return null;
        try
        {
            if (path.EndsWith("/.git/hooks", StringComparison.Ordinal) && now.IsDirectory) return Hooks(path, name);
            if (path.EndsWith("/.git/config", StringComparison.Ordinal) && now.IsFile) return Settings(path, name);
            return $"{path} may not be written and was made by the command: it was moved to {Move(path, name)}";
        }
        catch (IOException e)
        {
            return $"{path} may not be written and was made by the command, and it could not be moved away: {e.Message}. Remove it before anything outside uses it";
        }
    }

    /// <summary>A new repository has hooks that are only samples: they stay.</summary>
    private string? Hooks(string directory, string name)
    {
        var moved = new List<string>();
        foreach (var entry in Directory.EnumerateFileSystemEntries(directory).ToList())
        {
            if (entry.EndsWith(".sample", StringComparison.Ordinal) && Libc.Identify(entry, out var found) == 0 && found.IsFile) continue;
            moved.Add(Path.GetFileName(entry));
            Move(entry, name);
        }
        return moved.Count == 0 ? null : $"git on the host would run what is in {directory}: {string.Join(", ", moved)} moved to {Quarantine}";
    }

    /// <summary>A new repository has settings: those that git would run something for are taken out.</summary>
    private string? Settings(string file, string name)
    {
        string text;
        using (var opened = Libc.Open(file, OpenFlags.ReadOnly | OpenFlags.NoFollow | OpenFlags.NonBlock | OpenFlags.CloseOnExec, 0))
        {
            if (opened.IsInvalid) throw Libc.Failed("open " + file);
            var bytes = new byte[1 << 20];
            text = PathText.Decode(bytes.AsSpan(0, RandomAccess.Read(opened, bytes, 0)));
        }
        var (kept, left) = GitConfig.Inert(text);
        if (left.Count == 0) return null;
        var moved = Move(file, name);
        File.WriteAllBytes(file, PathText.Encode(kept).AsSpan()[..^1].ToArray());
        return $"{file} had settings that git on the host might run something for ({string.Join(", ", left.Take(8))}): they were taken out; the whole is in {moved}";
    }

    /// <summary>Out of the way, into the scope root's quarantine, by names alone: nothing is read and no link is followed at the end.</summary>
    private string Move(string path, string name)
    {
        var root = _policy.Rules.Allow.Where(rule => rule.Permission == Permission.Write && ScopePath.IsAtOrBelow(path, rule.Target)).Select(rule => rule.Target).MinBy(target => target.Length)
            ?? throw new IOException("no writable scope holds it");
        var yoi = ScopePath.Join(root, ".yoi");
        var aside = path;
        if (ScopePath.IsAtOrBelow(path, yoi))
        {
            aside = ScopePath.Join(root, $".yoi-of-command-{name}");
            Rename(path, aside);
        }
        else if (Libc.Identify(yoi, out var found) == 0 && !found.IsDirectory) throw new IOException($"{yoi} is no directory");
        Directory.CreateDirectory(ScopePath.Join(root, Quarantine));
        var number = 0;
        string to;
        do to = ScopePath.Join(root, string.Create(CultureInfo.InvariantCulture, $"{Quarantine}/{name}-{number++}-{Path.GetFileName(path)}"));
        while (Libc.Identify(to, out _) == 0);
        Rename(aside, to);
        return to;
    }

    private static void Rename(string from, string to)
    {
        if (Libc.Rename(from, to) != 0) throw Libc.Failed($"rename {from}");
    }
}
