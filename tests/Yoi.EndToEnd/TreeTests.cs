using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>A Pod spawns a Pod: the lending, the work, the news and the way back, seen from outside.</summary>
public sealed class TreeTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static object Lend(string name, string task, string path) =>
        new { name, task, scope = new[] { new { target = path, permission = "write" } } };

    [Fact]
    public async Task A_child_is_lent_a_folder_works_is_stopped_and_the_scope_is_back()
    {
        _room.Write("project/src/a.txt", "a\n");
        var (src, file) = (_room.Project + "/src", _room.Project + "/src/a.txt");
        var lent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var looked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var minds = new Minds()
            .Of("lead",
                Call("SpawnPod", Lend("kid", "change a.txt", src)),
                Call("Write", new { file_path = src + "/mine.txt", content = "no" }),
                Call("WaitForPods", new { until = "all" }),
                Call("ReadPodOutput", new { name = "kid" }),
                Call("StopPod", new { name = "kid" }),
                Call("Write", new { file_path = src + "/mine.txt", content = "yes" }),
                Answer.Says("the scope is back"))
            .Of("kid",
                Call("Read", new { file_path = file }) with
                {
                    Before = async (frame, ct) =>
                    {
                        if (frame != 0) return;
                        lent.SetResult();
                        await looked.Task.WaitAsync(ct);
                    },
                },
                Call("Edit", new { file_path = file, old_string = "a", new_string = "b" }),
                Answer.Says("a is b now"));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "lead", "let a child do it");
        await lent.Task.WaitAsync(YoiProcess.Limit, TestContext.Current.CancellationToken);

        var pods = await _room.PodsAsync();
        Assert.Equal(pods["lead"].GetProperty("id").GetString(), pods["kid"].GetProperty("spawner").GetString());
        var tree = (await _room.RunAsync("ps")).Expect(0).Out.Split('\n');
        Assert.Contains(tree, line => line.StartsWith("└─ kid", StringComparison.Ordinal));
        var scopes = (await _room.RunAsync("scopes", "--json")).Expect(0).Json.EnumerateArray().ToList();
        Assert.Contains(scopes, row => row.GetProperty("pod").GetString() == "kid" && row.GetProperty("path").GetString() == src
            && row.GetProperty("permission").GetString() == "write" && row.GetProperty("lent_by").GetString() == "lead");
        looked.SetResult();

        var ran = (await run.EndAsync()).Expect(0);
        Assert.Contains("the scope is back", ran.Out, StringComparison.Ordinal);
        Assert.Contains("is lent to `kid`", ran.Out, StringComparison.Ordinal);
        Assert.Equal(("b\n", "yes"), (_room.Read(file), _room.Read(src + "/mine.txt")));
        var lead = _room.Journal("lead");
        Assert.Equal([false, true, false, false, false, false], lead.OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal((PodEnd.Stopped, "lead"), (lead.OfType<Entry.ChildEnded>().Single().Reason, lead.OfType<Entry.ChildEnded>().Single().By));
        Assert.Contains(lead.OfType<Entry.ToolResult>(), result => result.Name == "ReadPodOutput" && result.Content!.Contains("a is b now", StringComparison.Ordinal));
        Assert.Equal(PodEnd.Stopped, ((Entry.PodEnded)_room.Journal("kid")[^1]).Reason);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.Contains("a is b now", (await _room.RunAsync("read", "kid")).Expect(0).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_goes_on_while_a_child_works_and_ends_when_its_news_has_been_read()
    {
        _room.Write("project/src/a.txt", "a\n");
        var leadIsIdle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var minds = new Minds()
            .Of("lead",
                Call("SpawnPod", Lend("kid", "think", _room.Project + "/src")),
                Answer.Says("I do not wait."),
                Answer.Says("I have heard of it."))
            .Of("kid", Answer.Says("I am ", "done.") with { Before = (frame, ct) => frame == 2 ? leadIsIdle.Task.WaitAsync(ct) : Task.CompletedTask });
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "lead", "--output-format", "stream-json", "go");
        await run.SaysAsync("run_end");
        Assert.False(run.HasExited);
        leadIsIdle.SetResult();
        var lines = (await run.EndAsync()).Expect(0).JsonLines;
        var result = lines[^1].GetProperty("data");
        Assert.Equal(("I have heard of it.", 2, "completed"), (result.GetProperty("result").GetString(), result.GetProperty("runs").GetInt32(), result.GetProperty("end").GetString()));
        Assert.Equal(["pod_created", "pod_ended"], new[] { lines[0], lines[^2] }.Select(line => line.GetProperty("data").GetProperty("kind").GetString()));
        Assert.Single(_room.Journal("lead").OfType<Entry.News>());
        Assert.Equal(Enumerable.Range(1, lines.Count - 1), lines.SkipLast(1).Select(line => line.GetProperty("data").GetProperty("seq").GetInt32()));
    }

    [Fact]
    public async Task Twice_Ctrl_C_stops_the_whole_tree()
    {
        _room.Write("project/src/a.txt", "a\n");
        var minds = new Minds()
            .Of("lead", Call("SpawnPod", Lend("kid", "think", _room.Project + "/src")), Call("WaitForPods", new { }))
            .Of("kid", Answer.Says("never ", "said") with { Before = (frame, ct) => frame == 2 ? new TaskCompletionSource().Task.WaitAsync(ct) : Task.CompletedTask });
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "lead", "go");
        await run.SaysAsync("+ kid");
        run.Signal(System.Runtime.InteropServices.PosixSignal.SIGINT);
        await run.RemarksAsync("Ctrl-C again stops the Pod and all below it");
        Assert.Empty(_room.Journal("kid").OfType<Entry.RunEnded>());
        run.Signal(System.Runtime.InteropServices.PosixSignal.SIGINT);
        (await run.EndAsync()).Expect(130);
        Assert.All(await _room.PodsAsync(), row => Assert.Equal("ended", row.Value.GetProperty("state").GetString()));
        Assert.Empty(_room.Processes());
    }

    [Fact]
    public async Task A_limit_from_a_flag_refuses_the_next_child_and_says_how_to_raise_it()
    {
        foreach (var directory in new[] { "a", "b" }) Directory.CreateDirectory($"{_room.Project}/{directory}");
        var minds = new Minds().Of("lead",
            Call("SpawnPod", Lend("first", "think", _room.Project + "/a")),
            Call("SpawnPod", Lend("second", "think", _room.Project + "/b")),
            Call("WaitForPods", new { until = "all" }));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("run", "--name", "lead", "--max-children", "1", "go")).Expect(0);
        var results = _room.Journal("lead").OfType<Entry.ToolResult>().ToList();
        Assert.Equal([false, true, false], results.Select(result => result.IsError));
        Assert.Contains("--max-children", results[1].Summary + results[1].Content, StringComparison.Ordinal);
        Assert.Equal(["first"], _room.Journal("lead").OfType<Entry.ChildSpawned>().Select(child => child.Child));
    }
}
