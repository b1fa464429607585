using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>What holds the commands of a Pod was held by SIGSTOP when the Pod was killed: who stops the Pod ends them.</summary>
[Trait("runs", "commands")]
public sealed class HeldTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public HeldTests() => YoiRoom.SkipWithoutSandbox();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Theory, InlineData(false), InlineData(true), Trait("case", "F03"), Trait("case", "T34")]
    public async Task A_killed_Pod_whose_commands_holder_is_held_can_be_stopped_and_its_paths_are_free(bool force)
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("held", Call("Bash", new { command = "touch begun; sleep 600" })).Answer);
        _room.UseModel(server);
        var pid = (await _room.RunAsync("start", "held", "--task", "write", "--json")).Expect(0).Json.GetProperty("pid").GetInt32();
        await BegunAsync();
        var command = _room.Journal("held").OfType<Entry.CommandStarted>().Single();
        var holder = ParentOf(command.Pid);
        Assert.NotEqual(pid, holder);
        await using (var stop = _room.Start("/bin/kill", ["-STOP", $"{holder}"])) (await stop.EndAsync()).Expect(0);
        using (var pod = Process.GetProcessById(pid))
        {
            pod.Kill();
            await pod.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        if (YoiRoom.IsPartial) Assert.Contains(_room.Processes(), process => process.Pid == holder); // And with it the command.

        (await (force ? _room.RunAsync("stop", "--force", "held") : _room.RunAsync("stop", "held"))).Expect(0);

        Assert.DoesNotContain(_room.Processes(), process => process.Pid == holder || process.Pid == command.Pid);
        (await _room.RunAsync("start", "next")).Expect(0);
        (await _room.RunAsync("stop", "next")).Expect(0);
    }

    private async Task BegunAsync()
    {
        using var limit = new CancellationTokenSource(YoiProcess.Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!File.Exists(_room.Project + "/begun")) await ticks.WaitForNextTickAsync(limit.Token);
    }

    private static int ParentOf(int pid) => int.Parse(YoiRoom.Text($"/proc/{pid}/stat").Split(") ")[1].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
}
