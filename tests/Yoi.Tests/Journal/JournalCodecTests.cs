using System.Buffers;
using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;

namespace Yoi.Tests.Journal;

public sealed class JournalCodecTests
{
    private static readonly DateTimeOffset Noon = new(2026, 7, 22, 12, 0, 0, 123, TimeSpan.Zero);

    [Theory]
    [InlineData("", 0u)]
    [InlineData("123456789", 0xE3069283u)]
    [InlineData("The quick brown fox jumps over the lazy dog", 0x22620404u)]
    public void The_checksum_is_Crc32C(string text, uint crc) => Assert.Equal(crc, JournalCodec.Crc32C(Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void Every_kind_of_entry_goes_round_and_there_is_a_sample_of_each()
    {
        Assert.Equal(Kinds.Entries.Names.Order(), Samples.All.Select(entry => Kinds.Entries.Of(entry).Name).Order());
        foreach (var entry in Samples.All)
        {
            var line = Write(7, entry);
            Assert.Equal((byte)'\n', line[^1]);
            Assert.Equal(1, line.Count(b => b == (byte)'\n'));
            var record = JournalCodec.Read(line.AsSpan(..^1), 100);
            Assert.NotNull(record);
            Assert.Equal((7, Noon, 100, line.Length), (record.Seq, record.Time, record.Offset, record.Length));
            Assert.IsType(entry.GetType(), record.Entry);
            Assert.Equal(line, Write(7, record.Entry)); // Nothing was lost on the way.
            Assert.Equal(Encoding.ASCII.GetString(line.AsSpan(^11..^3)), record.Crc);
            Assert.Equal(7, JournalCodec.ClaimedSeq(line));

            var sent = JournalCodec.ToEvent(record);
            Assert.Equal(line, Write(7, JournalCodec.FromEvent(sent)));
            using var json = JsonDocument.Parse(line);
            Assert.Equal(["seq", "time", "kind", "data", "crc"], json.RootElement.EnumerateObject().Select(member => member.Name));
            Assert.Equal(sent.Kind, json.RootElement.GetProperty("kind").GetString());
        }
    }

    [Fact, Trait("case", "T06")]
    public void An_unknown_kind_is_kept_as_it_is_and_says_so()
    {
        var line = Write(1, new Entry.Unknown("dream", JsonElement.Parse("""{"of":["sheep",{"electric":true}]}""")));
        var unknown = Assert.IsType<Entry.Unknown>(JournalCodec.Read(line.AsSpan(..^1), 0)?.Entry);
        Assert.Equal(("dream", """{"of":["sheep",{"electric":true}]}"""), (unknown.Kind, unknown.Data.GetRawText()));
        Assert.Equal(line, Write(1, unknown));
    }

    [Theory, Trait("case", "T06")]
    [InlineData("run_end", """{"run":0,"reason":"bored","turns":1}""")]
    [InlineData("assistant", """{"turn":0,"blocks":[{"type":"hologram","text":"x"}]}""")]
    [InlineData("assistant", """{"turn":0,"blocks":[{"text":"no type"}]}""")]
    [InlineData("input", """{"text":null}""")]
    [InlineData("input", "null")]
    public void What_a_later_build_may_say_in_a_known_kind_is_kept_as_unknown_and_is_no_damage(string kind, string data)
    {
        var line = Write(3, new Entry.Unknown(kind, JsonElement.Parse(data)));
        var unknown = Assert.IsType<Entry.Unknown>(JournalCodec.Read(line.AsSpan(..^1), 0)?.Entry);
        Assert.Equal((kind, data), (unknown.Kind, unknown.Data.GetRawText()));
        Assert.IsType<Entry.Unknown>(JournalCodec.FromEvent(JournalCodec.ToEvent(JournalCodec.Read(line.AsSpan(..^1), 0)!)));
    }

    [Fact]
    public void Fields_that_a_later_build_adds_are_passed_over()
    {
        var line = Write(3, new Entry.Unknown("input", JsonElement.Parse("""{"text":"a","mood":"good","from":"human","queued":false}""")));
        Assert.Equal(new Entry.Input("a"), JournalCodec.Read(line.AsSpan(..^1), 0)?.Entry);
    }

    [Fact, Trait("case", "G11")]
    public void Text_cut_inside_a_character_NUL_and_four_megabytes_of_carriage_returns_are_valid_JSON()
    {
        const string family = "ab👩‍👧cd";
        for (var cut = 0; cut <= family.Length; cut++)
        {
            foreach (var piece in new[] { family[..cut], family[cut..] })
            {
                var line = Write(1, new Entry.ToolResult("c", "Bash", piece, piece + "\0" + piece, false));
                var read = Assert.IsType<Entry.ToolResult>(JournalCodec.Read(line.AsSpan(..^1), 0)?.Entry);
                Assert.Equal(Whole(piece), read.Summary);
                Assert.Equal(Whole(piece) + "\0" + Whole(piece), read.Content);
                Assert.Equal(read, JournalCodec.Read(Write(1, read).AsSpan(..^1), 0)?.Entry);
                new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(line);
            }
        }
        var returns = new string('\r', 4 << 20);
        var big = Write(1, new Entry.ToolResult("c", "Bash", "", returns, false));
        Assert.Equal(returns, Assert.IsType<Entry.ToolResult>(JournalCodec.Read(big.AsSpan(..^1), 0)?.Entry).Content);
        Assert.Equal(new Entry.Input("after"), JournalCodec.Read(Write(2, new Entry.Input("after")).AsSpan(..^1), 0)?.Entry);
    }

    [Fact]
    public void A_line_with_another_spelling_of_its_checksum_is_damage()
    {
        var seq = 1;
        byte[] line;
        do line = Write(seq++, new Entry.Input("x"));
        while (!line.AsSpan(^11..^3).ContainsAnyInRange((byte)'a', (byte)'f'));
        Assert.NotNull(JournalCodec.Checksum(line.AsSpan(..^1)));
        for (var i = line.Length - 11; i < line.Length - 3; i++) line[i] = (byte)char.ToUpperInvariant((char)line[i]);
        Assert.Null(JournalCodec.Checksum(line.AsSpan(..^1)));
        Assert.Null(JournalCodec.Read(line.AsSpan(..^1), 0));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"seq":0,"time":"2026-07-22T12:00:00.000Z","kind":"input","data":{"text":"x"}""")]
    [InlineData("""{"seq":1,"time":"yesterday","kind":"input","data":{"text":"x"}""")]
    [InlineData("""{"seq":1,"time":"2026-07-22T12:00:00.000Z","data":{"text":"x"}""")]
    [InlineData("""{"seq":1,"time":"2026-07-22T12:00:00.000Z","kind":"input","data":{"text":"x}""")]
    [InlineData("""[1,2,3""")]
    public void What_is_no_entry_is_damage_even_with_a_good_checksum(string covered)
    {
        var bytes = Encoding.UTF8.GetBytes(covered);
        var line = Encoding.UTF8.GetBytes($"{covered},\"crc\":\"{JournalCodec.Crc32C(bytes):x8}\"}}");
        Assert.Null(JournalCodec.Read(line, 0));
        Assert.Null(JournalCodec.Read(bytes, 0));
    }

    private static string Whole(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private static byte[] Write(long seq, Entry entry)
    {
        var line = new ArrayBufferWriter<byte>();
        JournalCodec.Write(line, seq, Noon, entry);
        return line.WrittenSpan.ToArray();
    }
}
