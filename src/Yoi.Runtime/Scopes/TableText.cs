using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Yoi.Runtime.Scopes;

/// <summary>
/// A table as bytes, and where in them each row stands. A row never changes, so that the text of the next table copies the rows that
/// stay and only writes those that are new.
/// </summary>
internal sealed class TableText
{
    /// <summary>Writes paths as they are read by people.</summary>
    internal static readonly TableJson Json = new(new JsonSerializerOptions(TableJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    private readonly Dictionary<TableRow, (int At, int Length)> _rows;

    private TableText(ReadOnlyMemory<byte> bytes, Dictionary<TableRow, (int At, int Length)> rows) => (Bytes, _rows) = (bytes, rows);

    /// <summary>What stands in the file.</summary>
    internal ReadOnlyMemory<byte> Bytes { get; }

    /// <param name="before">The text of an earlier table that may have rows in common; null if there is none.</param>
    internal static TableText Of(TableDocument document, TableText? before)
    {
        var frame = JsonSerializer.SerializeToUtf8Bytes(document with { Pods = [] }, Json.TableDocument).AsSpan();
        var end = frame.IndexOf("[]"u8) + 1; // What a later yoi says besides comes behind the rows, and may have brackets, too.
        var text = new ArrayBufferWriter<byte>((before?.Bytes.Length ?? 0) + 4096);
        var rows = new Dictionary<TableRow, (int, int)>(document.Pods.Count, ReferenceEqualityComparer.Instance);
        text.Write(frame[..end]);
        foreach (var row in document.Pods)
        {
            if (rows.Count > 0) text.Write(","u8);
            var at = text.WrittenCount;
            if (before is not null && before._rows.TryGetValue(row, out var known)) text.Write(before.Bytes.Span.Slice(known.At, known.Length));
            else text.Write(JsonSerializer.SerializeToUtf8Bytes(row, Json.TableRow));
            rows[row] = (at, text.WrittenCount - at);
        }
        text.Write(frame[end..]);
        return new(text.WrittenMemory, rows);
    }
}
