using System.Buffers;
using System.Buffers.Text;
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

    /// <summary>Longest line that is written or read, its newline included. Longer ones are damage.</summary>
    public const int MaxLineBytes = 32 * 1024 * 1024;

    private const int TailLength = 18; // ,"crc":"12345678"}
    private const int StampLength = 24; // 2026-07-22T12:00:00.000Z
    private const int KeptScratch = 64 * 1024;

    [ThreadStatic]
    private static Scratch? _scratch;

    /// <summary>Writes one line, newline included, and returns its checksum.</summary>
    public static string Write(IBufferWriter<byte> to, long seq, DateTimeOffset time, Entry entry)
    {
        var scratch = _scratch ?? new Scratch();
        _scratch = null; // A writer that throws half-way is not used again.
        var json = scratch.Json;
        json.WriteStartObject();
        json.WriteNumber("seq"u8, seq);
        Span<byte> stamp = stackalloc byte[StampLength];
        time.UtcDateTime.TryFormat(stamp, out var stampLength, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        json.WriteString("time"u8, stamp[..stampLength]);
        if (entry is Entry.Unknown unknown)
        {
            json.WriteString("kind"u8, unknown.Kind);
            json.WritePropertyName("data"u8);
            unknown.Data.WriteTo(json);
        }
        else
        {
            var kind = Kinds.Entries.Of(entry);
            json.WriteString("kind"u8, kind.Name);
            json.WritePropertyName("data"u8);
            JsonSerializer.Serialize(json, entry, kind.Json);
        }
        json.Flush();

        // The object is closed by hand, behind the checksum of what is before it.
        var covered = scratch.Body.WrittenSpan;
        var crc = Crc32C(covered);
        var line = to.GetSpan(covered.Length + TailLength + 1);
        covered.CopyTo(line);
        var tail = line.Slice(covered.Length, TailLength + 1);
        ",\"crc\":\""u8.CopyTo(tail);
        crc.TryFormat(tail[8..], out _, "x8", CultureInfo.InvariantCulture);
        "\"}\n"u8.CopyTo(tail[16..]);
        to.Advance(covered.Length + TailLength + 1);

        if (scratch.Body.Capacity <= KeptScratch)
        {
            scratch.Body.ResetWrittenCount();
            json.Reset();
            _scratch = scratch;
        }
        return crc.ToString("x8", CultureInfo.InvariantCulture);
    }

    /// <summary>Reads one line without its newline. Null if the checksum does not hold or it is no entry.</summary>
    /// <param name="line">The line's bytes.</param>
    /// <param name="offset">Byte offset of the line in its file.</param>
    public static JournalRecord? Read(ReadOnlySpan<byte> line, long offset)
    {
        if (Checksum(line) is not { } crc) return null;
        try
        {
            return ParseAsWritten(line, offset, crc) ?? Parse(line, offset, crc);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null; // The checksum holds and yet it is no entry: damage, which the reader counts and shows.
        }
    }

    /// <summary>The seq at the beginning of a line, unverified; 0 if there is none.</summary>
    public static long ClaimedSeq(ReadOnlySpan<byte> line)
    {
        const int prefix = 7; // {"seq":
        return line.StartsWith("{\"seq\":"u8) && Utf8Parser.TryParse(line[prefix..], out long seq, out var length)
            && line[(prefix + length)..].StartsWith(","u8) ? seq : 0;
    }

    /// <summary>The kind of a line that is as this format writes it, unverified; null if it is none that is known here.</summary>
    internal static Kind? ClaimedKind(ReadOnlySpan<byte> line) => TakeHead(ref line, out _, out _, out var kind) ? kind : null;

    /// <summary>The checksum that a line carries, if it holds; else null.</summary>
    public static string? Checksum(ReadOnlySpan<byte> line) => ChecksumHolds(line) ? Encoding.ASCII.GetString(line[^TailLength..].Slice(8, 8)) : null;

    /// <summary>True if a line carries a checksum that holds.</summary>
    internal static bool ChecksumHolds(ReadOnlySpan<byte> line)
    {
        if (line.Length <= TailLength) return false;
        var tail = line[^TailLength..];
        if (!tail.StartsWith(",\"crc\":\""u8) || !tail.EndsWith("\"}"u8)) return false;
        var crc = Crc32C(line[..^TailLength]);
        foreach (var digit in tail.Slice(8, 8)) // Compared digit by digit: of all spellings of the number, one is right.
        {
            if (digit != "0123456789abcdef"u8[(int)(crc >> 28)]) return false;
            crc <<= 4;
        }
        return true;
    }

    // The quick way through lines as Write makes them, which are all there are of this version. Null leaves it to Parse.
    private static JournalRecord? ParseAsWritten(ReadOnlySpan<byte> line, long offset, string crc)
    {
        var rest = line[..^TailLength];
        if (!TakeHead(ref rest, out var seq, out var written, out var kind) || kind is null) return null;
        if (!TryReadStamp(written, out var time)) return null;
        try
        {
            var entry = EntryReader.Read(kind, rest) ?? JsonSerializer.Deserialize(rest, kind.Json) as Entry;
            return entry is null ? null : new JournalRecord(seq, time, entry, offset, line.Length + 1, crc);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
        {
            return null; // More members than those, or data that is not known here.
        }
    }

    /// <summary>Takes what stands before a line's data; false if it is not as Write makes it.</summary>
    private static bool TakeHead(ref ReadOnlySpan<byte> rest, out long seq, out ReadOnlySpan<byte> stamp, out Kind? kind)
    {
        (seq, kind) = (0, null);
        stamp = default;
        if (!Skip(ref rest, "{\"seq\":"u8) || !Utf8Parser.TryParse(rest, out seq, out var digits) || seq < 1) return false;
        rest = rest[digits..];
        if (!Skip(ref rest, ",\"time\":\""u8) || rest.Length < StampLength) return false;
        stamp = rest[..StampLength];
        rest = rest[StampLength..];
        if (!Skip(ref rest, "\",\"kind\":\""u8) || rest.IndexOf((byte)'"') is not (> 0 and var length)) return false;
        kind = Kinds.Entries.Named(rest[..length]);
        rest = rest[length..];
        return Skip(ref rest, "\",\"data\":"u8);
    }

    // .NET's own format of times, "O", has four digits more.
    private static bool TryReadStamp(ReadOnlySpan<byte> stamp, out DateTimeOffset time)
    {
        Span<byte> full = stackalloc byte[StampLength + 4];
        stamp[..^1].CopyTo(full);
        "0000"u8.CopyTo(full[(StampLength - 1)..]);
        full[^1] = stamp[^1];
        return Utf8Parser.TryParse(full, out time, out var length, 'O') && length == full.Length;
    }

    private static bool Skip(ref ReadOnlySpan<byte> line, ReadOnlySpan<byte> what)
    {
        if (!line.StartsWith(what)) return false;
        line = line[what.Length..];
        return true;
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

    // Data of a known kind that this build cannot read (a later build's block or reason) is kept, too, and shown as unknown.
    private static Entry ReadEntry(ref Utf8JsonReader json, string name)
    {
        if (Kinds.Entries.Named(name) is { } kind)
        {
            var before = json;
            try
            {
                if (JsonSerializer.Deserialize(ref json, kind.Json) is Entry entry) return entry;
            }
            catch (Exception e) when (e is JsonException or NotSupportedException)
            {
                // Read once more below, as it is.
            }
            json = before;
        }
        return new Entry.Unknown(name, JsonElement.ParseValue(ref json));
    }

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
    public static Entry FromEvent(Event.Appended appended)
    {
        if (Kinds.Entries.Named(appended.Kind) is not { } kind) return new Entry.Unknown(appended.Kind, appended.Entry);
        try
        {
            return appended.Entry.Deserialize(kind.Json) as Entry ?? new Entry.Unknown(appended.Kind, appended.Entry);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            return new Entry.Unknown(appended.Kind, appended.Entry);
        }
    }

    private sealed class Scratch
    {
        internal Scratch() => Json = new Utf8JsonWriter(Body, YoiJson.Writer);

        internal ArrayBufferWriter<byte> Body { get; } = new(1024);

        internal Utf8JsonWriter Json { get; }
    }
}
