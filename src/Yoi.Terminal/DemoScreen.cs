using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>
/// The demo while it runs: one line for whatever a Pod of the tree did, and below them, on a terminal, the tree as it is now with who
/// may write what. Everything comes from entries of journals, from text that streams and from rows of the scope table.
/// </summary>
/// <param name="root">The repository: paths in it are shown from there.</param>
internal sealed class DemoScreen(Screen screen, string root) : IDisposable
{
    private const int TimeWidth = 7, NameWidth = 7, PodColumn = 10, StateColumn = 9, HoldsColumn = 29, ProcessColumn = 9, WideEnough = 100;
    private readonly LiveRegion _region = new(screen);
    private readonly List<PodStory> _stories = [];
    private readonly Dictionary<string, Dictionary<string, string>> _calls = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _reads = new(StringComparer.Ordinal);
    private IReadOnlyList<ScopeRow> _held = [];
    private string _holders = "";
    private DateTimeOffset? _began;

    internal void Take(string podId, PodMessage message)
    {
        if (_stories.Find(story => story.Id == podId) is not { } story) _stories.Add(story = new PodStory(podId));
        switch (message)
        {
            case PodMessage.Streaming streaming:
                story.Hear(streaming.Delta);
                break;
            case PodMessage.Entered entered:
                story.Take(entered.Seq, entered.Time, entered.Entry);
                _began ??= entered.Time;
                Tell(story, entered);
                break;
        }
    }

    /// <summary>The scope table as it is now.</summary>
    internal void Hold(IReadOnlyList<ScopeRow> rows)
    {
        _held = [.. rows.Where(row => row is { Kind: "allow", Permission: Permission.Write })];
        var holders = string.Join(" · ", _held.Select(row => row.Pod).Distinct().Select(pod => $"{pod}: {Holds(pod)}"));
        if (holders == _holders) return;
        _holders = holders;
        // The tree shows it; where there is none, it is a line of its own.
        if (!screen.IsLive) screen.Line(new string(' ', TimeWidth) + (holders.Length == 0 ? "nobody may write anything any more" : $"may write: {holders}"));
    }

    /// <summary>The tree as it is now.</summary>
    internal void Draw(TimeSpan elapsed)
    {
        if (!screen.IsLive) return;
        var width = screen.Width;
        var wide = width >= WideEnough;
        var title = $"── {SafeText.Line(System.IO.Path.GetFileName(root))} · {Amounts.Span(elapsed)} ";
        List<IReadOnlyList<Said>> lines =
        [
            [new(Tone.Dim, title + new string('─', Math.Max(0, width - 1 - title.Length)))],
            [new(Tone.Dim, $"{"POD",-PodColumn}{(wide ? $"{"PROCESS",-ProcessColumn}" : "")}{"STATE",-StateColumn}{"MAY WRITE",-HoldsColumn}NOW")],
        ];
        foreach (var (story, prefix) in Tree())
        {
            var ended = story.End is not null;
            lines.Add(
            [
                new(Tone.Dim, prefix), new(ended ? Tone.Dim : NameTone(story), Pad(story.Name, PodColumn - prefix.Length)),
                new(Tone.Dim, wide ? Pad($"{story.Processes.LastOrDefault()?.Pid}", ProcessColumn) : ""),
                new(story.State switch { "running" => Tone.Good, "ended" => Tone.Dim, _ => Tone.Plain }, Pad(story.State, StateColumn)),
                new(ended ? Tone.Dim : Tone.Plain, Pad(Holds(story.Name), HoldsColumn)),
                new(Tone.Dim, Short(story.Doing)),
            ]);
        }
        _region.Draw(lines);
    }

    public void Dispose() => _region.Dispose();

    private IEnumerable<(PodStory, string)> Tree() =>
        Listings.Tree([.. _stories.Select(story => new PodRow(story.Id, story.Name, story.State, Spawner: story.Created?.Spawner?.PodId))])
            .Select(row => (_stories.First(story => story.Id == row.Pod.Id), row.Prefix));

    /// <summary>What a Pod may write now: its own rules less what its children hold.</summary>
    private string Holds(string pod)
    {
        var own = _held.Where(row => row.Pod == pod).ToList();
        if (own.Count == 0) return "nothing";
        var lent = _held.Where(row => row.LentBy == pod).Select(row => Place(row.Path)).ToList();
        return string.Join(", ", own.Select(row => Place(row.Path) + (row.Pending ? " (pending)" : ""))) + (lent.Count > 0 ? $" but {string.Join(", ", lent)}" : "");
    }

