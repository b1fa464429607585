using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Cli;

/// <summary>Listings read a journal that is sound once, and see what is damaged later.</summary>
public sealed class SoundVerdictTests : IDisposable
{
    private static readonly Entry.PodEnded Stopped = new(PodEnd.Stopped, "human", null, [], new Totals(1, 2, 30, 4));

    private readonly Clock _clock = new();
    private readonly CliRoom _room;

    public SoundVerdictTests() => _room = new CliRoom(time: _clock);

    public void Dispose() => _room.Dispose();

    private static Entry.Assistant Said(string text) => new(0, [new AssistantBlock.Text(text)], null, "end_turn");

    private static string JournalOf(KnownPod pod) => $"{pod.Directory}/{PodFiles.Journal}";

    private static string VerdictOf(KnownPod pod) => $"{pod.Directory}/{PodFiles.Verdict}";

    /// <summary>The state and the note of the only Pod.</summary>
    private async Task<(string State, string Note)> PsAsync()
    {
        Assert.Equal(0, await _room.RunAsync("ps", "--json"));
        Assert.Equal("", _room.Error);
        var row = JsonDocument.Parse(_room.Out).RootElement.EnumerateArray().Single();
        return (row.GetProperty("state").GetString()!, row.GetProperty("note").GetString() ?? "");
    }

    private async Task<string> GcAsync()
    {
        Assert.True(await _room.RunAsync("gc", "--older-than", "0m", "--json") is 0, _room.Error);
        return JsonDocument.Parse(_room.Out).RootElement.GetProperty("pods").EnumerateArray().Single().GetProperty("state").GetString()!;
    }

    private static FileStatus Status(string path) => Libc.Identify(path, out var status) == 0 ? status : throw new IOException(path);

    /// <summary>Harm to the first thing said; size and time of the content stay as they were.</summary>
    private static void Damage(KnownPod pod)
    {
        var (bytes, modified) = (File.ReadAllBytes(JournalOf(pod)), File.GetLastWriteTimeUtc(JournalOf(pod)));
        bytes[bytes.AsSpan().IndexOf("first"u8)] = (byte)'F';
        using (var file = File.OpenHandle(JournalOf(pod), FileMode.Open, FileAccess.Write)) RandomAccess.Write(file, bytes, 0);
        File.SetLastWriteTimeUtc(JournalOf(pod), modified);
    }

    /// <summary>A verdict that the journal is sound as it is now, whatever is in it.</summary>
    private static void Claim(KnownPod pod)
    {
        using var file = PrivateFile.OpenToRead(JournalOf(pod))!;
        SoundVerdict.Keep(pod.Directory, file, Libc.Identify(file));
    }

