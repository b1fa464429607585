using System.Net.Sockets;
using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Scopes;
using Yoi.Tests.Journal;
using Yoi.Tests.Scopes;
using Yoi.Tests.Structure;
using NetSocket = System.Net.Sockets.Socket;

namespace Yoi.Tests.Fuzz;

/// <summary>What reads bytes that others wrote: no crash, typed errors, bounded memory, and what is whole is found.</summary>
public sealed class ReaderFuzzTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact, Trait("case", "C04")]
    public Task The_line_reader_gives_the_lines_that_were_sent_and_each_is_a_method_or_a_typed_refusal() =>
        Fuzzing.RunAsync("line-reader", 300, [.. Requests()], LinesAsync);

    // The examples of the documentation, one and several at a time.
    private static IEnumerable<byte[]> Requests()
    {
        var lines = SourceTree.Read("docs/protocol.md").Split('\n').Where(line => line.StartsWith("{\"", StringComparison.Ordinal)).ToList();
        return lines.Select(line => Encoding.UTF8.GetBytes(line + "\n")).Append(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"));
    }

    private static async Task LinesAsync(byte[] input, Random random)
    {
        const int limit = 65_536;
        var (ours, theirs) = Libc.StreamPair();
        using NetSocket to = new(ours), from = new(new SafeSocketHandle(theirs.DangerousGetHandle(), ownsHandle: true));
        theirs.SetHandleAsInvalid(); // The socket's now.
        var sending = SendAsync(to, input, random.Next(1, 5_000));
        using var stop = new CancellationTokenSource();
        using var reader = new LineReader(from, limit, stop, TimeSpan.FromMinutes(5));
        List<byte[]> lines = [];
        LineEnd end;
        while ((end = await reader.ReadAsync()) == LineEnd.Line)
        {
            lines.Add(reader.Line.ToArray());
            try
            {
                _ = WireCodec.ReadRequest(reader.Line);
            }
            catch (ProtocolException e)
            {
                Assert.NotEmpty(e.Code); // A refusal, in words.
                Assert.NotEmpty(e.Message);
            }
        }
        from.Dispose();
        await sending;
        var sent = Split(input);
        Assert.Equal(sent.Take(lines.Count), lines);
        if (end == LineEnd.TooLong) Assert.True((lines.Count < sent.Count ? sent[lines.Count] : Rest(input)).Length >= limit);
        else Assert.Equal((sent.Count, Rest(input).Length > 0 ? LineEnd.CutOff : LineEnd.Closed), (lines.Count, end));
    }

    private static async Task SendAsync(NetSocket to, byte[] input, int portion)
    {
        try
        {
            for (var at = 0; at < input.Length; at += portion) await to.SendAsync(input.AsMemory(at, Math.Min(portion, input.Length - at)), SocketFlags.None, Ct);
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The reader had enough: the line was too long.
        }
    }

    [Fact, Trait("case", "G10")]
    public async Task The_journal_reader_finds_what_is_whole_and_a_writer_and_a_repair_go_on_from_there()
    {
        await using var pod = new TempPod();
        await Fuzzing.RunAsync("journal-reader", 150, [.. await JournalsAsync()], (input, _) => JournalAsync(pod, input));
    }

    private static async Task<List<byte[]>> JournalsAsync()
    {
        List<byte[]> made = [];
        foreach (IReadOnlyList<Entry> entries in (Entry[][])[[.. Samples.All], [TempPod.Created(), new Entry.Input("hello"), new Entry.RunStart(0, null), new Entry.Notify("a", new string('x', 9_000))]])
        {
            await using var pod = new TempPod();
            pod.Open();
            await pod.Append(entries);
            await pod.CloseAsync();
            made.Add(await File.ReadAllBytesAsync(pod.Journal, Ct));
        }
        return made;
    }

    private static async Task JournalAsync(TempPod pod, byte[] input)
    {
        await pod.CloseAsync();
        foreach (var old in Directory.GetFiles(pod.Directory, PodFiles.Journal + "*")) File.Delete(old);
        await File.WriteAllBytesAsync(pod.Journal, input, Ct);
        var whole = Whole(input);
        Assert.Equal(whole, Seqs(pod, out _));
        Assert.Equal(whole.Count == 0, pod.Reader.Last() is null);
        try
        {
            pod.Open(file: path => new UnsyncedFile(path));
            await pod.Append(new Entry.Input("behind it"));
            Assert.Equal("behind it", Assert.IsType<Entry.Input>(pod.Reader.ReadAfter(Cursor.Start, out _)[^1].Entry).Text);
        }
        catch (JournalException e) when (e.Message.Contains("version", StringComparison.Ordinal))
        {
            // A version that is not ours.
        }
        await pod.CloseAsync();
        var before = Seqs(pod, out _);
        using (var right = PodLock.TryTakeJournalOfDead(pod.Directory)!) JournalRepair.Run(right, TimeProvider.System);
        var after = Seqs(pod, out var health);
        Assert.Equal(JournalHealth.Good, health);
        Assert.Subset(after.ToHashSet(), before.ToHashSet());
        using (var right = PodLock.TryTakeJournalOfDead(pod.Directory)!) Assert.Null(JournalRepair.Run(right, TimeProvider.System));
    }

    private static List<long> Seqs(TempPod pod, out JournalHealth health) => [.. pod.Reader.ReadAfter(Cursor.Start, out health).Select(record => record.Seq)];

    // By the rule of docs/journal.md: whole lines whose checksum holds, each seq once, growing.
    private static List<long> Whole(byte[] input)
    {
        List<long> seqs = [];
        foreach (var line in Split(input))
            if (line.Length < JournalCodec.MaxLineBytes && JournalCodec.Read(line, 0) is { } record && record.Seq > seqs.LastOrDefault()) seqs.Add(record.Seq);
        return seqs;
    }

    [Fact, Trait("case", "L02")]
    public async Task The_table_reader_takes_a_table_or_refuses_and_names_the_repair()
    {
        using var room = new ScopeRoom();
        await room.Table.AcquireAsync(room.Row("lead", "write:/w", "read:/r [non-recursive]", "-write:/w/é"), Ct);
        await room.Table.AcquireAsync(room.Row("other", "write:/v"), Ct);
        using var file = new TableFile(room.Directories);
        await Fuzzing.RunAsync("table-reader", 3_000, [await File.ReadAllBytesAsync(room.Directories.ScopeTable, Ct)], (input, _) =>
        {
            try
            {
                Assert.Null(file.Parse(input).Problem());
            }
            catch (ScopeException e)
            {
                Assert.Contains("yoi scopes repair", e.Message, StringComparison.Ordinal);
            }
            return Task.CompletedTask;
        });
    }

    private static List<byte[]> Split(byte[] input)
    {
        List<byte[]> lines = [];
        for (var from = 0; Array.IndexOf(input, (byte)'\n', from) is >= 0 and var at; from = at + 1) lines.Add(input[from..at]);
        return lines;
    }

    private static byte[] Rest(byte[] input) => input[(Array.LastIndexOf(input, (byte)'\n') + 1)..];
}
