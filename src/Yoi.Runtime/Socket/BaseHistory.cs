using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Socket;

/// <summary>
/// The conversation as <c>get_history</c> shows it: a pure function of the journal. Notices, news, corrections and cut-off
/// messages are hidden; input that waited stands where its run began. Base clients are shown input when it was answered or
/// its run is over, as recorded: what is being worked on they hear as events.
/// </summary>
internal static class BaseHistory
{
    private const long PageBytes = 4 << 20;

    /// <summary>Reads a journal from its first entry to its last.</summary>
    internal static IReadOnlyList<HistoryItem> Read(string journalPath, bool forBase)
    {
        var reader = new JournalReader(journalPath);
        return Of(Pages(reader), forBase);
    }

    /// <summary>Items of the records, in order.</summary>
    internal static IReadOnlyList<HistoryItem> Of(IEnumerable<JournalRecord> records, bool forBase = false)
    {
        var items = new List<HistoryItem>();
        var queued = new SortedDictionary<long, string>();
        var works = false;
        foreach (var record in records)
        {
            works = record.Entry switch
            {
                Entry.RunStart or Entry.RunResumed => true,
                Entry.RunEnded or Entry.RunPaused => false,
                _ => works,
            };
            switch (record.Entry)
            {
                case Entry.Input { Queued: true } input:
                    queued.Add(record.Seq, input.Text);
                    break;
                case Entry.Input input:
                    items.Add(Message("user", input.Text));
                    break;
                case Entry.RunStart { Cause: { } cause } when queued.Remove(cause, out var text):
                    items.Add(Message("user", text));
                    break;
                case Entry.Assistant { Partial: false } message:
                    items.AddRange(message.Blocks.Select(Item).OfType<HistoryItem>());
                    break;
                case Entry.ToolResult result:
                    items.Add(new HistoryItem.ToolResult(result.CallId, result.Summary, result.Content));
                    break;
            }
        }
        if (forBase)
        {
            while (works && items is [.., HistoryItem.Message { Role: "user" }]) items.RemoveAt(items.Count - 1);
            return items;
        }
        items.AddRange(queued.Values.Select(text => Message("user", text)));
        return items;
    }

    private static HistoryItem? Item(AssistantBlock block) => block switch
    {
        AssistantBlock.Text { Value.Length: > 0 } text => Message("assistant", text.Value),
        AssistantBlock.ToolCall call => new HistoryItem.ToolCall(call.CallId, call.Name, call.Arguments.Length > 0 ? call.Arguments : "{}"),
        _ => null,
    };

    private static HistoryItem.Message Message(string role, string text) => new(role, [new ContentPart(text)]);

    private static IEnumerable<JournalRecord> Pages(JournalReader reader)
    {
        var cursor = Cursor.Start;
        while (reader.ReadAfter(cursor, out _, PageBytes) is { Count: > 0 } page)
        {
            foreach (var record in page) yield return record;
            cursor = page[^1].End;
        }
    }
}
