using Yoi.Protocol;
using Yoi.Runtime.Scopes;
using Yoi.Terminal;

namespace Yoi.Demo;

/// <summary>What is there when the demo has ended: journals as stories, the scope table as the lead's run left it, files, processes.</summary>
/// <param name="Table">Read when the lead's run had ended and the lead still lived; null if it came to no end.</param>
/// <param name="Files">Text by path in the repository.</param>
/// <param name="Left">Pods that still live, and processes that still run.</param>
internal sealed record DemoEvidence(
    string Root, IReadOnlyList<PodStory> Stories, TableDocument? Table, IReadOnlyDictionary<string, string> Files, IReadOnlyList<string> Left);

/// <summary>The demo's promises, each judged by the evidence alone.</summary>
internal sealed class DemoChecks
{
    internal const string Lead = "lead", Words = "words", Lines = "lines";
    private static readonly string[] Folders = [Words, Lines];
    private readonly DemoEvidence _seen;
    private readonly PodStory? _lead;

    private DemoChecks(DemoEvidence seen) => (_seen, _lead) = (seen, seen.Stories.FirstOrDefault(story => story.Name == Lead));

    internal static IReadOnlyList<DemoCheck> Judge(DemoEvidence seen)
    {
        var checks = new DemoChecks(seen);
        return
        [
            new("lead did its run to the end", checks.RunCompleted()),
            new("words and lines were lent a folder each, as processes of their own", checks.Spawned()),
            new("lead was refused a write into words/ and told who holds it", checks.Refused()),
            new("words got a message of lead and worked on it", checks.Messaged()),
            new("each Pod wrote only what was its own at that time", checks.OwnWrites()),
            new("both children were stopped by lead", checks.Stopped()),
            new("both folders went back to lead", checks.ScopeIsBack()),
            new("the files are as the job wants them", checks.FilesAreRight()),
            new("no process is left", seen.Left.Count == 0 ? null : string.Join(", ", seen.Left)),
        ];
    }

    private PodStory? Child(string name) =>
        _lead?.Spawned.FirstOrDefault(child => child.Child == name) is { } spawned ? _seen.Stories.FirstOrDefault(story => story.Id == spawned.ChildId) : null;

    private string Folder(string name) => $"{_seen.Root}/{name}";

    private string? RunCompleted() => _lead switch
    {
        null => "there is no Pod called lead",
        { LastRun.Reason: RunEnd.Completed } => null,
        { LastRun: { } run } => EntryText.RunEndText(run),
        { End: { } end } => $"it ended in its run: {EntryText.EndText(end.Reason, end.By, end.Detail)}",
        _ => "its run has no end",
    };

    private string? Spawned() => First(Folders.Select(name =>
    {
        if (_lead?.Spawned.FirstOrDefault(child => child.Child == name) is not { } spawned) return $"{name} was not spawned";
        var write = spawned.Rules.Where(rule => rule.Permission == Permission.Write).Select(rule => rule.Target).ToList();
        if (write is not [var only] || only != Folder(name)) return $"{name} was lent {EntryText.Rules(spawned.Rules)}";
        if (Child(name) is not { Processes: [var process] }) return $"{name} has no process in its journal, or several";
        return _seen.Stories.Count(story => story.Processes.Any(other => other.Pid == process.Pid)) == 1 ? null : $"{name} is no process of its own";
    }));

    private string? Refused()
    {
        var into = _lead?.Refused.Where(file => IsBelow(file.Path, Folder(Words))).ToList() ?? [];
        if (into.Count == 0) return "no write there was refused";
        return into.Any(file => file.Words.Contains($"lent to `{Words}`", StringComparison.Ordinal)) ? null : $"the refusal does not name the holder: {into[0].Words}";
    }

    private string? Messaged()
    {
        if (Child(Words) is not { } words) return "there is no such child";
        if (words.Inputs.Count(input => input.From == Lead) < 2) return "its journal has no message of lead but the task";
        return words.LastRun is { Run: > 0, Reason: RunEnd.Completed } ? null : "it did not work on it to the end";
    }

    private string? OwnWrites() => First(
    [
        .. Folders.Select(name => Child(name)?.Wrote.FirstOrDefault(file => !IsBelow(file.Path, Folder(name))) is { } astray ? $"{name} wrote {astray.Path}" : null),
        .. Folders.Select(name =>
        {
            var back = _lead?.ChildEnds.FirstOrDefault(end => end.Child.Child == name) is { Child: not null } end ? end.Seq : long.MaxValue;
            return _lead?.Wrote.FirstOrDefault(file => IsBelow(file.Path, Folder(name)) && file.Seq < back) is { } early ? $"lead wrote {early.Path} while {name} held it" : null;
        }),
        .. Folders.Select(name => Child(name) is { Wrote.Count: 0 } ? $"{name} wrote nothing" : null),
    ]);

    private string? Stopped() => First(Folders.Select(name =>
    {
        if (Child(name)?.End is not { } end) return $"the end of {name} is not recorded";
        if (end is not { Reason: PodEnd.Stopped, By: Lead }) return $"{name}: {EntryText.EndText(end.Reason, end.By, end.Detail)}";
        return _lead!.ChildEnds.Any(told => told.Child.Child == name) ? null : $"lead does not know that {name} ended";
    }));

    private string? ScopeIsBack()
    {
        if (_lead is null || _seen.Table is not { } table) return "the scope table was never read with lead's run at its end";
        var policy = table.PolicyOf(_lead.Id);
        return First(
        [
            .. Folders.Select(name => policy.AccessAt(Folder(name) + "/any") == Access.Write ? null : $"lead may not write {name}/"),
            table.Pods.FirstOrDefault(row => row.PodId != _lead.Id) is { } other ? $"{other.Name} is still in the scope table" : null,
            .. Folders.Select(name => _lead.ChildEnds.Any(end => end.Child.Child == name && end.Child.Returned.Any(rule => rule.Target == Folder(name)))
                ? null : $"lead's journal does not say that {name}/ came back"),
        ]);
    }

    private string? FilesAreRight()
    {
        var want = DemoSample.AtLast;
        var writers = _seen.Stories.SelectMany(story => story.Wrote.Select(file => file.Path)).ToHashSet(StringComparer.Ordinal);
        return First(
        [
            .. want.Select(file => !_seen.Files.TryGetValue(file.Key, out var text) ? $"{file.Key} is missing" : text == file.Value ? null : $"{file.Key} has other content"),
            .. _seen.Files.Keys.Except(want.Keys).Select(path => $"{path} should not be there"),
            .. want.Where(file => DemoSample.AtFirst.GetValueOrDefault(file.Key) != file.Value && !writers.Contains(Folder(file.Key)))
                .Select(file => $"{file.Key} changed and no journal says who wrote it"),
        ]);
    }

    private static string? First(IEnumerable<string?> faults) => faults.FirstOrDefault(fault => fault is not null);

    private static bool IsBelow(string path, string folder) => path.StartsWith(folder + "/", StringComparison.Ordinal);
}
