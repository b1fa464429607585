using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Wire;

/// <summary>Recorded clients of the base protocol against real Pods.</summary>
public sealed class WireReplayTests
{
    private static readonly string[] OneLife = ["run-text", "idle-errors", "idle-shapes", "running", "notify-idle", "tools"];

    [Fact]
    public async Task A_life_of_one_pod_is_as_recorded_from_its_first_line_on()
    {
        await using var pod = await RealPod.StartAsync();
        foreach (var name in OneLife) await AssertAsRecordedAsync(pod, name, ("/w/w1", pod.Root.Work));
        Assert.Equal("one\ntwo\n", await File.ReadAllTextAsync(pod.Root.Work + "/a.txt", ServedRoom.Ct));
        await AssertSummariesAsync(pod, "tools", recorded => recorded);
    }

    [Theory]
    [InlineData("notify-clean", null)]
    [InlineData("limit-reached", 1)]
    public async Task A_fresh_pod_is_as_recorded(string name, int? turns)
    {
        await using var pod = await RealPod.StartAsync(change: document => turns is { } limit ? document with { Limits = document.Limits with { TurnsPerRun = limit } } : document);
        await AssertAsRecordedAsync(pod, name);
    }

    [Theory]
    [InlineData("shutdown-idle")]
    [InlineData("shutdown-running")]
    public async Task A_shutdown_is_as_recorded_and_leaves_no_socket_and_no_process(string name)
    {
        await using var pod = await RealPod.StartAsync();
        var replay = await AssertAsRecordedAsync(pod, name);
        Assert.Equal(replay.Heard.Keys.Order(), replay.Ended.Order());
        Assert.Equal(0, (await pod.ExitAsync()).Code);
        Assert.False(File.Exists(pod.Socket));
    }

    [Fact]
    public async Task Notifications_are_as_recorded_also_for_a_client_that_comes_later()
    {
        var root = new Spawning.SpawningRoot();
        await File.WriteAllTextAsync(root.Work + "/AGENTS.md", new string('a', 70_000), ServedRoom.Ct);
        await File.WriteAllLinesAsync(root.Work + "/big.txt", Enumerable.Repeat(new string('y', 100), 600), ServedRoom.Ct);
        await using var pod = await RealPod.StartAsync(root: root);
        await AssertAsRecordedAsync(pod, "notification", ("/w/w4", root.Work));
    }

    [Fact]
    public async Task A_spawner_is_as_recorded_but_for_the_runs_that_news_of_its_child_starts()
    {
        await using var pod = await RealPod.StartAsync("w5");
        Directory.CreateDirectory(pod.Root.Work + "/c");
        await AssertAsRecordedAsync(pod, "spawner", ("/w/w5", pod.Root.Work));
        await AssertSummariesAsync(pod, "spawner", recorded => [.. recorded.SkipLast(1), "1 pod(s) known"]); // A stopped child stays listed.
    }

    /// <summary>The control: whatever is changed in a recording, the comparison says so.</summary>
    [Fact]
    public async Task A_recording_that_was_changed_is_told_from_what_the_pod_sent()
    {
        await using var pod = await RealPod.StartAsync();
        foreach (var name in OneLife.Take(3)) await AssertAsRecordedAsync(pod, name, ("/w/w1", pod.Root.Work));
        var steps = DeliberateDifferences.Apply(Recording.Read("tools", ("/w/w1", pod.Root.Work)));
        await using var replay = new Replay(pod);
        await replay.PlayAsync(steps);
        var recorded = steps.OfType<Step.Expect>().Select(step => step.Event).ToList();
        recorded[^1] = replay.Heard[18][^1]; // The history begins elsewhere: this Pod has lived less.
        Assert.Empty(WireComparison.Differences(recorded, replay.Heard[18]));
        Assert.All(Mutants, mutant =>
        {
            var changed = mutant.Change([.. recorded.Select(line => JsonNode.Parse(line.GetRawText())!)]).Select(line => JsonDocument.Parse(line.ToJsonString()).RootElement).ToList();
            Assert.True(WireComparison.Differences(changed, replay.Heard[18]).Count > 0, $"not noticed: {mutant.Name}");
        });
    }

