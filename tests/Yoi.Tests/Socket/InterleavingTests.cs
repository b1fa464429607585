using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Socket;
using Yoi.Runtime.Tools;
using Yoi.Shared;
using Yoi.Tests.Control;

namespace Yoi.Tests.Socket;

/// <summary>Few lines of few clients over real connections to a controller that is idle, streams, is held or in a tool: one life of a Pod after another.</summary>
public sealed class InterleavingTests(ITestOutputHelper output)
{
    private const int Clients = 3, Ids = 2, Hello = -1;
    private static readonly string[] Begins = ["idle", "streaming", "held", "in a tool"];
    private static readonly string[] Codes = [ErrorCode.AlreadyRunning, ErrorCode.NotRunning, ErrorCode.NotPaused, ErrorCode.Stopping];

    [Fact, Trait("case", "C15")]
    public async Task Each_line_has_one_answer_and_each_life_one_end_whatever_ids_are_used_twice_and_whenever_it_is_shut_down()
    {
        var seed = Control.InterleavingTests.Seed();
        output.WriteLine($"YOI_SEED={seed}");
        HashSet<string> seen = [];
        for (var life = 0; life < Slice.Of(300, 10_000); life++)
        {
            try
            {
                seen.UnionWith(await LiveAsync(new Random(unchecked(seed + life)), Begins[life % Begins.Length]));
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                throw new InvalidOperationException($"YOI_SEED={seed}, life {life}: {e.Message}", e);
            }
        }
        HashSet<string> all = [.. Codes, "accepted twice under one id", "resumed once of two", "shut down in a run"];
        Assert.Superset(all, seen);
    }

    /// <returns>What came about of that which must come about in one life or another.</returns>
    private static async Task<HashSet<string>> LiveAsync(Random random, string begin)
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        List<long> accepted = [];
        if (begin != "idle") accepted.Add(Assert.IsType<ReplyResult.Accepted>(await pod.AskAsync(new Method.Run("first"))).Seq);
        await BringToAsync(pod, tool, begin);
        var served = new ServedPod("0123", "pod", pod.Controller.HandleAsync, pod.Controller.Status, ServedRoom.Greeting, pod.Journal, Path.Combine(pod.Directory, PodFiles.Journal), 1, _ => null);
        Line[][] storm = [.. Enumerable.Range(0, Clients).Select(client => Lines(random, client))];
        var words = new Random(random.Next());
        Answer[][] answers;
        ConcurrentQueue<string> warnings = [];
        await using (PodServer.Start(served, Path.Combine(pod.Directory, "run", "pod.sock"), TimeProvider.System, warnings.Enqueue))
        {
            using var over = new CancellationTokenSource();
            var talking = TalkAsync(pod.Model, words, over.Token);
            answers = await Task.WhenAll(storm.Select(lines => AskAsync(Path.Combine(pod.Directory, "run", "pod.sock"), lines)));
            await pod.AskAsync(new Method.Shutdown());
            await pod.Controller.Completion.WaitAsync(ServedRoom.Patience, ServedRoom.Ct);
            await over.CancelAsync();
            await talking;
        }

