using System.Buffers;
using System.Text;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Journal;
using Yoi.Tests.Fuzz;

namespace Yoi.Tests.Journal;

/// <summary>What is read quickly is what the generated code reads, or is left to it.</summary>
public sealed class EntryReaderTests
{
    private static readonly Entry[] Frequent =
    [
        new Entry.Input(Samples.Hard), new Entry.Input("", "lead", Queued: true), new Entry.Notify("clock", "It is noon."), new Entry.RunStart(0, null), new Entry.RunStart(3, 4),
        new Entry.TurnStart(int.MaxValue), new Entry.RunEnded(3, RunEnd.Completed, null, null, 7), new Entry.Notification("warn", "journal", Samples.Hard),
        new Entry.Assistant(0, [], null, null), new Entry.Assistant(1, [new AssistantBlock.Text(Samples.Hard)], new Usage(1, 2), "end_turn", Partial: true),
        new Entry.Assistant(
            2,
            [
                new AssistantBlock.Thinking("Hm.", "sig=="), new AssistantBlock.Thinking("", null, Redacted: true), new AssistantBlock.ToolCall("c1", "Read", """{"path":"a\\b"}"""),
                new AssistantBlock.ToolCall("c2", "Bash", "{}", "\"sig\""),
            ],
            new Usage(1_200, 34, 1_000, 200), "tool_use"),
        new Entry.ToolResult("c1", "Read", "12 lines", Samples.Hard, IsError: false), new Entry.ToolResult("c2", "Bash", "", null, IsError: true, OutcomeUnknown: true),
        new Entry.CommandStarted("1", "make", "/home/me/repo", null, Background: false, "kernel", 4_400, "987800", "8a2f0c1e", 4_026_532_181),
        new Entry.CommandStarted("tests", "make test", "/home/me/repo", "c2", Background: true, "partial", 4_401, "987801", "8a2f0c1e", 1),
        new Entry.CommandEnded("1", 0, "exited"), new Entry.CommandEnded("tests", null, "killed"),
    ];

    [Fact]
    public void What_journals_are_full_of_is_read_quickly_and_whole()
    {
        foreach (var entry in Frequent)
        {
            var kind = Kinds.Entries.Of(entry);
            var data = JsonSerializer.SerializeToUtf8Bytes(entry, kind.Json);
            var read = EntryReader.Read(kind, Written(entry));
            Assert.True(read is not null, $"{kind.Name} was left to the generated code: {Encoding.UTF8.GetString(Written(entry))}");
            Assert.Equal(data, JsonSerializer.SerializeToUtf8Bytes(read, kind.Json));
        }
    }

    [Theory]
    [InlineData("turn_start", """{"turn":07}""")]
    [InlineData("turn_start", """{"turn":+7}""")]
    [InlineData("turn_start", """{"turn":-7}""")]
    [InlineData("turn_start", """{"turn":7.0}""")]
    [InlineData("turn_start", """{"turn":7e1}""")]
    [InlineData("turn_start", """{"turn":2147483648}""")]
    [InlineData("turn_start", """{"turn":7,"mood":"good"}""")]
    [InlineData("turn_start", """{"turn":7} """)]
    [InlineData("turn_start", """{"turn":7}{"turn":8}""")]
    [InlineData("notify", """{"message":"a","source":"b"}""")]
    [InlineData("notify", """{"source":"a"}""")]
    [InlineData("notify", """{"source":null,"message":"b"}""")]
    [InlineData("notify", "{\"source\":\"a\tb\",\"message\":\"b\"}")]
    [InlineData("run_end", """{"run":0,"reason":"cancelled","by":"human","turns":1}""")]
    [InlineData("assistant", """{"turn":0,"blocks":[{"type":"text","text":"a"},],"partial":false}""")]
    [InlineData("assistant", """{"turn":0,"blocks":[{"type":"hologram","text":"a"}],"partial":false}""")]
    [InlineData("assistant", """{"turn":0,"blocks":[],"usage":{"input_tokens":null,"output_tokens":1},"partial":false}""")]
    [InlineData("tool_result", """{"call_id":"c","name":"n","summary":"s","is_error":false,"outcome_unknown":false,"told":[]}""")]
    [InlineData("pod_created", "{}")]
    public void What_looks_different_is_left_to_the_generated_code(string kind, string data) => Assert.Null(Quick(Kinds.Entries.Named(kind)!, Encoding.UTF8.GetBytes(data)));

