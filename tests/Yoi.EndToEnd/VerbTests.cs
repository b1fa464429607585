using System.Diagnostics;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>The verbs on living Pods, as a person uses them, and what they print and return.</summary>
public sealed class VerbTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private async Task<ModelServer> ServeAsync(Func<ReceivedRequest, Answer>? answer = null)
    {
        var server = await ModelServer.StartAsync(answer);
        _room.UseModel(server);
        return server;
    }

    [Fact]
    public async Task A_Pod_in_the_background_is_started_asked_waited_for_read_and_stopped()
    {
        await using var server = await ServeAsync();
        var started = (await _room.RunAsync("start", "helper", "--task", "hello", "--json")).Expect(0).Json;
        Assert.True(File.Exists(started.GetProperty("socket").GetString()));
        Assert.Equal("helper: idle, last run completed\n", (await _room.RunAsync("wait", "helper", "--timeout", "60")).Expect(0).Out);

        var row = (await _room.PodsAsync())["helper"];
        Assert.Equal(started.GetProperty("id").GetString(), row.GetProperty("id").GetString());
        Assert.Equal(("idle", started.GetProperty("pid").GetInt32(), started.GetProperty("socket").GetString(), JsonValueKind.Null), (
            row.GetProperty("state").GetString(), row.GetProperty("pid").GetInt32(), row.GetProperty("socket").GetString(), row.GetProperty("spawner").ValueKind));
        Assert.Equal(("local/mock", YoiRoom.HasSandbox ? YoiRoom.Level : row.GetProperty("sandbox_level").GetString(), 1, 10L, 5L), (
            row.GetProperty("model").GetString(), row.GetProperty("sandbox_level").GetString(), row.GetProperty("turns").GetInt32(),
            row.GetProperty("input_tokens").GetInt64(), row.GetProperty("output_tokens").GetInt64()));
        Assert.Equal(_room.Project, row.GetProperty("scope").GetProperty("allow")[0].GetProperty("target").GetString());
        Assert.Equal(JsonValueKind.String, row.GetProperty("last_activity").ValueKind);

        Assert.StartsWith("delivered as ", (await _room.RunAsync("send", "helper", "once more")).Expect(0).Out, StringComparison.Ordinal);
        (await _room.RunAsync("wait", "helper")).Expect(0);
        var said = (await _room.RunAsync("read", "helper", "--json")).Expect(0).Json;
        Assert.Equal(["Hello from the mock.", "Hello from the mock."], said.GetProperty("text").EnumerateArray().Select(text => text.GetString()));
        var next = said.GetProperty("next_seq").GetInt64();
        Assert.Empty((await _room.RunAsync("read", "helper", "--since", next.ToString(), "--json")).Expect(0).Json.GetProperty("text").EnumerateArray());
        Assert.Contains("> once more", (await _room.RunAsync("log", "helper")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Equal(next, (await _room.RunAsync("log", "helper", "--json")).Expect(0).JsonLines.Count);

        var stopped = Assert.Single((await _room.RunAsync("stop", "helper", "--json")).Expect(0).Json.EnumerateArray());
        Assert.Equal(("stopped", "human"), (stopped.GetProperty("reason").GetString(), stopped.GetProperty("by").GetString()));
        Assert.Contains("had ended already", (await _room.RunAsync("stop", "helper")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Contains("helper ended: stopped by human", (await _room.RunAsync("send", "helper", "x")).Expect(3).Error, StringComparison.Ordinal);
        Assert.Equal("ended", (await _room.PodsAsync())["helper"].GetProperty("state").GetString());
        Assert.StartsWith("removed helper", (await _room.RunAsync("rm", "helper")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Empty(await _room.PodsAsync());
    }

    [Fact]
    public async Task All_that_lives_is_stopped_at_once_and_nobody_else_is_named()
    {
        await using var server = await ServeAsync();
        Assert.Equal("no Pod lives\n", (await _room.RunAsync("stop", "--all")).Expect(0).Error);
        foreach (var name in new[] { "one", "two", "gone" }) (await _room.RunAsync("start", name, "--read", ".")).Expect(0);
        (await _room.RunAsync("stop", "gone")).Expect(0);
        var stopped = (await _room.RunAsync("stop", "--all", "--json")).Expect(0).Json.EnumerateArray();
        Assert.Equal(["one", "two"], stopped.Select(row => row.GetProperty("name").GetString()!).Order());
        Assert.All((await _room.PodsAsync()).Values, row => Assert.Equal("ended", row.GetProperty("state").GetString()));
        Assert.Contains("or give --all", (await _room.RunAsync("stop")).Expect(2).Error, StringComparison.Ordinal);
        Assert.Contains("or give --all", (await _room.RunAsync("stop", "one", "--all")).Expect(2).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exec \"$0\" attach helper </dev/zero")]
    [InlineData("exec \"$0\" send helper </dev/zero")]
    [InlineData("exec \"$0\" start other --task - </dev/zero")]
    public async Task What_is_piped_in_without_an_end_is_refused_and_said_to_be(string shell)
    {
        await using var server = await ServeAsync();
        (await _room.RunAsync("start", "helper", "--read", ".")).Expect(0);
        await using var process = _room.Start("/bin/sh", ["-c", shell, YoiRoom.Program]);
        var refused = await process.EndAsync();
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("longer than a Pod takes in one message (4 MiB)", refused.Error, StringComparison.Ordinal);
        Assert.Equal(["helper"], (await _room.PodsAsync()).Keys);
        Assert.DoesNotContain(_room.Journal("helper"), entry => entry is Entry.Input);
        (await _room.RunAsync("stop", "--all")).Expect(0);
    }

    [Theory]
    [InlineData("mkdir gone && cd gone && rmdir ../gone && exec \"$0\" ps", "the working directory is not there any more")]
    [InlineData("YOI_HOME=relative exec \"$0\" rm --all-ended", "YOI_HOME is \"relative\"; it must be an absolute path")]
    [InlineData("mkdir here && cd here && exec \"$0\" ps", null)]
    public async Task Without_a_place_to_work_in_or_to_keep_things_it_says_so(string shell, string? said)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", shell, YoiRoom.Program])
        { WorkingDirectory = _room.Project, RedirectStandardError = true, RedirectStandardOutput = true, Environment = { ["YOI_HOME"] = _room.Root + "/y" } })!;
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(said is null ? 0 : 2, process.ExitCode);
        Assert.Equal(said is null ? "" : "yoi: ", error[..Math.Min(5, error.Length)]);
        Assert.Contains(said ?? "", error, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", error, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "F06")]
    public async Task Names_that_nobody_chose_stand_in_nobody_s_way()
    {
        await using var server = await ServeAsync();
        var runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _room.RunAsync("run", "--read", ".", "-p", "hello")));
        Assert.All(runs, run => run.Expect(0));
        Assert.Equal(8, (await _room.RunAsync("ps", "--json")).Expect(0).Json.GetArrayLength()); // One that has ended frees its name for another.
    }

    [Fact]
    public async Task A_busy_Pod_refuses_input_and_queues_it_where_asked()
    {
        await using var server = await ServeAsync();
        (await _room.RunAsync("start", "busy", "--task", "SLOW 600000")).Expect(0);
        await server.ArrivedAsync(TestContext.Current.CancellationToken);
        Assert.Contains("`yoi send --queue busy …`", (await _room.RunAsync("send", "busy", "and now")).Expect(3).Error, StringComparison.Ordinal);
        Assert.StartsWith("queued as ", (await _room.WithInputAsync("and now\n", "send", "busy", "-", "--queue")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Equal("busy: still running\n", (await _room.RunAsync("wait", "busy", "--timeout", "0.2")).Expect(124).Out);
        await using (var client = await _room.ConnectAsync("busy")) await client.CancelAsync(TestContext.Current.CancellationToken);
        (await _room.RunAsync("wait", "busy")).Expect(0);
        Assert.Equal(["SLOW 600000", "and now\n"], _room.Journal("busy").OfType<Entry.Input>().Select(input => input.Text));
        (await _room.RunAsync("stop", "busy")).Expect(0);
    }

    [Fact]
    public async Task A_Pod_that_does_not_answer_is_shown_as_alive_and_can_be_stopped()
    {
        await using var server = await ServeAsync();
        var pid = (await _room.RunAsync("start", "held", "--json")).Expect(0).Json.GetProperty("pid").GetInt32();
        await using (var stop = _room.Start("/bin/sh", ["-c", $"kill -STOP {pid}"])) (await stop.EndAsync()).Expect(0);
        var row = (await _room.PodsAsync(_ => true))["held"];
        Assert.Equal(("not_answering", pid), (row.GetProperty("state").GetString(), row.GetProperty("pid").GetInt32()));
        Assert.Contains("alive, not answering", (await _room.RunAsync("ps")).Expect(0).Out, StringComparison.Ordinal);
        Assert.NotEqual("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.StartsWith("held: killed", (await _room.RunAsync("stop", "held")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
    }

    [Fact]
    public async Task A_second_Pod_on_a_held_path_is_refused_with_the_holder_and_what_helps_and_is_never_listed()
    {
        await using var server = await ServeAsync();
        (await _room.RunAsync("start", "holder")).Expect(0);
        var refused = (await _room.RunAsync("run", "--name", "second", "me, too")).Expect(3);
        Assert.Equal("", refused.Out);
        foreach (var help in new[] { "held for writing by holder", "`--read ", "`yoi send holder`", "`yoi stop holder`" })
            Assert.Contains(help, refused.Error, StringComparison.Ordinal);
        Assert.Equal(["holder"], (await _room.PodsAsync()).Keys);
        Assert.Contains("is in use", (await _room.RunAsync("start", "holder", "--read", ".")).Expect(3).Error, StringComparison.Ordinal);
        (await _room.RunAsync("run", "--name", "second", "--read", ".", "I only look")).Expect(0);
        (await _room.RunAsync("stop", "holder")).Expect(0);
        (await _room.RunAsync("run", "--name", "third", "me, too")).Expect(0);
        Assert.Equal(["holder", "second", "third"], (await _room.PodsAsync()).Keys);
    }

    [Fact]
    public async Task Scope_flags_are_what_the_Pod_can_do()
    {
        foreach (var directory in new[] { "src", "src/keep", "secret", "doc" }) _room.Write($"project/{directory}/f.txt", "old\n");
        string File(string directory) => $"{_room.Project}/{directory}/f.txt";
        object Content(string directory) => new { file_path = File(directory), content = "new\n" };
        var minds = new Minds().Of("worker",
            Calls(("Read", new { file_path = File("src") }), ("Read", new { file_path = File("src/keep") }), ("Read", new { file_path = File("secret") }), ("Read", new { file_path = File("doc") })),
            Calls(("Write", Content("src")), ("Write", Content("src/keep")), ("Write", Content("secret")), ("Write", Content("doc"))));
        await using var server = await ServeAsync(minds.Answer);
        (await _room.RunAsync("run", "--name", "worker", "--write", "src", "--read", ".", "--deny-write", "src/keep", "--deny-read", "secret", "try it all")).Expect(0);
        Assert.Equal([false, false, true, false, false, true, true, true], _room.Journal("worker").OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Equal(["new\n", "old\n", "old\n", "old\n"], new[] { "src", "src/keep", "secret", "doc" }.Select(directory => _room.Read(File(directory))));
    }

    [Fact]
    public async Task Cwd_chooses_the_working_directory_and_its_scope()
    {
        _room.Write("elsewhere/AGENTS.md", "Speak softly.\n");
        await using var server = await ServeAsync();
        (await _room.RunAsync("run", "--cwd", "../elsewhere", "hi")).Expect(0);
        var prompt = _room.Journal("elsewhere-1").OfType<Entry.Prompt>().Single().System;
        Assert.Contains($"Working directory: {_room.Root}/elsewhere", prompt, StringComparison.Ordinal);
        Assert.Contains("Speak softly.", prompt, StringComparison.Ordinal);
        Assert.Equal(_room.Root + "/elsewhere", _room.Journal("elsewhere-1").OfType<Entry.PodCreated>().Single().Scope.Allow.Single().Target);
    }

    [Fact]
    public async Task A_detached_run_goes_on_and_can_be_followed_and_read()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var minds = new Minds().Of("bg", Answer.Says("first ", "second") with { Before = (frame, ct) => frame == 2 ? gate.Task.WaitAsync(ct) : Task.CompletedTask });
        await using var server = await ServeAsync(minds.Answer);
        Assert.Equal("bg\n", (await _room.RunAsync("run", "--detach", "--name", "bg", "work")).Expect(0).Out);
        await using var follow = _room.Start("read", "bg", "--follow");
        gate.SetResult();
        await follow.SaysAsync("first second");
        (await _room.RunAsync("wait", "bg")).Expect(0);
        (await _room.RunAsync("stop", "bg")).Expect(0);
        (await follow.EndAsync()).Expect(0);
    }
}
