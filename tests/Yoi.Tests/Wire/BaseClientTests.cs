using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Spawning;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Wire;

/// <summary>What clients that speak only the base protocol are sent by a Pod that does everything else, too.</summary>
public sealed class BaseClientTests
{
    private const string Script = """
        {"pods": {
          "*": {"commands": true, "replies": [
            {"when": {"user": "two turns"}, "text": ["slow", "ly"], "calls": [{"name": "WaitForPods", "arguments": {"names": ["kid"]}}]},
            {"when": {"user": "think"}, "thinking": "hm", "text": ["I thought"]},
            {"when": {"user": "break off"}, "text": ["so far"], "error": {"status": 400, "type": "invalid_request_error", "message": "no"}}
          ]}}}
        """;

    /// <summary>Members of each event's data, and the words that it may say, as the base protocol has them.</summary>
    private static readonly Dictionary<string, HashSet<string>> Shapes = Recording.Lines("protocol-shapes.jsonl")
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.GetProperty("kind").GetString() == "event")
        .Select(record => JsonDocument.Parse(record.GetProperty("line").GetString()!).RootElement)
        .GroupBy(WireComparison.Kind).ToDictionary(group => group.Key, group => group.Select(Shape).ToHashSet());

    [Fact]
    public async Task A_base_client_is_sent_nothing_that_it_does_not_know_whatever_the_pod_does()
    {
        var root = new Spawning.SpawningRoot();
        await File.WriteAllTextAsync(root.Work + "/AGENTS.md", new string('a', 70_000), ServedRoom.Ct);
        Directory.CreateDirectory(root.Work + "/sub");
        await using var pod = await RealPod.StartAsync(script: Script, root: root);
        using var silent = await pod.ConnectAsync();
        using var plain = await pod.ConnectAsync();
        foreach (var line in new[] { """{"method":"get_history"}""", """{"method":"nope"}""", """{"method":"attach","params":{"from_seq":1}}""", "{", """{"method":"resume"}""" })
            await plain.SendAsync(line);
        var early = new List<JsonElement>();
        do early.Add(JsonDocument.Parse((await plain.LineAsync())!).RootElement);
        while (Words(early[^1]) != "error not_paused"); // All were answered before a run begins.
        await using var ours = await pod.ClientAsync();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ServedRoom.Ct);
        patience.CancelAfter(2 * RealPod.Patience);
        await using var following = ours.AttachAsync(ct: patience.Token).GetAsyncEnumerator(patience.Token);

        await RunAsync(ours, following, $$"""CALL SpawnPod {"name": "kid", "task": "hi", "scope": [{"target": "{{root.Work}}/sub", "permission": "write"}]}""");
        await Eventually.Holds(() => NewsRuns.AllIsTold(pod), RealPod.Patience); // News, told by a result or in a run of its own.
        await ours.NotifyAsync("ci", "build failed", ServedRoom.Ct);
        await UntilAsync(following, entry => entry is Entry.RunEnded);
        await RunAsync(ours, following, "think");
        await RunAsync(ours, following, "ERR");
        await RunAsync(ours, following, "break off");

        await using (var kid = await PodClient.ConnectAsync(root.Directories.Socket(new PodRegistry(root.Directories).Newest("kid")!.PodId), ct: ServedRoom.Ct))
        {
            await kid.RunAsync("SLOW 60000", ct: ServedRoom.Ct);
            await ours.RunAsync("two turns", ct: ServedRoom.Ct);
            await ours.RunAsync("after it", SendMode.Queue, ServedRoom.Ct);
            await ours.PauseAsync(ServedRoom.Ct);
            await kid.CancelAsync(ServedRoom.Ct); // Now the wait of the first turn is over, and it pauses.
        }
        await UntilAsync(following, entry => entry is Entry.RunPaused);
        await ours.ResumeAsync(ServedRoom.Ct);
        for (var i = 0; i < 2; i++) await UntilAsync(following, entry => entry is Entry.RunEnded);

        await ours.RunAsync("SLOW 60000", ct: ServedRoom.Ct);
        await ours.CancelAsync(ServedRoom.Ct);
        await UntilAsync(following, entry => entry is Entry.RunEnded { Reason: RunEnd.Cancelled });
        await RunAsync(ours, following, """CALL StopPod {"name": "kid"}""");
        await ours.ShutdownAsync(ServedRoom.Ct);

        foreach (var client in new[] { silent, plain })
        {
            List<JsonElement> lines = client == plain ? early : [];
            while (await client.LineAsync() is { } line) lines.Add(JsonDocument.Parse(line).RootElement);
            Assert.All(lines, line => Assert.True(Shapes.TryGetValue(WireComparison.Kind(line), out var shapes) && shapes.Contains(Shape(line)), $"unknown to a base client: {line}"));
            string[] told = [.. lines.Select(Words).Distinct()];
            Assert.Superset(new HashSet<string>
            {
                "turn_start", "turn_end finished", "text_delta", "text_done", "tool_call_start", "tool_call_args_delta", "tool_call_done", "tool_result", "usage",
                "run_end finished", "run_end paused", "error provider_error", "error internal", "notification warn agents_md", "shutdown",
            }, told.ToHashSet());
            Assert.Equal(client == plain, told.Contains("history"));
            Assert.Equal(client == plain, told.Contains("error not_paused"));
        }
        Assert.Contains(pod.Records(), record => record.Entry is Entry.News or Entry.ToolResult { Told: not null }); // There was news, and it was not in the way.
    }

    private static string Words(JsonElement line)
    {
        var words = new List<string> { WireComparison.Kind(line) };
        if (!line.TryGetProperty("data", out var data)) return words[0];
        foreach (var name in new[] { "code", "result", "level", "source" })
            if (data.TryGetProperty(name, out var value)) words.Add(value.GetString()!);
        return string.Join(' ', words);
    }

    /// <summary>The members of a line and its words: two lines of one shape are the same to a client that knows one of them.</summary>
    private static string Shape(JsonElement line) => $"{Words(line)}: {Members(line)}";

    private static string Members(JsonElement value) => value.ValueKind != JsonValueKind.Object ? ""
        : "{" + string.Join(',', value.EnumerateObject().Select(member => member.Name + Members(member.Value))) + "}";

    private static async Task RunAsync(PodClient client, IAsyncEnumerator<PodMessage> following, string input)
    {
        while ((await client.StatusAsync(ServedRoom.Ct)).State != PodState.Idle) await Task.Yield();
        var seq = (await client.RunAsync(input, ct: ServedRoom.Ct)).Seq;
        await UntilAsync(following, entry => entry is Entry.RunEnded, seq);
    }

    private static async Task UntilAsync(IAsyncEnumerator<PodMessage> following, Func<Entry, bool> seen, long afterSeq = 0)
    {
        while (await following.MoveNextAsync())
            if (following.Current is PodMessage.Entered entered && entered.Seq > afterSeq && seen(entered.Entry)) return;
        throw new InvalidOperationException("the Pod ended before that was seen");
    }
}