    private void Tell(PodStory story, PodMessage.Entered entered)
    {
        var calls = _calls.TryGetValue(story.Id, out var known) ? known : _calls[story.Id] = new(StringComparer.Ordinal);
        if (entered.Entry is Entry.ToolResult { Name: "Read", IsError: false } read)
        {
            var reads = _reads.TryGetValue(story.Id, out var seen) ? seen : _reads[story.Id] = [];
            reads.Add(calls.Remove(read.CallId, out var path) ? path : "a file");
            return;
        }
        if (_reads.Remove(story.Id, out var all)) Log(story, entered.Time, new(Tone.Dim, $"reads {string.Join(", ", all)}"));
        foreach (var said in Words(story, entered.Entry, calls)) Log(story, entered.Time, said);
    }

    private IEnumerable<Said> Words(PodStory story, Entry entry, Dictionary<string, string> calls)
    {
        switch (entry)
        {
            case Entry.PodCreated or Entry.Prompt or Entry.ScopeChanged:
            case Entry.ProcessStarted or Entry.PodEnded when story.Created?.Spawner is not null:
                break; // A child's start and end are its spawner's to tell; the tree shows scopes.
            case Entry.ProcessStarted process:
                yield return new(Tone.Plain, $"runs as process {process.Pid}");
                break;
            case Entry.Input input:
                yield return new(Tone.Plain, $"is told by {SafeText.Line(input.From)}: {SafeText.Line(input.Text, 400)}");
                break;
            case Entry.ToolResult { IsError: true, Name: "Write" or "Edit" } refused:
                yield return new(Tone.Bad, $"REFUSED: {refused.Name} {(calls.Remove(refused.CallId, out var path) ? path : "")}");
                yield return new(Tone.Bad, SafeText.Line(refused.Summary, 600));
                break;
            case Entry.ToolResult { IsError: false, Name: "Write" or "Edit" } written:
                yield return new(Tone.Good, $"writes {(calls.Remove(written.CallId, out var file) ? file : "")}");
                break;
            case Entry.ToolResult { IsError: false, Name: "SpawnPod" or "StopPod" }:
                break; // The entry about the child says it.
            case Entry.ChildSpawned child:
                yield return new(Tone.Plain, $"spawned {SafeText.Line(child.Child)} as process {child.Pid} and lent it {Places(child.Rules)}");
                break;
            case Entry.ChildEnded child:
                yield return new(child.Reason == PodEnd.Stopped ? Tone.Plain : Tone.Bad,
                    $"{SafeText.Line(child.Child)} ended: {EntryText.EndText(child.Reason, child.By, child.Detail)}; back: {Places(child.Returned)}");
                break;
            default:
                foreach (var said in EntryText.Of(entry, calls))
                    yield return entry is Entry.Assistant && said.Tone == Tone.Plain ? said with { Text = "says: " + SafeText.Line(said.Text, 600) } : said;
                break;
        }
    }

    private void Log(PodStory story, DateTimeOffset time, Said said)
    {
        var stamp = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(time - (_began ?? time)).TotalSeconds,5:0.0}  ");
        var text = Short(said.Text);
        var first = true;
        foreach (var line in screen.IsLive ? LiveRegion.Wrap(text, screen.Width - 1 - TimeWidth - NameWidth) : [text])
        {
            _region.Above([new(Tone.Dim, first ? stamp : new string(' ', TimeWidth)), new(NameTone(story), Pad(first ? story.Name : "", NameWidth)), said with { Text = line }]);
            first = false;
        }
    }

    private string Places(IReadOnlyList<ScopeRule> rules) =>
        rules.Where(rule => rule.Permission == Permission.Write).ToList() is { Count: > 0 } write ? string.Join(", ", write.Select(rule => Place(rule.Target))) : "nothing to write";

    private string Place(string path) => SafeText.Line(path == root ? System.IO.Path.GetFileName(root) : Short(path)) + "/";

    /// <summary>Paths in the repository without what leads to it.</summary>
    private string Short(string text) => text.Replace(root + "/", "", StringComparison.Ordinal).Replace(root, System.IO.Path.GetFileName(root), StringComparison.Ordinal);

    private static Tone NameTone(PodStory story) => story.Created?.Spawner is null ? Tone.Strong : Tone.Name;

    private static string Pad(string text, int width) => (text.Length < width ? text : text[..Math.Max(0, width - 2)] + "…").PadRight(Math.Max(0, width));
}
