using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>At a terminal: colours, typing, Ctrl-C, Ctrl-D and hanging up.</summary>
public sealed class TerminalTests : IAsyncDisposable
{
    private const string CtrlC = "\x03", CtrlD = "\x04";
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    /// <summary>A terminal of 120 columns around <c>yoi</c>, by util-linux's <c>script</c>.</summary>
    private YoiProcess AtTerminal(params string[] args)
    {
        var line = string.Join(' ', args.Prepend(YoiRoom.Program).Select(word => $"'{word}'"));
        return _room.Start("script", ["-q", "-e", "-c", "stty cols 120; exec " + line, "/dev/null"]);
    }

    [Fact]
    public async Task Colours_are_on_a_terminal_only_and_never_with_NO_COLOR()
    {
        Needs.Programs("script");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        Assert.DoesNotContain('\e', (await _room.RunAsync("run", "hi")).Expect(0).Out);
        await using (var run = AtTerminal("run", "hi")) Assert.Contains("\e[2m", (await run.EndAsync()).Expect(0).Out, StringComparison.Ordinal);
        await using (var ps = AtTerminal("ps")) Assert.Contains("\e[2m", (await ps.EndAsync()).Expect(0).Out, StringComparison.Ordinal);
        _room.Variable("NO_COLOR", "1");
        foreach (var verb in new[] { "run", "ps" })
            await using (var plain = AtTerminal([verb, .. verb == "run" ? ["hi"] : Array.Empty<string>()]))
                Assert.DoesNotContain("\e[2m", (await plain.EndAsync()).Expect(0).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Attached_a_typed_line_is_sent_Ctrl_C_cancels_the_run_and_Ctrl_D_detaches()
    {
        Needs.Programs("script");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        server.Enqueue(Answer.Says("Good day.")); // No other answer begins like that of the run that is cancelled.
        (await _room.RunAsync("start", "talker", "--task", "hello")).Expect(0);
        (await _room.RunAsync("wait", "talker")).Expect(0);
        await using var attached = AtTerminal("attach", "talker");
        await attached.SaysAsync("talker is idle; type to send");
        await attached.SaysAsync("> hello");
        await attached.TypeAsync("SLOW 600000\n");
        await attached.SaysAsync("Hello");
        await server.ArrivedAsync(TestContext.Current.CancellationToken);
        await server.ArrivedAsync(TestContext.Current.CancellationToken);
        await attached.TypeAsync("and then this\n");
        await attached.SaysAsync("> and then this (queued)");
        await attached.TypeAsync(CtrlC);
        await attached.SaysAsync("run cancelled by human");
        await server.ArrivedAsync(TestContext.Current.CancellationToken);
        (await _room.RunAsync("wait", "talker")).Expect(0);
        await attached.TypeAsync(CtrlC);
        await attached.SaysAsync("talker has no run to cancel");
        await attached.TypeAsync("pasted one\npasted too\x02\x02\x02t\n"); // Ctrl-B goes back.
        await attached.SaysAsync("> pasted one");
        await server.ArrivedAsync(TestContext.Current.CancellationToken);
        (await _room.RunAsync("wait", "talker")).Expect(0);
        await attached.TypeAsync(CtrlD);
        var said = (await attached.EndAsync()).Expect(0).Out;
        Assert.Contains("detached; talker goes on", said, StringComparison.Ordinal);
        Assert.Equal(["hello", "SLOW 600000", "and then this", "pasted one\npasted ttoo"], _room.Journal("talker").OfType<Entry.Input>().Select(input => input.Text));
        Assert.Equal("idle", (await _room.PodsAsync())["talker"].GetProperty("state").GetString());
        await using var again = AtTerminal("attach", "talker");
        await again.SaysAsync("pasted ttoo");
        (await _room.RunAsync("stop", "talker")).Expect(0);
        Assert.Contains("talker ended: stopped by human", (await again.EndAsync()).Expect(0).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_waited_for_is_said_on_a_terminal_until_it_comes()
    {
        Needs.Programs("script");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var comes = new TaskCompletionSource();
        server.Enqueue(Answer.Says("Good day.") with { Before = (_, ct) => comes.Task.WaitAsync(ct) });
        await using var run = AtTerminal("run", "hello");
        await run.SaysAsync("… ");
        await run.SaysAsync(" · 2 s\r");
        comes.SetResult();
        Assert.Contains("s\r\r\e[JGood day.", (await run.EndAsync()).Expect(0).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_from_a_pipe_is_sent_and_its_end_detaches()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        (await _room.RunAsync("start", "piped")).Expect(0);
        (await _room.WithInputAsync("hello\n", "attach", "piped")).Expect(0);
        (await _room.RunAsync("wait", "piped")).Expect(0);
        Assert.Equal(["hello"], _room.Journal("piped").OfType<Entry.Input>().Select(input => input.Text));
        (await _room.RunAsync("stop", "piped")).Expect(0);
    }

    [Fact]
    public async Task A_terminal_that_is_closed_stops_the_tree()
    {
        Needs.Programs("script");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        await using (var run = AtTerminal("run", "--name", "left", "SLOW 600000")) await run.SaysAsync("Hello");
        var pods = await _room.PodsAsync(pods => pods["left"].GetProperty("state").GetString() == "ended");
        Assert.Equal("stopped by human", pods["left"].GetProperty("end").GetString());
        await _room.PodsAsync(_ => _room.Processes().Count == 0);
    }
}
