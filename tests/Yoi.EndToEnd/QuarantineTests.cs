using System.Diagnostics;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>What the command of a Pod that is killed made of denied names is made inert before anybody else gets the place, and is told.</summary>
[Trait("runs", "commands")]
public sealed class QuarantineTests : IAsyncDisposable
{
    private const string Plant = "git init -q .; echo evil > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout; git config core.fsmonitor /evil; echo evil > .envrc; git init -q sub; echo evil > sub/.git/hooks/pre-push; touch planted; sleep 600";

    private readonly YoiRoom _room = new();

    public QuarantineTests()
    {
        YoiRoom.SkipWithoutSandbox();
        Needs.Programs("git");
    }

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private static Answer Bash(string command) => Call("Bash", new { command });

    [Fact, Trait("case", "P19"), Trait("case", "T34")]
    public async Task Whoever_takes_over_from_a_killed_Pod_finds_nothing_planted_and_is_told()
    {
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("writer", Bash(Plant)).Of("next", Bash("ls .git/hooks; cat .git/config; ls .envrc; true")).Answer);
        _room.UseModel(server);
        await KillAsync("writer");
        Assert.True(File.Exists(_room.Project + "/.git/hooks/post-checkout")); // It was there when the Pod was gone.

        (await _room.RunAsync("run", "take over", "--name", "next")).Expect(0);
        var looked = _room.Journal("next").OfType<Entry.ToolResult>().Single();
        if (YoiRoom.IsPartial) Assert.Contains("may not be written and lies in", looked.Summary, StringComparison.Ordinal); // A repository by now.
        else
        {
            Assert.Contains("repositoryformatversion", looked.Content, StringComparison.Ordinal);
            foreach (var evil in new[] { "/evil", "post-checkout\n", "\n.envrc\n" }) Assert.DoesNotContain(evil, looked.Content, StringComparison.Ordinal);
        }
        AssertTold("next");
        AssertKept();

        (await _room.RunAsync("stop", "writer")).Expect(0);
        AssertTold("writer");
        Assert.IsType<Entry.PodEnded>(_room.Journal("writer")[^1]);
    }

    [Fact, Trait("case", "P19"), Trait("case", "T34")]
    public async Task A_quarantine_that_is_cut_off_is_done_again_and_nothing_is_lost()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("writer", Bash(Plant)).Answer);
        _room.UseModel(server);
        await KillAsync("writer");
        // Cut off before and behind each move: each round comes one move further.
        for (var round = 0; round < 12; round++)
        {
            _room.Variable("YOI_FAILPOINT", round % 2 == 0 ? "quarantine.move:kill" : "quarantine.moved:kill");
            if ((await _room.RunAsync("stop", "writer")).ExitCode == 0) break;
            Assert.True(round < 11);
            Assert.Null(_room.Journal("writer").OfType<Entry.PodEnded>().SingleOrDefault());
        }
        _room.Variable("YOI_FAILPOINT", null);
        AssertTold("writer");
        AssertKept();
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_room.Directories.Pod("writer", Created("writer").PodId), "commands")));
    }

    [Fact, Trait("case", "P19")]
    public async Task What_is_stopped_by_force_leaves_nothing_planted_either()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("writer", Bash(Plant)).Answer);
        _room.UseModel(server);
        (await _room.RunAsync("start", "writer", "--task", "plant")).Expect(0);
        await PlantedAsync();
        (await _room.RunAsync("stop", "--force", "writer")).Expect(0);
        AssertTold("writer");
        AssertKept();
    }

    private async Task KillAsync(string pod)
    {
        (await _room.RunAsync("start", pod, "--task", "plant")).Expect(0);
        await PlantedAsync();
        using var process = Process.GetProcessById(_room.Journal(pod).OfType<Entry.ProcessStarted>().Last().Pid);
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    private async Task PlantedAsync()
    {
        using var limit = new CancellationTokenSource(YoiProcess.Limit);
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!File.Exists(_room.Project + "/planted")) await ticks.WaitForNextTickAsync(limit.Token);
    }

    private Entry.PodCreated Created(string pod) => _room.Journal(pod).OfType<Entry.PodCreated>().Single();

    /// <summary>Each of the three once.</summary>
    private void AssertTold(string pod)
    {
        var told = _room.Journal(pod).OfType<Entry.Notification>().Where(one => one.Source == "sandbox").Select(one => one.Message).ToList();
        foreach (var name in new[] { "post-checkout", "core.fsmonitor", ".envrc may not be written", "sub/.git/hooks: pre-push" }) Assert.Single(told, text => text.Contains(name, StringComparison.Ordinal));
    }

    private void AssertKept()
    {
        var kept = Directory.EnumerateFiles(_room.Project + "/.yoi/quarantine").Where(path => Path.GetFileName(path) != ".gitignore").ToList();
        Assert.Equal(4, kept.Count);
        Assert.Contains(kept, path => path.EndsWith("-post-checkout", StringComparison.Ordinal) && File.ReadAllText(path) == "evil\n");
        Assert.Contains(kept, path => path.EndsWith("-config", StringComparison.Ordinal) && File.ReadAllText(path).Contains("/evil", StringComparison.Ordinal));
        Assert.False(File.Exists(_room.Project + "/.git/config") && _room.Read("project/.git/config").Contains("/evil", StringComparison.Ordinal));
        Assert.False(File.Exists(_room.Project + "/.git/hooks/post-checkout") || File.Exists(_room.Project + "/.envrc") || File.Exists(_room.Project + "/sub/.git/hooks/pre-push"));
    }
}
