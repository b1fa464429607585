using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>Models that want too much: Pods without end, tokens without end, text without end.</summary>
public sealed class RunawayTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static Answer Spawns(Asked asked, int number) => Calls([.. Enumerable.Range(0, number).Select(child => ("SpawnPod", (object)new
    {
        name = $"{asked.Pod}-{child}",
        task = "spawn as many as you can",
        scope = new[] { new { target = ".", permission = "read" } },
    }))]);

    [Fact, Trait("case", "F11")]
    public async Task Pods_that_spawn_for_ever_are_refused_at_depth_width_and_number_in_the_tree()
    {
        // Every Pod of any name spawns ten, and says done when it has seen what came of it.
        await using var server = await ModelServer.StartAsync(request => Read(request.Body) is { Turn: 0 } asked ? Spawns(asked, 10) : Answer.Says("done"));
        _room.UseModel(server, sandbox: "tools-only");
        (await _room.RunAsync("start", "r", "--read", ".", "--max-depth", "2", "--max-children", "3", "--max-pods", "6", "--task", "go")).Expect(0);
        (await _room.RunAsync("wait", "r")).Expect(0);

        var pods = await _room.PodsAsync();
        Assert.InRange(pods.Count, 4, 6); // The root and its three children at least: there was something to refuse.
        Assert.All(pods.Keys, name => Assert.InRange(name.Count(c => c == '-'), 0, 2));
        var refusals = pods.Keys.SelectMany(name => _room.Journal(name).OfType<Entry.ToolResult>()).Where(result => result.IsError).Select(result => result.Summary + result.Content).ToList();
        Assert.NotEmpty(refusals);
        Assert.All(refusals, words => Assert.Matches("--max-(depth|children|pods)", words));
        Assert.Contains(refusals, words => words.Contains("--max-children", StringComparison.Ordinal));
        (await _room.RunAsync("stop", "r")).Expect(0);
    }

    [Fact, Trait("case", "V09")]
    public async Task A_tree_shares_its_token_budget()
    {
        // The child asks for ever; the root would be done after it has waited.
        await using var server = await ModelServer.StartAsync(request => Read(request.Body) is var asked && asked.Pod == "child" ? Call("Glob", new { pattern = $"*{asked.Turn}" })
            : asked.Turn == 0 ? Call("SpawnPod", new { name = "child", task = "go", scope = new[] { new { target = ".", permission = "read" } } })
            : asked.Turn == 1 ? Call("WaitForPods", new { names = new[] { "child" } }) : Answer.Says("done"));
        _room.UseModel(server, sandbox: "tools-only");
        var ran = (await _room.RunAsync("run", "go", "--name", "root", "--max-tokens", "150")).Expect(1);

        Assert.Contains("of 150 tokens; raise it with --max-tokens", ran.Error + ran.Out, StringComparison.Ordinal);
        Assert.Equal(RunEnd.Budget, _room.Journal("child").OfType<Entry.RunEnded>().Single().Reason);
        Assert.Equal(RunEnd.Budget, _room.Journal("root").OfType<Entry.RunEnded>().Last().Reason);
        Assert.InRange(server.Requests.Count, 10, 11); // 15 tokens each; two may ask in the same moment.
    }

    [Fact, Trait("case", "V10")]
    public async Task A_message_of_a_hundred_megabytes_ends_the_run_and_the_Pod_stays_small()
    {
        var megabyte = new string('x', 1 << 20);
        await using var server = await ModelServer.StartAsync(_ => Answer.Says([.. Enumerable.Repeat(megabyte, 100)]));
        _room.UseModel(server, sandbox: "tools-only");
        _room.Write("y/config/yoi.jsonc", _room.Read("y/config/yoi.jsonc").TrimEnd('}') + """, "timing": { "max_tries": 1 } }""");
        var started = (await _room.RunAsync("start", "big", "--task", "go", "--json")).Expect(0).Json;
        (await _room.RunAsync("wait", "big")).Expect(5);

        var end = _room.Journal("big").OfType<Entry.RunEnded>().Single();
        Assert.Equal(RunEnd.ProviderError, end.Reason);
        Assert.Contains("a message above 4 Mi characters", end.Detail, StringComparison.Ordinal);
        var peak = File.ReadLines($"/proc/{started.GetProperty("pid").GetInt32()}/status").Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        Assert.InRange(long.Parse(peak.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], System.Globalization.CultureInfo.InvariantCulture), 1, 600 * 1024);
        (await _room.RunAsync("stop", "big")).Expect(0);
    }

    [Fact, Trait("case", "V10")]
    public async Task A_hundred_thousand_tiny_deltas_reach_a_subscriber_in_order_and_whole()
    {
        var deltas = Enumerable.Range(0, 100_000).Select(number => $"{number} ").ToArray();
        var open = new TaskCompletionSource();
        await using var server = await ModelServer.StartAsync(_ => Answer.Says(deltas) with { Before = (frame, _) => frame == 2 ? open.Task : Task.CompletedTask });
        _room.UseModel(server, sandbox: "tools-only");
        (await _room.RunAsync("start", "tiny", "--task", "go")).Expect(0);
        await using var client = await _room.ConnectAsync("tiny");
        var text = new System.Text.StringBuilder();
        await foreach (var message in client.AttachAsync(1, TestContext.Current.CancellationToken))
        {
            if (message is PodMessage.Entered { Entry: Entry.TurnStart }) open.SetResult();
            if (message is PodMessage.Entered { Entry: Entry.Assistant said })
            {
                text.Append(said.Text);
                break;
            }
        }
        Assert.Equal(string.Concat(deltas), text.ToString());
        (await _room.RunAsync("stop", "tiny")).Expect(0);
    }
}
