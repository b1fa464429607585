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
