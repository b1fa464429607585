using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>Pods that were killed or stopped, and come back.</summary>
public sealed class RestoreTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private async Task KillAsync(string name)
    {
        using var process = Process.GetProcessById((await _room.PodsAsync())[name].GetProperty("pid").GetInt32());
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        // Reaped by nobody yet, its lock is free all the same.
        await _room.PodsAsync(pods => pods[name].GetProperty("state").GetString() is "dead" or "ended");
    }

    [Fact, Trait("case", "G06")]
    public async Task A_killed_Pod_comes_back_paused_with_all_that_it_was_and_goes_on_when_it_is_told_to()
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var asked = 0;
        var minds = new Minds().Of("work",
            Call("Write", new { file_path = _room.Project + "/a.txt", content = "once" }),
            Answer.Says("never said") with
            {
                Before = async (frame, ct) =>
                {
                    if (frame != 0 || Interlocked.Increment(ref asked) > 1) return;
                    reached.SetResult();
                    await new TaskCompletionSource().Task.WaitAsync(ct);
                },
            });
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "work", "--role", "You are thorough.", "--max-turns", "7", "--max-children", "3", "--deny-write", _room.Project + "/no", "--task", "begin")).Expect(0);
        await reached.Task.WaitAsync(YoiProcess.Limit, TestContext.Current.CancellationToken);
        var before = (await _room.PodsAsync())["work"];
        await KillAsync("work");
        var requests = server.Requests.Count;

        var back = (await _room.RunAsync("restore", "work", "--json")).Expect(0).Json[0];

        var after = (await _room.PodsAsync())["work"];
        Assert.Equal(("paused", "paused"), (back.GetProperty("state").GetString(), after.GetProperty("state").GetString()));
        foreach (var member in (string[])["id", "name", "cwd", "model", "sandbox_level", "scope", "turns"]) Assert.Equal(before.GetProperty(member).ToString(), after.GetProperty(member).ToString());
        Assert.NotEqual(before.GetProperty("pid").GetInt32(), after.GetProperty("pid").GetInt32());
        Assert.Equal(requests, server.Requests.Count); // Nothing starts by itself.
        Assert.Equal(3, (await _room.RunAsync("restore", "work")).ExitCode); // It lives.

        (await _room.RunAsync("resume", "work")).Expect(0);
        (await _room.RunAsync("wait", "work")).Expect(0);
        var journal = _room.Journal("work");
        Assert.Equal([RunEnd.Interrupted, RunEnd.Completed], journal.OfType<Entry.RunEnded>().Select(run => run.Reason));
        Assert.Equal(PodEnd.Lost, Assert.Single(journal.OfType<Entry.PodEnded>()).Reason);
        var created = Assert.Single(journal.OfType<Entry.PodCreated>());
        Assert.Equal(("You are thorough.", 7, 3), (created.Role, created.Limits.TurnsPerRun, created.Limits.Children));
        Assert.Single(journal.OfType<Entry.ToolResult>());
        var request = System.Text.Encoding.UTF8.GetString(server.Requests[^1].Body);
        Assert.Contains("You are thorough.", request, StringComparison.Ordinal);
        Assert.Contains("begin", request, StringComparison.Ordinal);
        Assert.Contains("The run was interrupted", request, StringComparison.Ordinal);
        (await _room.RunAsync("stop", "work")).Expect(0);
    }

    [Fact]
    public async Task A_path_that_another_holds_by_now_is_refused_by_its_holders_name_or_left_to_it()
    {
        _room.Write("project/a/x.txt", "x");
        var minds = new Minds().Of("first", Call("Write", new { file_path = _room.Project + "/a/x.txt", content = "y" }), Call("Write", new { file_path = _room.Project + "/y.txt", content = "y" }));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "first")).Expect(0);
        await KillAsync("first");
        (await _room.RunAsync("start", "second", "--write", "a")).Expect(0);

        var refused = await _room.RunAsync("restore", "first");
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("second", refused.Error, StringComparison.Ordinal);
        Assert.Contains("--without-held", refused.Error, StringComparison.Ordinal);
        Assert.Equal("ended", (await _room.PodsAsync())["first"].GetProperty("state").GetString());
        Assert.StartsWith("yoi: first: ", (await _room.RunAsync("restore", "--all")).Expect(3).Error, StringComparison.Ordinal); // Nobody named it.

        var reduced = (await _room.RunAsync("restore", "first", "--without-held")).Expect(0);
        Assert.Contains(_room.Project + "/a", reduced.Error, StringComparison.Ordinal);
        (await _room.RunAsync("send", "first", "go")).Expect(0);
        (await _room.RunAsync("wait", "first")).Expect(0);
        Assert.Equal([true, false], _room.Journal("first").OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal("x", _room.Read("project/a/x.txt"));
        Assert.Contains("you hold less than before", System.Text.Encoding.UTF8.GetString(server.Requests[0].Body), StringComparison.Ordinal);
        (await _room.RunAsync("stop", "first", "second")).Expect(0);
    }

    [Fact]
    public async Task A_Pod_that_was_stopped_comes_back_when_it_is_named_and_says_so_and_all_leaves_it_alone()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Says("done"));
        _room.UseModel(server);
        (await _room.RunAsync("start", "quiet", "--read", ".")).Expect(0);
        var first = (await _room.PodsAsync())["quiet"].GetProperty("id").GetString()!;
        Assert.Contains("in use by a living Pod", (await _room.RunAsync("start", "quiet", "--read", ".")).Expect(3).Error, StringComparison.Ordinal);
        Assert.Contains("quiet is not paused, and nothing waits there; `yoi send quiet", (await _room.RunAsync("resume", "quiet")).Expect(3).Error, StringComparison.Ordinal);
        (await _room.RunAsync("stop", "quiet")).Expect(0);
        Assert.Contains("no Pod died", (await _room.RunAsync("restore", "--all")).Expect(0).Error, StringComparison.Ordinal);

        (await _room.RunAsync("start", "quiet", "--read", ".")).Expect(0); // The name of an ended Pod makes a new one; the older is listed by its id.
        var rows = (await _room.RunAsync("ps", "--json")).Expect(0).Json.EnumerateArray().Select(row => (row.GetProperty("id").GetString(), row.GetProperty("state").GetString())).ToList();
        Assert.Equal(2, rows.Count);
        Assert.Contains((first, "ended"), rows);
        Assert.Contains("in use by a living Pod", (await _room.RunAsync("restore", first)).Expect(3).Error, StringComparison.Ordinal);
        (await _room.RunAsync("stop", "quiet")).Expect(0);

        Assert.Contains("had ended on purpose: stopped by human", (await _room.RunAsync("restore", first)).Expect(0).Error, StringComparison.Ordinal);
        (await _room.RunAsync("send", "quiet", "hello")).Expect(0); // The living one of that name, though it is the older.
        (await _room.RunAsync("wait", "quiet")).Expect(0);
        (await _room.RunAsync("stop", "quiet")).Expect(0);
        Assert.Equal(2, Directory.GetDirectories(_room.Directories.Pods, "quiet.*").Length);
    }

    [Fact, Trait("case", "T28")]
    public async Task Settings_that_changed_meanwhile_only_take_away_and_the_difference_is_shown()
    {
        _room.Write("project/src/a.txt", "a");
        var minds = new Minds().Of("p", Call("Write", new { file_path = _room.Project + "/src/a.txt", content = "b" }), Call("Write", new { file_path = _room.Home + "/b.txt", content = "b" }), Call("Write", new { file_path = _room.Project + "/b.txt", content = "b" }));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "p")).Expect(0);
        await KillAsync("p");
        _room.Write("y/config/yoi.jsonc", $$"""
            { "model": "local/other", "providers": { "local": { "base_url": "{{server.OpenAiBaseUrl}}" } }, "network": true, "sandbox": "tools-only", "timing": { "max_tries": 2 },
              "limits": { "children": 99, "tokens": 1000000, "commands": { "seconds": 60 } },
              "scope": { "write": ["{{_room.Home}}"], "deny_write": ["{{_room.Project}}/src"] } }
            """);

        var back = (await _room.RunAsync("restore", "p", "--json")).Expect(0).Json[0];

        Assert.Contains(_room.Project + "/src", Assert.Single(back.GetProperty("lost").EnumerateArray()).GetString(), StringComparison.Ordinal);
        var differences = string.Join("\n", back.GetProperty("differences").EnumerateArray().Select(one => one.GetString()));
        foreach (var word in (string[])["local/other", "keeps local/mock", "limits.children 99; it keeps 16", "limits.tokens 1000000; it keeps none",
            "limits.commands.seconds 60; it keeps 600", "timing.max_tries 2; it keeps ", "network; it keeps none"]) Assert.Contains(word, differences, StringComparison.Ordinal);
        var level = (await _room.PodsAsync())["p"].GetProperty("sandbox_level").GetString();
        Assert.Equal(level != "tools-only", differences.Contains($"sandbox tools-only; it keeps {level}", StringComparison.Ordinal));
        (await _room.RunAsync("send", "p", "go")).Expect(0);
        (await _room.RunAsync("wait", "p")).Expect(0);
        Assert.Equal([true, true, false], _room.Journal("p").OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal("a", _room.Read("project/src/a.txt"));
        Assert.Contains("\"mock\"", System.Text.Encoding.UTF8.GetString(server.Requests[0].Body), StringComparison.Ordinal);
        // A second time takes nothing more away and says nothing more of that.
        (await _room.RunAsync("stop", "p")).Expect(0);
        Assert.Empty((await _room.RunAsync("restore", "p", "--json")).Expect(0).Json[0].GetProperty("lost").EnumerateArray());
        (await _room.RunAsync("stop", "p")).Expect(0);
    }

    [Fact]
    public async Task The_key_comes_anew_from_where_it_came_from_and_is_missed_by_name()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Says("done"));
        _room.Write("y/config/yoi.jsonc", $$"""{ "model": "local/mock", "providers": { "local": { "base_url": "{{server.OpenAiBaseUrl}}", "api_key_env": "MY_KEY" } } }""");
        _room.Variable("MY_KEY", "sk-first");
        (await _room.RunAsync("start", "p", "--read", ".")).Expect(0);
        (await _room.RunAsync("stop", "p")).Expect(0);
        _room.Variable("MY_KEY", null);
        Assert.Contains("MY_KEY, which is not set", (await _room.RunAsync("restore", "p")).Expect(2).Error, StringComparison.Ordinal);
        _room.Variable("MY_KEY", "sk-second");
        (await _room.RunAsync("restore", "p")).Expect(0);
        (await _room.RunAsync("send", "p", "hello")).Expect(0);
        (await _room.RunAsync("wait", "p")).Expect(0);
        Assert.Equal("Bearer sk-second", server.Requests.Single().Headers["Authorization"]);
        (await _room.RunAsync("stop", "p")).Expect(0);
        Assert.DoesNotContain(Directory.GetFiles(_room.Directories.State, "*", SearchOption.AllDirectories), file => File.ReadAllText(file).Contains("sk-second", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_first_task_is_neither_lost_nor_done_twice_when_the_Pod_dies_before_it_has_acknowledged_it()
    {
        await using var server = await ModelServer.StartAsync(_ => Answer.Says("done"));
        _room.UseModel(server);
        _room.Variable("YOI_FAILPOINT", "child.accepted:kill");
        var started = (await _room.RunAsync("start", "p", "--read", ".", "--task", "count to one")).Expect(1);
        _room.Variable("YOI_FAILPOINT", null);
        Assert.Contains("`yoi restore p`", started.Error, StringComparison.Ordinal);
        (await _room.RunAsync("restore", "p")).Expect(0);
        (await _room.RunAsync("resume", "p")).Expect(0);
        (await _room.RunAsync("wait", "p")).Expect(0);
        Assert.Single(_room.Journal("p").OfType<Entry.Input>());
        Assert.Single(_room.Journal("p").OfType<Entry.RunEnded>(), run => run.Reason == RunEnd.Completed);
        (await _room.RunAsync("stop", "p")).Expect(0);
    }

    [Fact, Trait("case", "T26")]
    public async Task A_tree_that_died_as_a_whole_comes_back_as_a_whole_and_a_part_of_it_by_its_name()
    {
        object Lend(string name, string task) => new { name, task, scope = new[] { new { target = $"{_room.Project}/{name}", permission = "write" } } };
        foreach (var name in (string[])["mid", "done", "other"]) Directory.CreateDirectory($"{_room.Project}/{name}");
        var minds = new Minds()
            .Of("lead", Calls(("SpawnPod", Lend("mid", "work")), ("SpawnPod", Lend("done", "work")), ("WaitForPods", new { until = "all" }), ("StopPod", new { name = "done" })))
            .Of("mid", Call("SpawnPod", new { name = "leaf", task = "work", scope = Array.Empty<object>() }));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "lead", "--task", "go")).Expect(0);
        foreach (var name in (string[])["lead", "mid", "leaf", "mid", "lead"]) (await _room.RunAsync("wait", name)).Expect(0);
        var before = await _room.PodsAsync();
        foreach (var name in (string[])["lead", "mid", "leaf"]) await KillAsync(name);
        var requests = server.Requests.Count;

        var back = (await _room.RunAsync("restore", "--tree", "lead", "--json")).Expect(0).Json.EnumerateArray().Select(row => row.GetProperty("name").GetString());

        Assert.Equal(["lead", "mid", "leaf"], back);
        var after = await _room.PodsAsync();
        foreach (var name in (string[])["lead", "mid", "leaf"])
            foreach (var member in (string[])["id", "spawner", "scope", "model"]) Assert.Equal(before[name].GetProperty(member).ToString(), after[name].GetProperty(member).ToString());
        Assert.Equal(("ended", requests), (after["done"].GetProperty("state").GetString(), server.Requests.Count));
        await LendersAre((null, "lead", "mid"));

        foreach (var name in (string[])["lead", "mid", "leaf"]) await KillAsync(name);
        (await _room.RunAsync("restore", "--all")).Expect(0);
        await _room.PodsAsync(pods => pods.Values.Count(row => row.GetProperty("state").GetString() is "idle" or "paused") == 3);
        await LendersAre((null, "lead", "mid"));
        (await _room.RunAsync("stop", "lead")).Expect(0);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
    }

    [Fact, Trait("case", "T18")]
    public async Task Requests_of_a_Pod_that_is_killed_between_any_two_of_them_begin_all_alike()
    {
        const int Runs = 4;
        _room.Write("project/a.txt", "a\n");
        var minds = new Minds().Of("p", [.. Enumerable.Range(0, 2 * Runs).Select<int, Func<Asked, Answer>>(turn => _ => turn % 2 == 0 ? Call("Read", new { file_path = _room.Project + "/a.txt" }) : Answer.Says($"answer {turn}"))]);
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "p", "--read", ".")).Expect(0);
        for (var run = 0; run < Runs; run++)
        {
            (await _room.RunAsync("send", "p", $"question {run}")).Expect(0);
            (await _room.RunAsync("wait", "p")).Expect(0);
            await KillAsync("p");
            (await _room.RunAsync("restore", "p")).Expect(0);
        }
        var bodies = server.Requests.Select(request => System.Text.Json.JsonDocument.Parse(request.Body).RootElement).ToList();
        Assert.Equal(2 * Runs, bodies.Count);
        string[] Messages(int at) => [.. bodies[at].GetProperty("messages").EnumerateArray().Select(message => message.GetRawText())];
        for (var at = 1; at < bodies.Count; at++)
        {
            foreach (var member in (string[])["model", "tools"]) Assert.Equal(bodies[0].GetProperty(member).GetRawText(), bodies[at].GetProperty(member).GetRawText());
            Assert.Equal(Messages(at - 1), Messages(at).Take(Messages(at - 1).Length));
        }
        (await _room.RunAsync("stop", "p")).Expect(0);
    }

    private async Task LendersAre((string?, string?, string?) lenders)
    {
        var rows = (await _room.RunAsync("scopes", "--json")).Expect(0).Json.EnumerateArray().ToList();
        string? Lender(string pod) => rows.First(row => row.GetProperty("pod").GetString() == pod).GetProperty("lent_by").GetString();
        Assert.Equal(lenders, (Lender("lead"), Lender("mid"), Lender("leaf")));
    }
}
