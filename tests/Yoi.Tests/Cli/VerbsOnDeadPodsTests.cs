using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;

namespace Yoi.Tests.Cli;

public sealed class VerbsOnDeadPodsTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private static readonly Entry.PodEnded Stopped = new(PodEnd.Stopped, "human", null, [], new Totals(1, 2, 30, 4));

    private static Entry.Assistant Said(string text) => new(0, [new AssistantBlock.Text(text)], null, "end_turn");

    [Fact]
    public async Task A_name_that_was_never_used_is_4_and_the_message_names_those_that_were()
    {
        Assert.Equal(ExitCode.NotFound, await _room.RunAsync("log", "nobody"));
        Assert.Contains("there are no Pods yet", _room.Error, StringComparison.Ordinal);
        await _room.DeadPodAsync("somebody", Stopped);
        foreach (var verb in new[] { "log", "read", "stop", "attach", "rm", "wait" })
        {
            Assert.Equal(ExitCode.NotFound, await _room.RunAsync(verb, "nobody"));
            Assert.Contains("there are: somebody", _room.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_name_means_the_newest_Pod_of_that_name()
    {
        var old = await _room.DeadPodAsync("api", Said("old"), Stopped);
        await _room.DeadPodAsync("api", Said("new"), Stopped);
        await _room.RunAsync("read", "api");
        Assert.Equal("new\n", _room.Out);
        await _room.RunAsync("read", old.PodId);
        Assert.Equal("old\n", _room.Out);
    }

    [Fact]
    public async Task Nothing_to_remove_is_said()
    {
        Assert.Equal(0, await _room.RunAsync("rm", "--all-ended"));
        Assert.Equal("no Pod has ended; nothing was removed\n", _room.Error);
    }

    [Theory]
    [InlineData("the task is empty", "run", " ")]
    [InlineData("the message is empty", "send", "api", " ")]
    public async Task A_text_without_a_word_is_refused_by_its_name(string words, params string[] args)
    {
        Assert.Equal(ExitCode.Usage, await _room.RunAsync(args));
        Assert.Contains(words, _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_log_of_a_dead_Pod_can_be_read()
    {
        await _room.DeadPodAsync("api", new Entry.Input("do it"), Said("done \e[31mnow"), Stopped);
        Assert.Equal(0, await _room.RunAsync("log", "api"));
        Assert.Contains("> do it", _room.Out, StringComparison.Ordinal);
        Assert.Contains("done now", _room.Out, StringComparison.Ordinal);
        Assert.Contains("Pod ended: stopped by human", _room.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_as_JSON_is_one_exact_event_a_line()
    {
        await _room.DeadPodAsync("api", Said("a\nb\u2028c\e[31m"), Stopped);
        Assert.Equal(0, await _room.RunAsync("log", "api", "--json"));
        var lines = _room.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(["pod_created", "assistant", "pod_ended"], lines.Select(line => line.GetProperty("data").GetProperty("kind").GetString()));
        Assert.Equal("a\nb\u2028c\e[31m", lines[1].GetProperty("data").GetProperty("entry").GetProperty("blocks")[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task Damage_in_the_middle_of_a_journal_is_counted_and_shown()
    {
        var pod = await _room.DeadPodAsync("api", Said("first"), Said("second"), Stopped);
        var file = pod.Directory + "/" + PodFiles.Journal;
        File.WriteAllText(file, File.ReadAllText(file).Replace("first", "forst", StringComparison.Ordinal));
        Assert.Equal(0, await _room.RunAsync("log", "api"));
        Assert.DoesNotContain("forst", _room.Out, StringComparison.Ordinal);
        Assert.Contains("second", _room.Out, StringComparison.Ordinal);
        Assert.Contains("1 damaged line", _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reading_from_a_seq_gives_what_came_after_and_the_next_seq()
    {
        await _room.DeadPodAsync("api", Said("first"), Said("second"), Stopped);
        Assert.Equal(0, await _room.RunAsync("read", "api", "--since", "2", "--json"));
        var page = JsonDocument.Parse(_room.Out).RootElement;
        Assert.Equal(["second"], page.GetProperty("text").EnumerateArray().Select(text => text.GetString()));
        Assert.Equal((4, "ended"), (page.GetProperty("next_seq").GetInt64(), page.GetProperty("state").GetString()));
    }

    [Fact]
    public async Task Ps_shows_every_directory_also_one_whose_journal_is_unreadable()
    {
        var ended = await _room.DeadPodAsync("ended", Stopped);
        await _room.DeadPodAsync("killed", Said("x"));
        var damaged = await _room.DeadPodAsync("damaged");
        File.WriteAllText(damaged.Directory + "/" + PodFiles.Journal, "nonsense\n");
        Assert.Equal(0, await _room.RunAsync("ps", "--json"));
        var rows = JsonDocument.Parse(_room.Out).RootElement.EnumerateArray().ToDictionary(row => row.GetProperty("name").GetString()!);
        Assert.Equal(["ended", "dead", "damaged"], new[] { "ended", "killed", "damaged" }.Select(name => rows[name].GetProperty("state").GetString()));
        var row = rows["ended"];
        Assert.Equal((ended.PodId, 2, 30, 4, "stopped by human"), (
            row.GetProperty("id").GetString(), row.GetProperty("turns").GetInt32(), row.GetProperty("input_tokens").GetInt64(),
            row.GetProperty("output_tokens").GetInt64(), row.GetProperty("end").GetString()));
        foreach (var key in new[] { "id", "name", "state", "pid", "socket", "spawner", "scope", "sandbox_level", "model", "turns", "input_tokens", "output_tokens", "last_activity", "end" })
            Assert.True(row.TryGetProperty(key, out _), key);
        Assert.Equal(0, await _room.RunAsync("ps", "--living", "--json"));
        Assert.Equal("[]\n", _room.Out);
    }

    [Theory]
    [InlineData("send", "api", "hello")]
    [InlineData("attach", "api")]
    public async Task Talking_to_a_dead_Pod_is_refused_with_how_it_ended(params string[] args)
    {
        await _room.DeadPodAsync("api", Stopped);
        Assert.Equal(ExitCode.Refused, await _room.RunAsync(args));
        Assert.Contains("api ended: stopped by human; `yoi log api`", _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Waiting_for_a_dead_Pod_returns_at_once_with_its_end()
    {
        await _room.DeadPodAsync("api", new Entry.RunEnded(0, RunEnd.Completed, null, null, 1), Stopped);
        await _room.DeadPodAsync("web", new Entry.RunEnded(0, RunEnd.ProviderError, null, "x", 1), Stopped);
        Assert.Equal(0, await _room.RunAsync("wait", "api"));
        Assert.Equal("api: ended: stopped by human\n", _room.Out);
        Assert.Equal(ExitCode.Provider, await _room.RunAsync("wait", "api", "web"));
    }

    [Fact]
    public async Task Waiting_for_a_Pod_that_died_in_a_run_fails_whatever_the_run_before_came_to()
    {
        await _room.DeadPodAsync("first", new Entry.Input("a"), new Entry.RunStart(0, null));
        await _room.DeadPodAsync("second", new Entry.Input("a"), new Entry.RunStart(0, null), new Entry.RunEnded(0, RunEnd.Completed, null, null, 1), new Entry.Input("b"), new Entry.RunStart(1, null));
        await _room.DeadPodAsync("good", new Entry.Input("a"), new Entry.RunStart(0, null), new Entry.RunEnded(0, RunEnd.Completed, null, null, 1));
        Assert.Equal(ExitCode.RunFailed, await _room.RunAsync("wait", "first"));
        Assert.Equal(ExitCode.RunFailed, await _room.RunAsync("wait", "second"));
        Assert.Equal(0, await _room.RunAsync("wait", "good")); // The positive control.
    }

    [Fact]
    public async Task Removing_leaves_a_tombstone_and_takes_the_files()
    {
        var pod = await _room.DeadPodAsync("api", Stopped);
        Assert.Equal(0, await _room.RunAsync("rm", "api"));
        Assert.False(Directory.Exists(pod.Directory));
        var tombstone = JsonDocument.Parse(File.ReadAllText($"{_room.Surroundings.Directories.State}/tombstones/api.{pod.PodId}.json")).RootElement;
        Assert.Equal(("api", "stopped by human", 2L), (tombstone.GetProperty("name").GetString(), tombstone.GetProperty("end").GetString(), tombstone.GetProperty("last_seq").GetInt64()));
    }

    [Fact]
    public async Task An_ended_Pod_with_a_living_one_below_it_is_kept_because_the_tree_is_known_from_its_journal()
    {
        _room.Surroundings.Table.Open();
        var mid = await _room.DeadPodAsync("mid", Stopped);
        var leaf = await _room.DeadChildAsync(mid, "leaf");
        using (PodLock.TryTake(leaf.Directory))
        {
            Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "mid"));
            Assert.Contains("leaf, below mid, is alive", _room.Error, StringComparison.Ordinal);
        }
        Assert.Equal(0, await _room.RunAsync("rm", "mid"));
    }

    [Fact]
    public async Task What_has_no_recorded_end_is_kept_and_said_so()
    {
        var pod = await _room.DeadPodAsync("api", Said("x"));
        Assert.Equal(ExitCode.Refused, await _room.RunAsync("rm", "api"));
        Assert.Contains("`yoi stop api` verifies and records it", _room.Error, StringComparison.Ordinal);
        var ended = await _room.DeadPodAsync("web", Stopped);
        Assert.Equal(0, await _room.RunAsync("rm", "--all-ended"));
        Assert.Equal((true, false), (Directory.Exists(pod.Directory), Directory.Exists(ended.Directory)));
        Assert.Contains("kept: the end of api", _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_says_where_the_key_comes_from_and_never_the_key()
    {
        _room.Variable("OPENAI_API_KEY", "sk-secret");
        Assert.Equal(0, await _room.RunAsync("doctor"));
        Assert.Contains("openai/gpt-5; key from env:OPENAI_API_KEY; not asked now, `yoi run -p hello` does", _room.Out, StringComparison.Ordinal);
        Assert.Matches("level (kernel|tools-only)", _room.Out);
        Assert.DoesNotContain("sk-secret", _room.Out + _room.Error, StringComparison.Ordinal);
        Assert.Equal(0, await _room.RunAsync("doctor", "--json"));
        Assert.Contains(JsonDocument.Parse(_room.Out).RootElement.EnumerateArray(), row => row.GetProperty("name").GetString() == "locks" && row.GetProperty("status").GetString() == "ok");
    }

    [Fact]
    public async Task Doctor_fails_where_something_is_broken()
    {
        Directory.CreateDirectory(_room.Surroundings.Directories.State);
        File.SetUnixFileMode(_room.Surroundings.Directories.State, (UnixFileMode)0b111_111_111);
        Assert.Equal(ExitCode.RunFailed, await _room.RunAsync("doctor"));
        Assert.Contains("chmod 700", _room.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Pod_is_listed_from_the_moment_its_process_exists()
    {
        var pod = await _room.DeadPodAsync("young");
        File.Delete(pod.Directory + "/" + PodFiles.Journal);
        using (PodLock.TryTake(pod.Directory))
        {
            Assert.Equal(0, await _room.RunAsync("ps", "--living", "--json"));
            Assert.Equal(("young", "starting"), JsonDocument.Parse(_room.Out).RootElement[0] is var row ? (row.GetProperty("name").GetString(), row.GetProperty("state").GetString()) : default);
        }
        Assert.Equal(ExitCode.Refused, await _room.RunAsync("restore", "young"));
        Assert.Contains("does not say who it is", _room.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_Pod_whose_end_cannot_be_recorded_keeps_no_other_from_being_stopped()
    {
        _room.Surroundings.Table.Open();
        var unreadable = await _room.DeadPodAsync("unreadable", Said("x"));
        var held = await _room.DeadPodAsync("held", Said("x"));
        var other = await _room.DeadPodAsync("other", Said("x"));
        File.Delete(unreadable.Directory + "/" + PodFiles.Journal);
        Directory.CreateDirectory(unreadable.Directory + "/" + PodFiles.Journal);
        using (PodLock.TryTakeJournalOfDead(held.Directory)!)
            Assert.True(await _room.RunAsync("stop", "unreadable", "held", "other") is ExitCode.Disk, _room.Error);
        Assert.Contains("unreadable has ended", _room.Error, StringComparison.Ordinal);
        Assert.Contains("the journal of pod `held` is held by another process", _room.Error, StringComparison.Ordinal);
        Assert.StartsWith("other: ", _room.Out, StringComparison.Ordinal);
        Assert.IsType<Entry.PodEnded>(other.Journal.Last()!.Entry);
        Assert.Equal(ExitCode.Ok, await _room.RunAsync("stop", "held", "other"));
    }
}
