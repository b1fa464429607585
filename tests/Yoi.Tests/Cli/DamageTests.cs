using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Cli;

/// <summary>One Pod's files are damaged: it is named, all others go on, and what can be proven comes back.</summary>
public sealed class DamageTests : IDisposable
{
    private static readonly Entry.PodEnded Stopped = new(PodEnd.Stopped, "human", null, [], new Totals(1, 2, 30, 4));

    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static Entry.Assistant Said(string text) => new(0, [new AssistantBlock.Text(text)], null, "end_turn");

    private async Task<Dictionary<string, JsonElement>> PsAsync()
    {
        Assert.Equal(0, await _room.RunAsync("ps", "--json"));
        return JsonDocument.Parse(_room.Out).RootElement.EnumerateArray().ToDictionary(row => row.GetProperty("name").GetString()!);
    }

    private static string JournalOf(KnownPod pod) => pod.Directory + "/" + PodFiles.Journal;

    public static TheoryData<string, string> Harm() => new()
    {
        { PodFiles.Journal, "flip" }, { PodFiles.Journal, "cut" }, { PodFiles.Journal, "garbage" }, { PodFiles.Journal, "empty" }, { PodFiles.Journal, "directory" },
        { PodFiles.Journal, "link" }, { PodFiles.Journal, "gone" }, { PodFiles.Lock, "flip" }, { PodFiles.Lock, "garbage" }, { PodFiles.Lock, "directory" },
        { PodFiles.Lock, "link" }, { PodFiles.Lock, "gone" }, { PodFiles.Stderr, "garbage" }, { PodFiles.Stderr, "directory" }, { PodFiles.Stderr, "link" },
        { "killed.txt", "garbage" }, { "killed.txt", "directory" }, { "commands/1-1", "garbage" }, { "commands/1-1", "directory" }, { PodFiles.Commands, "garbage" },
    };

    [Theory, Trait("case", "G10")]
    [MemberData(nameof(Harm))]
    public async Task Whatever_becomes_of_a_file_of_one_Pod_all_others_list_log_start_and_end(string file, string what)
    {
        var healthy = await _room.DeadPodAsync("healthy", Said("fine"), Stopped);
        var victim = await _room.DeadPodAsync("victim", Said("first"), Said("second"), Said("third"), Stopped);
        _room.Surroundings.Table.Open();
        Spoil(Path.Combine(victim.Directory, file), what);

        var rows = await PsAsync();
        Assert.Equal(["healthy", "victim"], rows.Keys.Order());
        Assert.Equal("ended", rows["healthy"].GetProperty("state").GetString());
        if (rows["victim"].GetProperty("state").GetString() == "damaged")
            Assert.Contains(Path.GetFileName(file), rows["victim"].GetProperty("note").GetString(), StringComparison.Ordinal);
        else Assert.False((file == PodFiles.Journal && what != "cut") || (file == PodFiles.Lock && what is "directory" or "link"), "not told");
        Assert.Equal(0, await _room.RunAsync("log", "healthy"));
        Assert.Contains("fine", _room.Out, StringComparison.Ordinal);
        Assert.NotEqual(ExitCode.Fault, await _room.RunAsync("log", "victim"));
        Assert.NotEqual(ExitCode.Fault, await _room.RunAsync("read", "victim"));
        Assert.True(await _room.RunAsync("gc", "--older-than", "0m") is 0, _room.Error);
        Assert.Contains("would remove healthy", _room.Out, StringComparison.Ordinal);

        // A scope can be taken, and given back, beside it.
        using var table = _room.Surroundings.Table;
        table.Open();
        var id = PodName.NewId(TimeProvider.System);
        using (var life = PodLock.TryTake(_room.Surroundings.Directories.Pod("next", id)))
        {
            await table.AcquireAsync(new(id, "next", life!.Directory, null, id, 0, false, 0, new([new(_room.Cwd, Permission.Write)], []), new(), null), Ct);
            await table.ReleaseAsync(id, Ct);
        }
        Assert.Equal(0, await _room.RunAsync("rm", "healthy"));

        Assert.True(await _room.RunAsync("repair", "victim") is 0, _room.Error);
        Assert.Equal(0, await _room.RunAsync("repair", "victim"));
        Assert.Contains("victim: nothing is damaged", _room.Out, StringComparison.Ordinal); // The second time.
        Assert.DoesNotContain("damaged", (await PsAsync())["victim"].GetProperty("note").GetString() ?? "", StringComparison.Ordinal);
    }

