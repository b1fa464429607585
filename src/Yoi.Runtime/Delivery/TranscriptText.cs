using Yoi.Protocol;

namespace Yoi.Runtime.Delivery;

/// <summary>
/// What a Pod said, as its readers see it: the one projection from entries to text. A kind that this build does not know is
/// named, never passed over as if nothing had been said.
/// </summary>
internal static class TranscriptText
{
    /// <summary>Text of an entry; null if its kind is known and carries no text of the assistant.</summary>
    internal static string? Of(JournalRecord record) => record.Entry switch
    {
        Entry.Assistant message => OfMessage(message),
        Entry.Unknown unknown =>
            $"[entry {record.Seq} is of kind `{unknown.Kind}`, which this version of yoi does not know; it may carry text. A newer version can read it.]",
        _ => null,
    };

    private static string? OfMessage(Entry.Assistant message)
    {
        var text = string.Join("\n\n", message.Blocks.OfType<AssistantBlock.Text>().Select(block => block.Value).Where(text => text.Length > 0));
        if (message.Partial) return text.Length == 0 ? null : text + "\n[cut off here: the message was cancelled]";
        return text.Length == 0 ? null : text;
    }
}
