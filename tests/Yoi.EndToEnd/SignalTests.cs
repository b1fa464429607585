using System.Runtime.InteropServices;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>What ends a <c>yoi run</c> from outside, and its exit code.</summary>
public sealed class SignalTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130, "cancelled")]
    [InlineData(PosixSignal.SIGHUP, 129, "stopped")]
    [InlineData(PosixSignal.SIGTERM, 143, "stopped")]
    public async Task A_signal_ends_the_run_with_its_own_exit_code_and_leaves_nothing(PosixSignal signal, int code, string how)
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "slow", "SLOW 600000");
        await run.SaysAsync("Hello");
        run.Signal(signal);
        var ended = (await run.EndAsync()).Expect(code);
        var journal = _room.Journal("slow");
        Assert.Equal(RunEnd.Cancelled, journal.OfType<Entry.RunEnded>().Single().Reason);
        Assert.True(journal.OfType<Entry.Assistant>().Single().Partial);
        Assert.Contains("run cancelled", ended.Error, StringComparison.Ordinal);
        Assert.Equal(how == "cancelled", ended.Error.Contains("Ctrl-C again", StringComparison.Ordinal));
        Assert.Equal(PodEnd.Stopped, ((Entry.PodEnded)journal[^1]).Reason);
        Assert.Empty(_room.Processes());
    }

    public static MatrixTheoryData<PosixSignal, string> Signals => new([PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGINT], ["stream", "call"]);

    [Theory, MemberData(nameof(Signals)), Trait("case", "F10"), Trait("runs", "commands")]
    public async Task A_signal_in_a_stream_or_in_a_call_ends_the_whole_tree_within_ten_seconds_and_its_journals_are_complete(PosixSignal signal, string doing)
    {
        YoiRoom.SkipWithoutSandbox();
        var never = new TaskCompletionSource();
        var slow = Answer.Says("Hello", " and more") with { Before = (number, ct) => number < 3 ? Task.CompletedTask : never.Task.WaitAsync(ct) };
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead",
                Minds.Call("SpawnPod", new { name = "child", task = "work", scope = Array.Empty<object>() }),
                doing == "stream" ? slow : Minds.Call("Bash", new { command = "setsid -f sh -c 'while :; do sleep 0.05; done'; echo begun > begun; sleep 600" }))
            .Of("child", slow).Answer);
        _room.UseModel(server);
        await using var run = _room.Start("run", "work", "--name", "lead");
        await UntilAsync(() => doing == "stream" ? run.Out.Contains("Hello", StringComparison.Ordinal) : File.Exists(_room.Project + "/begun"));
        await UntilAsync(() => server.Requests.Any(request => Minds.Read(request.Body).Pod == "child"));

        var began = TimeProvider.System.GetTimestamp();
        run.Signal(signal);
        if (signal == PosixSignal.SIGINT)
        {
            await run.RemarksAsync("Ctrl-C again");
            run.Signal(signal);
        }
        (await run.EndAsync()).Expect(signal switch { PosixSignal.SIGTERM => 143, PosixSignal.SIGHUP => 129, _ => 130 });
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(10));
        Assert.Empty(_room.Processes());

        foreach (var name in new[] { "lead", "child" })
        {
            var journal = _room.Journal(name); // Every line has its end and its checksum.
            Assert.All(journal.OfType<Entry.RunEnded>(), ended => Assert.Equal(RunEnd.Cancelled, ended.Reason));
            Assert.Equal(journal.OfType<Entry.RunStart>().Count(), journal.OfType<Entry.RunEnded>().Count());
            Assert.Equal(PodEnd.Stopped, Assert.IsType<Entry.PodEnded>(journal[^1]).Reason);
            var calls = journal.OfType<Entry.Assistant>().SelectMany(message => message.Blocks).OfType<AssistantBlock.ToolCall>().Select(call => call.CallId);
            Assert.Equal(calls, journal.OfType<Entry.ToolResult>().Select(result => result.CallId));
            Assert.Equal(journal.OfType<Entry.CommandStarted>().Count(), journal.OfType<Entry.CommandEnded>().Count());
        }
        Assert.Equal(doing == "call" ? 1 : 0, _room.Journal("lead").OfType<Entry.CommandStarted>().Count());
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
    }

    internal static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(YoiProcess.Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!holds()) await ticks.WaitForNextTickAsync(limit.Token);
    }

    [Fact]
    public async Task A_run_that_somebody_else_cancels_says_who_and_is_6()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "slow", "SLOW 600000");
        await run.SaysAsync("Hello");
        await using (var client = await _room.ConnectAsync("slow")) await client.CancelAsync(TestContext.Current.CancellationToken);
        Assert.Contains("run cancelled by human", (await run.EndAsync()).Expect(6).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_whose_Pod_is_killed_says_so_and_its_end_is_recorded()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        await using var run = _room.Start("run", "--name", "slow", "SLOW 600000");
        await run.SaysAsync("Hello");
        using (var pod = System.Diagnostics.Process.GetProcessById((await _room.PodsAsync())["slow"].GetProperty("pid").GetInt32())) pod.Kill();
        var ended = (await run.EndAsync()).Expect(1);
        Assert.Contains("slow ended in its run", ended.Error, StringComparison.Ordinal);
        Assert.IsType<Entry.PodEnded>(_room.Journal("slow")[^1]);
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
    }
}