    [Fact, Trait("case", "G10")]
    public Task What_is_read_quickly_is_what_the_generated_code_reads() =>
        Fuzzing.RunAsync("entry-reader", 20_000, [.. Frequent.Concat(Samples.All).Select(Named)], (input, _) =>
        {
            var split = input.AsSpan().IndexOf((byte)' ');
            if (split < 0 || Kinds.Entries.Named(input.AsSpan(0, split)) is not { } kind) return Task.CompletedTask;
            var data = input.AsSpan(split + 1);
            if (Quick(kind, data) is { } read)
                Assert.Equal(JsonSerializer.SerializeToUtf8Bytes(JsonSerializer.Deserialize(data, kind.Json), kind.Json), JsonSerializer.SerializeToUtf8Bytes(read, kind.Json));
            return Task.CompletedTask;
        });

    [Fact]
    public async Task A_Pod_knows_the_same_whether_its_journal_is_read_quickly_or_not()
    {
        const int seed = 20_261_126;
        var random = new Random(seed);
        await using TempPod quick = new(), slow = new();
        WriteLines(quick, slow, [TempPod.Created(), .. Enumerable.Range(0, 3_000).Select(_ => random.GetItems([.. Frequent, .. Samples.All], 1)[0])]);
        Assert.Equal(Known(slow), Known(quick));
    }

    [Fact, Trait("case", "G10")]
    public async Task Damage_at_any_byte_is_found_in_its_line()
    {
        await using var pod = new TempPod();
        WriteLines(pod, null, [TempPod.Created(), .. Frequent]);
        var good = await File.ReadAllBytesAsync(pod.Journal, TempPod.Ct);
        var records = pod.Reader.ReadAfter(Cursor.Start, out _);
        foreach (var (record, number) in records.Select((record, index) => (record, index + 1)))
        {
            for (var at = record.Offset; at < record.Offset + record.Length - 1; at++)
            {
                var bad = (byte[])good.Clone();
                bad[at] ^= 1;
                await File.WriteAllBytesAsync(pod.Journal, bad, TempPod.Ct);
                Assert.Equal(records.Count - 1, pod.Reader.ReadAfter(Cursor.Start, out var health).Count);
                Assert.Equal(new JournalHealth(1, 0, (number, record.Offset)), health);
            }
        }
    }

    // The same twice; in the second with a member that a later build may add, so that all of it is the generated code's to read.
    private static void WriteLines(TempPod quick, TempPod? slow, IReadOnlyList<Entry> entries)
    {
        ArrayBufferWriter<byte> lines = new(), others = new();
        foreach (var (entry, seq) in entries.Select((entry, index) => (entry, index + 1)))
        {
            JournalCodec.Write(lines, seq, DateTimeOffset.UnixEpoch, entry);
            var json = $$"""{"later":1,{{Encoding.UTF8.GetString(Written(entry))[1..]}}""";
            JournalCodec.Write(others, seq, DateTimeOffset.UnixEpoch, new Entry.Unknown(Kinds.Entries.Of(entry).Name, JsonElement.Parse(json)));
        }
        File.WriteAllBytes(quick.Journal, lines.WrittenSpan);
        if (slow is not null) File.WriteAllBytes(slow.Journal, others.WrittenSpan);
    }

    private static string Known(TempPod pod)
    {
        var ledger = new PodLedger();
        List<string> all = [];
        foreach (var record in pod.Reader.ReadAfter(Cursor.Start, out var health))
        {
            Assert.Equal(JournalHealth.Good, health);
            ledger.Apply(record);
            all.Add(string.Join(' ', record.Seq, Encoding.UTF8.GetString(Written(record.Entry)), ledger.Run, ledger.Held, ledger.Interrupted, ledger.TurnsOfRun, ledger.NextRun, ledger.NextTurn, ledger.Totals,
                ledger.SandboxLevel, ledger.QueuedInputs, ledger.FirstQueued, ledger.UnseenNotice, ledger.WakingNotice, string.Join(',', ledger.OpenCalls), string.Join(',', ledger.Children)));
        }
        return string.Join('\n', all);
    }

    private static Entry? Quick(Kind kind, ReadOnlySpan<byte> data)
    {
        try
        {
            return EntryReader.Read(kind, data);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null; // What the reader of lines makes of it.
        }
    }

    private static byte[] Named(Entry entry) => [.. Encoding.ASCII.GetBytes(Kinds.Entries.Of(entry).Name), (byte)' ', .. Written(entry)];

    // The data as it stands in a line.
    private static byte[] Written(Entry entry)
    {
        var line = new ArrayBufferWriter<byte>();
        JournalCodec.Write(line, 1, DateTimeOffset.UnixEpoch, entry);
        var data = line.WrittenSpan[(line.WrittenSpan.IndexOf(",\"data\":"u8) + 8)..];
        return data[..data.LastIndexOf(",\"crc\":"u8)].ToArray();
    }
}
