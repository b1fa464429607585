using System.Text;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Runtime.Delivery;

/// <summary>A piece of what a Pod said, and the cursor behind it.</summary>
/// <param name="To">Where the next read goes on; null if nothing was read and nothing had been.</param>
/// <param name="HasMore">True if there is text behind the piece.</param>
/// <param name="DamagedLines">Lines on the way whose checksum does not hold: what they said is lost, and said to be.</param>
internal sealed record OutputPage(string Text, Told? To, bool HasMore, int DamagedLines)
{
    private const long PageBytes = 1 << 20;

    /// <summary>Reads on in a journal: whole texts as long as they fit, else a piece of the next one.</summary>
    /// <param name="maxBytes">UTF-8 bytes of text; at least one character is returned if there is any.</param>
    internal static OutputPage Read(JournalReader journal, string podId, Told? from, int maxBytes)
    {
        var text = new StringBuilder();
        var bytes = 0;
        var damaged = 0;
        var to = from ?? new Told(podId, Told.OutputCursor, 0, 0, "");
        while (true)
        {
            var page = journal.ReadAfter(new Cursor(to.Seq, to.Offset), out var health, PageBytes);
            damaged += health.DamagedLines;
            if (page.Count == 0) return new OutputPage(text.ToString(), to.Seq == 0 && to.Within == 0 ? from : to, false, damaged);
            foreach (var record in page)
            {
                var all = TranscriptText.Of(record) ?? "";
                var rest = all[Math.Min(to.Within, all.Length)..];
                if (rest.Length > 0)
                {
                    var gap = text.Length == 0 ? "" : "\n\n";
                    var fits = Fitting(rest, maxBytes - bytes - gap.Length, atLeastOne: text.Length == 0);
                    if (fits > 0) text.Append(gap).Append(rest, 0, fits);
                    bytes += gap.Length + Encoding.UTF8.GetByteCount(rest.AsSpan(0, fits));
                    if (fits < rest.Length) return new OutputPage(text.ToString(), to with { Within = to.Within + fits }, true, damaged);
                }
                to = new Told(podId, Told.OutputCursor, record.Seq, record.End.Offset, record.Crc);
            }
        }
    }

    /// <summary>How many UTF-16 units fit into so many bytes, no character cut in two.</summary>
    private static int Fitting(string text, int bytes, bool atLeastOne)
    {
        var fits = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            bytes -= rune.Utf8SequenceLength;
            if (bytes < 0 && !(atLeastOne && fits == 0)) break;
            fits += rune.Utf16SequenceLength;
        }
        return fits;
    }
}