    private static readonly (string Name, Func<List<JsonNode>, List<JsonNode>> Change)[] Mutants =
    [
        ("an event is missing", lines => [.. lines.Where((_, i) => i != 5)]),
        ("an event came twice", lines => [.. lines.Take(4), lines[3].DeepClone(), .. lines.Skip(4)]),
        ("the last is missing", lines => [.. lines.SkipLast(1)]),
        ("two changed places", lines => [.. lines.Take(6), lines[7], lines[6], .. lines.Skip(8)]),
        ("another kind", lines => At(lines, "usage", line => line["event"] = "tokens")),
        ("a key has gone", lines => At(lines, "tool_call_done", line => line["data"]!.AsObject().Remove("arguments"))),
        ("a key is new", lines => At(lines, "turn_start", line => line["data"]!["seq"] = 3)),
        ("a key beside data", lines => At(lines, "run_end", line => line["id"] = 3)),
        ("another result", lines => At(lines, "run_end", line => line["data"]!["result"] = "paused")),
        ("another type", lines => At(lines, "usage", line => line["data"]!["input_tokens"] = "10")),
        ("another number of tokens", lines => At(lines, "usage", line => line["data"]!["input_tokens"] = 11)),
        ("a turn out of step", lines => At(lines, "turn_end", line => line["data"]!["turn"] = 1)),
        ("a delta in another piece", lines => At(lines, "text_delta", line => line["data"]!["text"] = "do")),
        ("another tool", lines => At(lines, "tool_call_start", line => line["data"]!["name"] = "Bash")),
        ("an error for a result", lines => At(lines, "tool_result", line => line["event"] = "error")),
        ("a tool that is not there", lines => At(lines, "history", line => line["data"]!["greeting"]!["tools"]!.AsArray().Add("Bash"))),
        ("a greeting with a key more", lines => At(lines, "history", line => line["data"]!["greeting"]!.AsObject().Remove("cwd"))),
        ("a history with an item less", lines => At(lines, "history", line => line["data"]!["items"]!.AsArray().RemoveAt(2))),
        ("a history in another order", lines => At(lines, "history", line => (line["data"]!["items"]![0]!["role"], line["data"]!["items"]![1]!["role"]) = ("assistant", "user"))),
        ("a result without its content", lines => At(lines, "history", line => Results(line).First(item => item.ContainsKey("content")).Remove("content"))),
    ];

    private static IEnumerable<JsonObject> Results(JsonNode history) =>
        history["data"]!["items"]!.AsArray().Select(item => item!.AsObject()).Where(item => (string?)item["type"] == "tool_result");

    private static List<JsonNode> At(List<JsonNode> lines, string kind, Action<JsonNode> change)
    {
        change(lines.First(line => (string?)line["event"] == kind));
        return lines;
    }

    /// <summary>Plays a recording and asserts that every connection was sent what was recorded.</summary>
    private static async Task<Replay> AssertAsRecordedAsync(RealPod pod, string name, params (string, string)[] paths)
    {
        var steps = DeliberateDifferences.Apply(Recording.Read(name, paths));
        await using var witness = await Witness.ListenAsync(pod);
        await using var replay = new Replay(pod) { BeforeSend = () => QuietAsync(pod, witness) };
        await replay.PlayAsync(steps);
        var differences = steps.Select(step => step.On).OfType<int>().Distinct().SelectMany(conn =>
            WireComparison.Differences(
                [.. steps.OfType<Step.Expect>().Where(step => step.Conn == conn).Select(step => step.Event)],
                NewsRuns.LeftOut(pod, replay.Heard.GetValueOrDefault(conn) ?? [])).Select(what => $"{name}, connection {conn}, {what}"));
        Assert.True(!differences.Any(), string.Join('\n', differences));
        return replay;
    }

    /// <summary>
    /// Waits until everything that the Pod's children said has been told, and everybody has heard of the runs that did: then no run
    /// begins by itself, and who comes now does not hear the end of one.
    /// </summary>
    private static Task QuietAsync(RealPod pod, Witness witness) => new PodRegistry(pod.Root.Directories).All().Count < 2
        ? Task.CompletedTask : Eventually.Holds(() => NewsRuns.AllIsTold(pod) && witness.HasHeardAll(pod), RealPod.Patience);

    /// <summary>What the results of the recording's calls say first, which clients and models may lean on.</summary>
    private static async Task AssertSummariesAsync(RealPod pod, string name, Func<List<string>, List<string>> meant)
    {
        await using var client = await pod.ClientAsync();
        var recorded = Recording.Read(name).OfType<Step.Expect>().Last(step => step.Kind == "history").Event.GetProperty("data").GetProperty("items");
        var here = JsonSerializer.SerializeToElement((await client.HistoryAsync(ServedRoom.Ct)).Items, YoiJson.Default.IReadOnlyListHistoryItem);
        var expected = meant(Summaries(recorded));
        Assert.Equal(expected.Select(SummaryShape.Of), Summaries(here).TakeLast(expected.Count).Select(SummaryShape.Of));
    }

    private static List<string> Summaries(JsonElement items) =>
        [.. items.EnumerateArray().Where(item => item.GetProperty("type").ValueEquals("tool_result")).Select(item => item.GetProperty("summary").GetString()!)];
}