    [Theory, Trait("case", "G10")]
    [InlineData("directory")]
    [InlineData("link")]
    public async Task A_journal_that_cannot_be_read_keeps_none_of_all_from_coming_back(string what)
    {
        _room.Surroundings.Table.Open();
        var victim = await _room.DeadPodAsync("victim", Said("first"));
        Spoil(JournalOf(victim), what);
        Assert.True(await _room.RunAsync("restore", "--all") is 0, _room.Error);
        Assert.NotEqual(0, await _room.RunAsync("restore", "victim")); // Which says why.
        Assert.Contains(PodFiles.Journal, _room.Error, StringComparison.Ordinal);
    }

    private static void Spoil(string path, string what)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var bytes = File.Exists(path) ? File.ReadAllBytes(path) : [];
        if (what is "directory" or "link" or "gone" or "garbage") File.Delete(path);
        switch (what)
        {
            case "flip" when bytes.Length > 0: bytes[bytes.Length / 2] ^= 0x10; File.WriteAllBytes(path, bytes); break;
            case "cut": File.WriteAllBytes(path, bytes[..^10]); break;
            case "garbage": File.WriteAllBytes(path, [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 37 + i / 7)), (byte)'\n']); break;
            case "empty": File.WriteAllBytes(path, "\n"u8.ToArray()); break;
            case "directory": Directory.CreateDirectory(path); break;
            case "link": File.CreateSymbolicLink(path, "/etc/hostname"); break;
        }
    }

    [Fact, Trait("case", "G10")]
    public async Task Damage_is_named_with_file_line_and_offset_and_is_counted()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Said("second"), Said("third"), Stopped);
        var records = pod.Journal.ReadAfter(Cursor.Start, out _);
        var text = File.ReadAllText(JournalOf(pod)).Replace("first", "FIRST", StringComparison.Ordinal).Replace("third", "THIRD", StringComparison.Ordinal);
        File.WriteAllText(JournalOf(pod), text);
        var row = (await PsAsync())["api"];
        Assert.Equal(("damaged", "stopped by human"), (row.GetProperty("state").GetString(), row.GetProperty("end").GetString()));
        Assert.Equal($"journal.jsonl line 2 (byte {records[1].Offset}): the checksum does not hold, and 1 more; `yoi repair api` restores what can be restored", row.GetProperty("note").GetString());
        Assert.Equal(0, await _room.RunAsync("ps"));
        Assert.Contains($"api: journal.jsonl line 2 (byte {records[1].Offset})", _room.Out, StringComparison.Ordinal);
        Assert.Equal(0, await _room.RunAsync("log", "api"));
        Assert.Contains($"line 2 (byte {records[1].Offset})", _room.Error, StringComparison.Ordinal);
        Assert.Contains($"line 4 (byte {records[3].Offset})", _room.Error, StringComparison.Ordinal);
        Assert.Contains("second", _room.Out, StringComparison.Ordinal);
        Assert.Equal(0, await _room.RunAsync("read", "api"));
        Assert.Equal("second\n", _room.Out);
        Assert.Contains("2 damaged lines in the journal of api left out; `yoi log api` names each", _room.Error, StringComparison.Ordinal);
    }

    [Theory, Trait("case", "G10")]
    [InlineData("log"), InlineData("read")]
    public async Task A_damaged_last_line_is_counted_once(string verb)
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Said("last"));
        File.WriteAllText(JournalOf(pod), File.ReadAllText(JournalOf(pod)).Replace("last", "LAST", StringComparison.Ordinal));
        Assert.Equal(0, await _room.RunAsync(verb, "api"));
        Assert.Contains("1 damaged line in the journal of api left out", _room.Error, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "G10")]
    public async Task A_bit_that_turned_anywhere_in_a_journal_is_found_and_turned_back()
    {
        const int seed = 4711, flips = 1_000;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var pod = await _room.DeadPodAsync("api", Said("first 👩‍👩‍👧 \" \\"), new Entry.Input(new string('x', 3000)), Said("third"), Stopped);
        var whole = File.ReadAllBytes(JournalOf(pod));
        for (var flip = 0; flip < flips; flip++)
        {
            var bytes = (byte[])whole.Clone();
            var (at, bit) = (random.Next(bytes.Length), random.Next(8));
            bytes[at] ^= (byte)(1 << bit);
            File.WriteAllBytes(JournalOf(pod), bytes);
            Assert.NotEqual(JournalHealth.Good, Health(pod)); // Found…
            using (var right = PodLock.TryTakeJournalOfDead(pod.Directory)!)
            {
                var report = JournalRepair.Run(right, TimeProvider.System)!;
                Assert.True(report.Places.All(place => place.Restored), $"seed {seed}, flip {flip}: bit {bit} of byte {at}: {string.Join("; ", report.Places)}");
                Assert.Equal(bytes, File.ReadAllBytes($"{pod.Directory}/{Assert.Single(report.Kept)}"));
                File.Delete($"{pod.Directory}/{report.Kept[0]}");
            }
            Assert.Equal(whole, File.ReadAllBytes(JournalOf(pod))); // …and turned back.
        }
    }

    private static JournalHealth Health(KnownPod pod)
    {
        pod.Journal.ReadAfter(Cursor.Start, out var health);
        return health;
    }

    [Fact, Trait("case", "G10")]
    public async Task What_is_lost_for_good_is_said_in_its_place_and_the_rest_is_kept()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Said("second"), Said("third"), Stopped);
        var before = pod.Journal.ReadAfter(Cursor.Start, out _);
        var text = File.ReadAllText(JournalOf(pod)).Replace("second", "SECOND", StringComparison.Ordinal);
        File.WriteAllText(JournalOf(pod), text);
        Assert.Equal(0, await _room.RunAsync("repair", "api", "--json"));
        var row = JsonDocument.Parse(_room.Out).RootElement[0];
        var place = Assert.Single(row.GetProperty("places").EnumerateArray());
        Assert.Equal((3, before[2].Offset, false), (place.GetProperty("line").GetInt32(), place.GetProperty("offset").GetInt64(), place.GetProperty("restored").GetBoolean()));
        Assert.Equal(text, File.ReadAllText(Assert.Single(row.GetProperty("kept").EnumerateArray()).GetString()!));

        var after = pod.Journal.ReadAfter(Cursor.Start, out var health);
        Assert.Equal(JournalHealth.Good, health);
        Assert.Equal([1, 2, 3, 4, 5], after.Select(record => record.Seq));
        Assert.Equal(new Entry.Repaired(0, 0, Lost: true), after[2].Entry);
        Assert.Equal(before.Where(record => record.Seq != 3).Select(record => record.Crc), after.Where(record => record.Seq != 3).Select(record => record.Crc));
        Assert.Equal("ended", (await PsAsync())["api"].GetProperty("state").GetString());
        Assert.Equal(0, await _room.RunAsync("log", "api"));
        Assert.Contains("could not be restored", _room.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_living_Pod_is_not_repaired()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"));
        File.WriteAllText(JournalOf(pod), File.ReadAllText(JournalOf(pod)).Replace("first", "FIRST", StringComparison.Ordinal));
        var before = File.ReadAllBytes(JournalOf(pod));
        using (PodLock.TryTake(pod.Directory))
        {
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("repair", "api"));
            Assert.Contains("`yoi stop api` first", _room.Error, StringComparison.Ordinal);
            var row = (await PsAsync())["api"];
            Assert.Equal("not_answering", row.GetProperty("state").GetString()); // Alive is never called anything else…
            Assert.Contains("line 2", row.GetProperty("note").GetString(), StringComparison.Ordinal); // …and its damage is told.
        }
        Assert.Equal(before, File.ReadAllBytes(JournalOf(pod)));
        Assert.Equal(0, await _room.RunAsync("repair", "api")); // The positive control.
        Assert.NotEqual(before, File.ReadAllBytes(JournalOf(pod)));
    }
}