        Assert.Empty(warnings);
        HashSet<string> seen = [];
        foreach (var (lines, heard) in storm.Zip(answers))
        {
            for (var id = 0; id < Ids; id++)
            {
                Answer[] mine = [.. heard.Where(answer => answer.Id == id)];
                Assert.Equal(lines.Count(line => line.Id == id), mine.Length);
                Assert.All(mine, answer => Assert.Contains(answer.Code, (string?[])[null, .. Codes]));
                // Of one connection the lines are done in their order: behind its shutdown there is no new work.
                Assert.InRange(mine.Count(answer => answer.Code == ErrorCode.Stopping), lines.SkipWhile(line => line.Method != "shutdown").Count(line => line.Id == id && line.IsWork), mine.Length);
                if (mine.Count(answer => answer.Seq is not null) > 1) seen.Add("accepted twice under one id");
            }
            seen.UnionWith(heard.Select(answer => answer.Code).OfType<string>());
        }
        accepted.AddRange(answers.SelectMany(heard => heard).Select(answer => answer.Seq).OfType<long>());
        var records = pod.Records();
        Entry[] entries = [.. records.Select(record => record.Entry)];
        // What was accepted stands in the journal, each for itself; nothing else does.
        Assert.Equal(accepted.Count, accepted.Distinct().Count());
        Assert.Superset(records.Where(record => record.Entry is Entry.Input or Entry.Notify).Select(record => record.Seq).ToHashSet(), accepted.ToHashSet());
        Assert.All(accepted, seq => Assert.Single(records, record => record.Seq == seq));
        Assert.IsType<Entry.PodEnded>(entries[^1]);
        Assert.Single(entries.OfType<Entry.PodEnded>());
        // Only a run that is held has no end, and its Pod none of its own work.
        if (Control.InterleavingTests.EndsInARun(entries)) Assert.IsType<Entry.RunPaused>(entries.Last(entry => entry is Entry.RunStart or Entry.RunPaused or Entry.RunResumed));
        var methods = storm.SelectMany(lines => lines).Select(line => line.Method).ToList();
        if (methods.Contains("shutdown") && !methods.Contains("cancel") && entries.Any(entry => entry is Entry.RunEnded { Reason: RunEnd.Cancelled })) seen.Add("shut down in a run");
        if (begin == "held" && methods.Count(method => method == "resume") > 1 && entries.Count(entry => entry is Entry.RunResumed { By: "human" }) == 1) seen.Add("resumed once of two");
        return seen;
    }

    private static async Task BringToAsync(ControlledPod pod, GatedTool tool, string begin)
    {
        if (begin == "idle") return;
        Assert.True(await pod.Model.Asked.WaitAsync(ServedRoom.Patience, ServedRoom.Ct));
        switch (begin)
        {
            case "streaming":
                pod.Model.Stall(new ModelEvent.TextDelta(0, "Hel"));
                break;
            case "held":
                await pod.AskAsync(new Method.Pause());
                pod.Model.Call(new AssistantBlock.ToolCall("first", "NoTool", "{}"));
                await pod.SeeAsync<Entry.RunPaused>();
                break;
            default:
                pod.Model.Call(new AssistantBlock.ToolCall("first", "Gate", "{}"));
                Assert.True(await tool.Begun.WaitAsync(ServedRoom.Patience, ServedRoom.Ct));
                break;
        }
    }

    private static Line[] Lines(Random random, int client)
    {
        List<Line> lines = [];
        for (var count = random.Next(2, 5); lines.Count < count;)
        {
            var text = $"c{client}-{lines.Count}";
            var (method, parameters, isWork) = random.Next(9) switch
            {
                0 => ("run", $$"""{"input":"{{text}}"}""", true),
                1 => ("run", $$"""{"input":"{{text}}","mode":"queue"}""", true),
                2 => ("notify", $$"""{"source":"test","message":"{{text}}"}""", true),
                3 or 4 => ("resume", null, true),
                5 => ("cancel", null, false),
                6 => ("pause", null, true),
                7 => ("status", null, false),
                _ => ((string, string?, bool))("shutdown", null, false),
            };
            var line = new Line(random.Next(Ids), method, parameters, isWork);
            lines.Add(line);
            if (random.Next(4) == 0) lines.Add(line); // The same again, as one sends who does not know whether it was heard.
        }
        return [.. lines];
    }

    /// <summary>Sends all lines at once and hears all that is answered.</summary>
    private static async Task<Answer[]> AskAsync(string socket, Line[] lines)
    {
        using var client = await RawClient.ConnectAsync(socket);
        var hello = $$$"""{"id":{{{Hello}}},"method":"hello","params":{"min_version":1,"max_version":1}}""";
        await client.SendAsync(string.Join('\n', lines.Select(line => line.Text).Prepend(hello)));
        client.Socket.Shutdown(SocketShutdown.Send);
        List<Answer> answers = [];
        while (await client.LineAsync() is { } text)
        {
            using var json = JsonDocument.Parse(text);
            if (!json.RootElement.TryGetProperty("id", out var id)) continue; // What is told to everybody, and to who has yet to say hello.
            var code = json.RootElement.TryGetProperty("error", out var error) ? error.GetProperty("code").GetString() : null;
            long? seq = code is null && json.RootElement.GetProperty("result").TryGetProperty("seq", out var at) ? at.GetInt64() : null;
            answers.Add(new Answer(id.GetInt32(), code, seq));
        }
        Assert.Equal(new Answer(Hello, null, null), Assert.Single(answers, answer => answer.Id == Hello));
        return [.. answers.Where(answer => answer.Id != Hello)];
    }

    /// <summary>Answers whatever is asked: a text, a call that stays in its tool or finds none, a failure, or half a text and then nothing.</summary>
    private static async Task TalkAsync(TestModel model, Random random, CancellationToken ct)
    {
        try
        {
            for (var call = 0; ; call++)
            {
                await model.Asked.WaitAsync(ct);
                switch (random.Next(6))
                {
                    case 0: model.Call(new AssistantBlock.ToolCall($"{call}", "NoTool", "{}")); break;
                    case 1: model.Call(new AssistantBlock.ToolCall($"{call}", "Gate", "{}")); break;
                    case 2: model.Fail(new ModelException(ModelFailure.Server, "no", produced: false, retryable: false)); break;
                    case 3: model.Stall(new ModelEvent.TextDelta(0, "Hel")); break;
                    default: model.Say("ok"); break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // This life is over.
        }
    }

    /// <param name="IsWork">Refused by a Pod that is stopping.</param>
    private sealed record Line(int Id, string Method, string? Parameters, bool IsWork)
    {
        internal string Text => Parameters is null ? $$"""{"id":{{Id}},"method":"{{Method}}"}""" : $$"""{"id":{{Id}},"method":"{{Method}}","params":{{Parameters}}}""";
    }

    /// <param name="Code">Of a refusal; null if it was done.</param>
    /// <param name="Seq">Where what was accepted stands.</param>
    private sealed record Answer(int Id, string? Code, long? Seq);
}
