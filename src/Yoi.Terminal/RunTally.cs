using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>
/// What a Pod's entries add up to: the answer, turns, tokens, how the last run ended, which children there are and up to where
/// their news has been told. A pure fold; the same entries give the same tally.
/// </summary>
internal sealed class RunTally
{
    private readonly Dictionary<string, Told> _newsTold = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _children = new(StringComparer.Ordinal);

    private readonly Dictionary<string, string> _background = new(StringComparer.Ordinal);

    internal string? Answer { get; private set; }

    /// <summary>How the last run ended; null if none did, or the Pod died in it.</summary>
    internal Entry.RunEnded? LastRun { get; private set; }

    internal Entry.PodEnded? End { get; private set; }

    internal bool Running { get; private set; }

    internal int Runs { get; private set; }

    internal int Turns { get; private set; }

    internal long InputTokens { get; private set; }

    internal long OutputTokens { get; private set; }

    internal long HeadSeq { get; private set; }

    /// <summary>Children whose end is not known: id and name.</summary>
    internal IReadOnlyDictionary<string, string> Children => _children;

    /// <summary>Commands in the background that have not ended: what the model called each, and its line.</summary>
    internal IReadOnlyDictionary<string, string> Background => _background;

    /// <summary>The cursor up to which news of a child has been told.</summary>
    internal Cursor NewsToldOf(string childId) => _newsTold.TryGetValue(childId, out var told) ? new Cursor(told.Seq, told.Offset) : Cursor.Start;

    internal void Take(long seq, Entry entry)
    {
        HeadSeq = Math.Max(HeadSeq, seq);
        switch (entry)
        {
            case Entry.RunStart:
                (Running, Answer) = (true, null);
                Runs++;
                break;
            case Entry.RunEnded ended:
                (Running, LastRun) = (false, ended);
                break;
            case Entry.TurnStart:
                Turns++;
                break;
            case Entry.Assistant message:
                var text = string.Concat(message.Blocks.OfType<AssistantBlock.Text>().Select(block => block.Value));
                if (text.Length > 0) Answer = text;
                InputTokens += message.Usage?.InputTokens ?? 0;
                OutputTokens += message.Usage?.OutputTokens ?? 0;
                break;
            case Entry.ToolResult { Told: { } told }:
                foreach (var cursor in told) Told(cursor);
                break;
            case Entry.News news:
                Told(news.Told);
                break;
            case Entry.CommandStarted { Background: true } command:
                _background[command.Command] = command.Line;
                break;
            case Entry.CommandEnded command:
                _background.Remove(command.Command);
                break;
            case Entry.ChildSpawned child:
                _children[child.ChildId] = child.Child;
                break;
            case Entry.ChildEnded child:
                _children.Remove(child.ChildId);
                break;
            case Entry.PodEnded end:
                if (Running) LastRun = null; // It never came to an end of its own.
                (Running, End) = (false, end);
                break;
        }
    }

    private void Told(Told told)
    {
        if (told.What == Protocol.Told.NewsCursor)
        {
            if (told.Seq > NewsToldOf(told.PodId).Seq) _newsTold[told.PodId] = told;
        }
    }
}
