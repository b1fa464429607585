using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary><c>yoi run</c> from the command line to a file on disk: socket, journal and a model behind HTTP.</summary>
public sealed class RunTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private Minds Editor() => new Minds().Of("editor",
        Call("Read", new { file_path = _room.Project + "/hello.txt" }),
        Call("Edit", new { file_path = _room.Project + "/hello.txt", old_string = "world", new_string = "Pod" }),
        Answer.Says("I have ", "edited it."));

    [Fact]
    public async Task A_command_left_in_the_background_is_named_and_ends_with_the_run()
    {
        YoiRoom.SkipWithoutSandbox();
        var minds = new Minds().Of("starter", Call("Bash", new { command = "sleep 600", run_in_background = true, name = "server" }), Answer.Says("It runs."));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        var ran = (await _room.RunAsync("run", "--name", "starter", "-p", "start it")).Expect(0);
        Assert.Equal("It runs.\n", ran.Out);
        Assert.Contains("the background command server (`sleep 600`) was still running and ends with starter; with --detach it goes on", ran.Error, StringComparison.Ordinal);
        Assert.Equal("pod_ended", Assert.Single(_room.Journal("starter").OfType<Entry.CommandEnded>()).Why);
    }

    [Theory]
    [InlineData("flag"), InlineData("settings"), InlineData("anthropic"), InlineData("openai"), InlineData("ollama")]
    public async Task A_run_edits_a_file_and_everything_it_did_is_in_its_journal(string wire)
    {
        _room.Write("project/hello.txt", "hello world\n");
        await using var server = await ModelServer.StartAsync(Editor().Answer);
        string[] model = [];
        switch (wire)
        {
            case "flag":
                model = ["--model", "openai/mock", "--base-url", server.OpenAiBaseUrl];
                break;
            case "settings":
                _room.UseModel(server);
                break;
            case "anthropic":
                _room.Variable("ANTHROPIC_API_KEY", "sk-ant-canary");
                _room.Variable("ANTHROPIC_BASE_URL", server.Origin);
                break;
            case "openai":
                _room.Variable("OPENAI_API_KEY", "sk-openai-canary");
                _room.Variable("OPENAI_BASE_URL", server.OpenAiBaseUrl);
                break;
            case "ollama":
                _room.Variable("OLLAMA_HOST", server.Origin["http://".Length..]);
                model = ["--model", "ollama/mock"];
                break;
        }
        var ran = (await _room.RunAsync(["run", "greet the Pod", "--name", "editor", .. model])).Expect(0);

        Assert.Equal("hello Pod\n", _room.Read("project/hello.txt"));
        Assert.Contains("I have edited it.", ran.Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', ran.Out + ran.Error);
        var journal = _room.Journal("editor");
        Assert.IsType<Entry.PodCreated>(journal[0]);
        Assert.Equal(["greet the Pod"], journal.OfType<Entry.Input>().Select(input => input.Text));
        Assert.Equal(["Read", "Edit"], journal.OfType<Entry.ToolResult>().Where(result => !result.IsError).Select(result => result.Name));
        Assert.Equal(RunEnd.Completed, Assert.Single(journal.OfType<Entry.RunEnded>()).Reason);
        Assert.Equal((PodEnd.Stopped, "human"), (((Entry.PodEnded)journal[^1]).Reason, ((Entry.PodEnded)journal[^1]).By));
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.Equal(3, server.Requests.Count);
        Assert.All(server.Requests, request => Assert.Equal(wire == "anthropic" ? "/v1/messages" : "/v1/chat/completions", request.Path));
        Assert.All(server.Requests, request => Assert.Equal(
            wire switch { "anthropic" => "sk-ant-canary", "openai" => "Bearer sk-openai-canary", _ => "" },
            request.Headers.GetValueOrDefault(wire == "anthropic" ? "x-api-key" : "authorization", "")));
        Assert.DoesNotContain(Directory.GetFiles(_room.Root, "*", SearchOption.AllDirectories), file => File.ReadAllText(file).Contains("canary", StringComparison.Ordinal));
    }
}