    [Fact, Trait("case", "G10")]
    public async Task What_was_found_sound_is_not_read_again_by_ps_or_gc()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Said("second"), Stopped);
        var second = pod.Journal.ReadAfter(Cursor.Start, out _)[1].Offset;
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(VerdictOf(pod)));
        Assert.False(File.Exists(VerdictOf(pod) + ".new"));
        var kept = File.ReadAllText(VerdictOf(pod));

        // The same words that ps wrote, for a journal with damage in it: whoever believes them has not read it.
        Claim(pod);
        Assert.Equal(kept, File.ReadAllText(VerdictOf(pod)));
        Damage(pod);
        Claim(pod);
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.Equal("ended", await GcAsync());

        File.Delete(VerdictOf(pod)); // The control: the damage is there.
        Assert.Equal("damaged", await GcAsync());
        var (state, note) = await PsAsync();
        Assert.Equal("damaged", state);
        Assert.Contains($"journal.jsonl line 2 (byte {second}): the checksum does not hold", note, StringComparison.Ordinal);
        Assert.False(File.Exists(VerdictOf(pod)));
    }

    [Theory, Trait("case", "G10")]
    [InlineData("in place"), InlineData("another file"), InlineData("shorter")]
    public async Task Damage_behind_a_verdict_is_seen_and_after_a_repair_there_is_another(string how)
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Stopped);
        Assert.Equal("ended", (await PsAsync()).State);
        var kept = File.ReadAllText(VerdictOf(pod));
        switch (how)
        {
            case "in place":
                Damage(pod);
                break;
            case "another file":
                var modified = File.GetLastWriteTimeUtc(JournalOf(pod));
                File.WriteAllText(pod.Directory + "/aside", File.ReadAllText(JournalOf(pod)).Replace("first", "First", StringComparison.Ordinal));
                File.SetUnixFileMode(pod.Directory + "/aside", UnixFileMode.UserRead | UnixFileMode.UserWrite);
                File.SetLastWriteTimeUtc(pod.Directory + "/aside", modified);
                File.Move(pod.Directory + "/aside", JournalOf(pod), overwrite: true);
                break;
            default:
                File.WriteAllText(JournalOf(pod), File.ReadAllText(JournalOf(pod)).Replace("first", "fist", StringComparison.Ordinal));
                break;
        }
        Assert.Equal("damaged", (await PsAsync()).State);
        Assert.Equal("damaged", (await PsAsync()).State); // Damage is not remembered: it is named each time.
        Assert.Equal(0, await _room.RunAsync("repair", "api"));
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.NotEqual(kept, File.ReadAllText(VerdictOf(pod)));
        Assert.Equal(0, await _room.RunAsync("rm", "api"));
        Assert.False(Directory.Exists(pod.Directory));
    }

    [Fact]
    public async Task A_Pod_that_was_dead_lived_on_and_ended_is_read_again()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"));
        Assert.Equal("dead", (await PsAsync()).State);
        var kept = File.ReadAllText(VerdictOf(pod));
        using (var life = PodLock.TryTake(pod.Directory)!)
        await using (var journal = JournalWriter.Open(pod.Directory, life, [], TimeProvider.System))
            await journal.AppendAsync(Durability.Synced, Stopped);
        Damage(pod);
        Assert.Equal("damaged", (await PsAsync()).State);
        File.WriteAllText(JournalOf(pod), File.ReadAllText(JournalOf(pod)).Replace("First", "first", StringComparison.Ordinal));
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.NotEqual(kept, File.ReadAllText(VerdictOf(pod)));
    }

    [Fact]
    public async Task A_journal_that_changed_just_now_is_not_remembered()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Stopped);
        var changed = Status(JournalOf(pod)).Changed;
        _clock.Now = changed + TimeSpan.FromSeconds(2);
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.False(File.Exists(VerdictOf(pod)));
        _clock.Now = changed - TimeSpan.FromHours(1); // A clock that was set back.
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.False(File.Exists(VerdictOf(pod)));
        _clock.Now = changed + TimeSpan.FromSeconds(2) + TimeSpan.FromTicks(1);
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.True(File.Exists(VerdictOf(pod)));
    }

    [Theory]
    [InlineData("garbage"), InlineData("long"), InlineData("half"), InlineData("directory"), InlineData("link"), InlineData("directory aside")]
    public async Task A_verdict_that_cannot_be_used_is_no_error_and_hides_no_damage(string what)
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Stopped);
        Claim(pod);
        var words = File.ReadAllText(VerdictOf(pod));
        File.Delete(VerdictOf(pod));
        switch (what)
        {
            case "garbage": File.WriteAllBytes(VerdictOf(pod), [0, 255, 10]); break;
            case "long": File.WriteAllText(VerdictOf(pod), words + new string('x', 1000)); break;
            case "half": File.WriteAllText(VerdictOf(pod), words[..^10]); break;
            case "directory": Directory.CreateDirectory(VerdictOf(pod)); break;
            case "link": File.CreateSymbolicLink(VerdictOf(pod), "/etc/hostname"); break;
            default: Directory.CreateDirectory(VerdictOf(pod) + ".new"); break;
        }
        Assert.Equal("ended", (await PsAsync()).State);
        Damage(pod);
        Assert.Equal("damaged", (await PsAsync()).State);
        Assert.Equal(0, await _room.RunAsync("rm", "api"));
        Assert.False(Directory.Exists(pod.Directory));
    }

    [Fact, Trait("case", "G10")]
    public async Task Damage_that_changed_no_time_is_listed_once_somebody_has_read_the_lines()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Stopped);
        Damage(pod);
        Claim(pod); // As if the disk had lost it.
        Assert.Equal("ended", (await PsAsync()).State);
        Assert.Equal(0, await _room.RunAsync("log", "api"));
        Assert.Contains("journal.jsonl line 2", _room.Error, StringComparison.Ordinal);
        Assert.Equal("damaged", (await PsAsync()).State);
    }

    /// <summary>Later than any file of the test, unless it is set.</summary>
    private sealed class Clock : TimeProvider
    {
        internal DateTimeOffset? Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now ?? System.GetUtcNow() + TimeSpan.FromHours(1);
    }
}
