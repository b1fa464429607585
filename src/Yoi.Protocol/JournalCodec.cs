using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Yoi.Protocol;

/// <summary>
/// A journal's lines: <c>{"seq":7,"time":"…","kind":"input","data":{…},"crc":"1a2b3c4d"}</c> and a newline.
/// The checksum is CRC-32C over all bytes of the line before <c>,"crc"</c>. The newline is the commit mark.
/// </summary>
public static class JournalCodec
{
    /// <summary>Version written in the first entry. Every build reads all versions up to its own.</summary>
    public const int Version = 1;

    private const int TailLength = 18; // ,"crc":"12345678"}

    /// <summary>Writes one line, newline included, and returns its checksum.</summary>
    public static string Write(IBufferWriter<byte> to, long seq, DateTimeOffset time, Entry entry)
    {
        var body = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(body, YoiJson.Writer))
        {
            json.WriteStartObject();
            json.WriteNumber("seq", seq);
            json.WriteString("time", time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
            if (entry is Entry.Unknown unknown)
            {
                json.WriteString("kind", unknown.Kind);
                json.WritePropertyName("data");
                unknown.Data.WriteTo(json);
            }
            else
            {
                var kind = Kinds.Entries.Of(entry);
                json.WriteString("kind", kind.Name);
                json.WritePropertyName("data");
                JsonSerializer.Serialize(json, entry, kind.Json);
            }
            json.WriteEndObject();
        }
        var covered = body.WrittenSpan[..^1];
        var crc = Crc32C(covered).ToString("x8", CultureInfo.InvariantCulture);
        to.Write(covered);
        to.Write(Encoding.ASCII.GetBytes($",\"crc\":\"{crc}\"}}\n"));
        return crc;
    }

    /// <summary>Reads one line without its newline. Null if the checksum does not hold or it is no entry.</summary>
    /// <param name="line">The line's bytes.</param>
    /// <param name="offset">Byte offset of the line in its file.</param>
    public static JournalRecord? Read(ReadOnlySpan<byte> line, long offset)
    {
        if (Checksum(line) is not { } crc) return null;
        try
        {
            return Parse(line, offset, crc);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null; // The checksum holds and yet it is no entry: damage, which the reader counts and shows.
        }
    }

    /// <summary>The checksum that a line carries, if it holds; else null.</summary>
    public static string? Checksum(ReadOnlySpan<byte> line)
    {
        if (line.Length <= TailLength) return null;
        var tail = line[^TailLength..];
        if (!tail.StartsWith(",\"crc\":\""u8) || !tail.EndsWith("\"}"u8)) return null;
        var digits = tail.Slice(8, 8);
        if (!uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var crc)) return null;
        return Crc32C(line[..^TailLength]) == crc ? Encoding.ASCII.GetString(digits) : null;
    }

    private static JournalRecord Parse(ReadOnlySpan<byte> line, long offset, string crc)
    {
        var json = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = YoiJson.MaxDepth });
        long seq = 0;
        DateTimeOffset time = default;
        string? kind = null;
        Entry? entry = null;
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("seq"u8)) { json.Read(); seq = json.GetInt64(); }
            else if (json.ValueTextEquals("time"u8)) { json.Read(); time = json.GetDateTimeOffset(); }
            else if (json.ValueTextEquals("kind"u8)) { json.Read(); kind = json.GetString(); }
            else if (json.ValueTextEquals("data"u8)) { json.Read(); entry = ReadEntry(ref json, kind ?? throw new JsonException("data before kind")); }
            else { json.Read(); json.Skip(); }
        }
        if (seq < 1 || entry is null) throw new JsonException("not an entry");
        return new JournalRecord(seq, time, entry, offset, line.Length + 1, crc);
    }

    private static Entry ReadEntry(ref Utf8JsonReader json, string name) =>
        Kinds.Entries.Named(name) is { } kind
            ? (Entry)(JsonSerializer.Deserialize(ref json, kind.Json) ?? throw new JsonException("null entry"))
            : new Entry.Unknown(name, JsonElement.ParseValue(ref json));

    /// <summary>CRC-32C (Castagnoli) as in RFC 3720.</summary>
    public static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = 0xFFFFFFFFu;
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words) crc = BitOperations.Crc32C(crc, word);
        foreach (var b in bytes[(words.Length * 8)..]) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }

    /// <summary>An entry as <c>attach</c> and <c>read</c> send it.</summary>
    public static Event.Appended ToEvent(JournalRecord record)
    {
        var (name, data) = record.Entry is Entry.Unknown unknown
            ? (unknown.Kind, unknown.Data)
            : (Kinds.Entries.Of(record.Entry).Name, JsonSerializer.SerializeToElement(record.Entry, Kinds.Entries.Of(record.Entry).Json));
        return new Event.Appended(record.Seq, record.Time, name, data);
    }

    /// <summary>The entry in an event of <c>attach</c> or <c>read</c>.</summary>
    public static Entry FromEvent(Event.Appended appended) =>
        Kinds.Entries.Named(appended.Kind) is { } kind
            ? (Entry)(appended.Entry.Deserialize(kind.Json) ?? throw new JsonException("null entry"))
            : new Entry.Unknown(appended.Kind, appended.Entry);
}
