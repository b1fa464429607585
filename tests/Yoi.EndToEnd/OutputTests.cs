using Xunit;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>What <c>yoi run</c> prints in each form, and the exit code of each end.</summary>
public sealed class OutputTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task Each_form_of_output_is_exactly_what_the_docs_say()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server, sandbox: "tools-only");
        Assert.Equal(("Hello from the mock.\n", ""), ((await _room.WithInputAsync("hi", "run", "-p")).Expect(0) is var printed ? printed.Out : "", printed.Error));

        var json = (await _room.RunAsync("run", "--output-format", "json", "hi")).Expect(0);
        Assert.Equal(
            ["result", "name", "id", "end", "detail", "runs", "turns", "input_tokens", "output_tokens", "seconds"],
            json.Json.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("Hello from the mock.", "completed", 1), (json.Json.GetProperty("result").GetString(), json.Json.GetProperty("end").GetString(), json.Json.GetProperty("turns").GetInt32()));

        var lines = (await _room.RunAsync("run", "--output-format", "stream-json", "hi")).Expect(0).JsonLines;
        Assert.Equal("result", lines[^1].GetProperty("event").GetString());
        Assert.All(lines.SkipLast(1), line => Assert.Equal("entry", line.GetProperty("event").GetString()));
        Assert.Equal(
            ["pod_created", "process_started", "prompt", "input", "run_start", "turn_start", "assistant", "run_end", "pod_ended"],
            lines.SkipLast(1).Select(line => line.GetProperty("data").GetProperty("kind").GetString()));

        var text = (await _room.RunAsync("run", "--name", "said", "hi")).Expect(0);
        Assert.StartsWith($"said · local/mock · write:{_room.Project}\nHello from the mock.\ncompleted · 1 turn · 10 tokens in, 5 out · ", text.Out, StringComparison.Ordinal);
        Assert.Equal("", text.Error);
    }

    [Fact]
    public async Task A_failed_run_says_why_on_stderr_once_and_has_the_exit_code_of_its_reason()
    {
        _room.Write("y/config/yoi.jsonc", """{ "timing": { "max_tries": 1 } }""");
        await using var server = await ModelServer.StartAsync();
        string[] model = ["--model", "openai/mock", "--base-url", server.OpenAiBaseUrl];
        foreach (string[] form in new[] { Array.Empty<string>(), ["-p"], ["--output-format", "json"] })
        {
            var failed = (await _room.RunAsync(["run", .. model, .. form, "ERR"])).Expect(5);
            Assert.Equal(form.Contains("json") ? 0 : 1, failed.Error.Split("mock refusal").Length - 1);
            if (form.Contains("json")) Assert.Equal("provider_error", failed.Json.GetProperty("end").GetString());
        }
        (await _room.RunAsync(["start", "waited-for", .. model, "--read", ".", "--task", "ERR"])).Expect(0);
        Assert.Equal("waited-for: idle, last run provider_error\n", (await _room.RunAsync("wait", "waited-for")).Expect(5).Out);
        Assert.Contains("idle, last run provider_error", (await _room.RunAsync("ps")).Expect(0).Out, StringComparison.Ordinal);
        (await _room.RunAsync("stop", "waited-for")).Expect(0);
        Assert.Equal("provider_error", (await _room.PodsAsync())["waited-for"].GetProperty("last_run").GetString());
        Assert.Contains("ended: stopped by human, last run provider_error", (await _room.RunAsync("ps")).Expect(0).Out, StringComparison.Ordinal);
        server.Enqueue([.. Enumerable.Repeat(Answer.Calls("Glob", """{"pattern":"*"}"""), 2)]);
        var limited = (await _room.RunAsync(["run", .. model, "--max-turns", "2", "go on for ever"])).Expect(1);
        Assert.Contains("run turn_limit", limited.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_is_not_taken_is_said_with_where_it_came_from()
    {
        await using var server = await ModelServer.StartAsync();
        _room.Variable("OPENAI_API_KEY", "sk-of-another");
        server.Enqueue(Answer.Fails(401, "authentication_error", "invalid key"));
        var failed = (await _room.RunAsync("run", "--model", "openai/mock", "--base-url", server.OpenAiBaseUrl, "hi")).Expect(5);
        Assert.Contains("authentication: ", failed.Error, StringComparison.Ordinal);
        Assert.Contains("the key came from env:OPENAI_API_KEY", failed.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-of-another", failed.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_is_also_a_word()
    {
        foreach (var (words, flag) in new (string[], string[])[] { (["help"], ["--help"]), (["help", "run"], ["run", "--help"]) })
        {
            var asked = (await _room.RunAsync(flag)).Expect(0).Out;
            Assert.Contains("Usage:", asked, StringComparison.Ordinal);
            Assert.Equal(asked, (await _room.RunAsync(words)).Expect(0).Out);
        }
    }

    [Theory]
    [InlineData("127.0.0.1:1", "connect")]
    [InlineData("name.invalid", "name.invalid")]
    public async Task A_model_server_that_is_not_there_is_named_and_is_5(string host, string words)
    {
        _room.Write("y/config/yoi.jsonc", """{ "timing": { "max_tries": 1 }, "providers": { "away": { "base_url": "http://HOST/v1" } } }""".Replace("HOST", host, StringComparison.Ordinal));
        var failed = (await _room.RunAsync("run", "--model", "away/m", "hi")).Expect(5);
        Assert.Contains("run provider_error", failed.Error, StringComparison.Ordinal);
        Assert.Contains(words, failed.Error, StringComparison.Ordinal);
        Assert.Contains(host, failed.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no model is chosen; set ANTHROPIC_API_KEY", "run", "hi")]
    [InlineData("no key for anthropic; set ANTHROPIC_API_KEY", "run", "--model", "anthropic/claude-sonnet-4-5", "hi")]
    [InlineData("nowhere does not exist; create it first", "run", "--model", "ollama/m", "--write", "nowhere", "hi")]
    [InlineData("--cwd nowhere", "run", "--model", "ollama/m", "--cwd", "nowhere", "hi")]
    [InlineData("the task is empty", "run", "--model", "ollama/m", "")]
    [InlineData("the task is empty", "run", "--model", "ollama/m")]
    [InlineData("did you mean --model?", "run", "--modle", "ollama/m", "hi")]
    [InlineData("there is no verb strat; did you mean start?", "strat", "x")]
    public async Task What_cannot_be_done_is_said_before_anything_starts(string words, params string[] args)
    {
        var refused = (await _room.RunAsync(args)).Expect(2);
        Assert.Equal("", refused.Out);
        Assert.Contains(words, refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_room.Directories.State));
    }

    [Fact]
    public async Task A_journal_that_cannot_be_written_ends_the_run_and_is_7()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        (await _room.RunAsync("run", "--name", "control", "hi")).Expect(0);
        _room.Variable("YOI_FAILPOINT", "journal.sync:enospc@full");
        var failed = await _room.RunAsync("run", "--name", "full", "hi");
        Assert.Contains(failed.ExitCode, new[] { 3, 7 });
        Assert.Contains("journal", failed.Error, StringComparison.OrdinalIgnoreCase);
        _room.Variable("YOI_FAILPOINT", null);
        await _room.RunAsync("stop", "full");
    }

    [Fact]
    public async Task A_name_that_is_no_Pods_is_4_and_names_those_that_are()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        Assert.Contains("there are no Pods yet, `yoi run TASK` starts one", (await _room.RunAsync("read", "somebody")).Expect(4).Error, StringComparison.Ordinal);
        (await _room.RunAsync("run", "--name", "somebody", "hi")).Expect(0);
        foreach (var verb in new[] { "read", "stop" })
            Assert.Contains("there are: somebody", (await _room.RunAsync(verb, "nobody")).Expect(4).Error, StringComparison.Ordinal);
    }
}
