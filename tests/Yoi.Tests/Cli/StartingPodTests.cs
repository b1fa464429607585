using System.Globalization;
using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Linux;
using Yoi.Runtime.Spawning;

namespace Yoi.Tests.Cli;

/// <summary>A Pod between the moment its directory is made and the one at which it holds its life-lock.</summary>
public sealed class StartingPodTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    private LaunchDocument Document(string name) => new(
        LaunchDocument.CurrentVersion, PodName.NewId(TimeProvider.System), name, _room.Cwd, new ModelChoice("scripted", "scripted"),
        new ScopeRules([new ScopeRule(_room.Cwd, Permission.Write)], []), null, null, "root", 0, null, new PodLimits(), "none", _room.Surroundings.Directories, new ModelTiming());

    private async Task<string> StateAsync(params string[] flags)
    {
        Assert.Equal(0, await _room.RunAsync(["ps", "--json", .. flags]));
        var row = Assert.Single(JsonDocument.Parse(_room.Out).RootElement.EnumerateArray());
        return $"{row.GetProperty("name").GetString()} {row.GetProperty("state").GetString()}{(row.GetProperty("note").GetString() is { } note ? ": " + note : "")}";
    }

    private async Task RefusedAsync(params string[] args)
    {
        Assert.True(await _room.RunAsync(args) is ExitCode.Refused, $"{string.Join(' ', args)}: {_room.Error}");
        Assert.Contains("young is being started", _room.Error, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "G12")]
    public async Task A_Pod_whose_process_does_not_hold_its_lock_yet_is_listed_as_starting_and_no_verb_takes_its_files()
    {
        var document = Document("young");
        document = document with { RootId = document.PodId };
        var directory = _room.Surroundings.Directories.Pod("young", document.PodId);
        var pidFile = _room.Root + "/pid";
        var script = $"echo $$ > {pidFile}.new; mv {pidFile}.new {pidFile}; YOI_FAILPOINT=child.started:stop exec {RealPod.Yoi} serve";
        var launch = PodLauncher.StartAsync(
            Spawning.SpawningRoot.Shell(script), document, new LaunchSecrets(null, null), RealPod.Patience, TimeProvider.System, TestContext.Current.CancellationToken);
        await Eventually.Holds(() => File.Exists(pidFile));
        var pid = int.Parse(await File.ReadAllTextAsync(pidFile, TestContext.Current.CancellationToken), CultureInfo.InvariantCulture);
        try
        {
            await Eventually.Holds(() => PodProcess.IsHeldNow(pid, PodProcess.StartTimeOf(pid)!));
            _room.Surroundings.Table.Open();

            Assert.Equal("young starting", await StateAsync());
            Assert.Equal("young starting", await StateAsync("--living"));
            foreach (var verb in (string[][])[["rm", "young"], ["repair", "young"], ["restore", "young"], ["send", "young", "hello"]]) await RefusedAsync(verb);
            Assert.Equal(0, await _room.RunAsync("rm", "--all-ended"));
            Assert.Contains("kept: young is being started", _room.Error, StringComparison.Ordinal);
            Assert.Equal(0, await _room.RunAsync("gc", "--keep-below", "1K", "--yes"));
            Assert.DoesNotContain("young", _room.Out, StringComparison.Ordinal);
            Assert.Equal(ExitCode.Refused, await FrontDoor.RunAsync(["stop", "young"], _room.Surroundings with { Time = new Hurried() }, TestContext.Current.CancellationToken));
            Assert.Contains("does not hold its life-lock yet", _room.Error, StringComparison.Ordinal);
            Assert.Equal(["stderr.log"], Directory.GetFileSystemEntries(directory).Select(Path.GetFileName)); // Nobody was in its way.
        }
        finally
        {
            _ = Libc.Kill(pid, Libc.SigCont);
        }
        using var process = (await launch).Process;
        Assert.Equal("young idle", await StateAsync("--living"));
        Assert.Equal(ExitCode.Ok, await _room.RunAsync("stop", "young"));
        await process.Exited.WaitAsync(RealPod.Patience, TestContext.Current.CancellationToken);
        Assert.Equal(ExitCode.Ok, await _room.RunAsync("rm", "young"));
        Assert.False(Directory.Exists(directory));
    }

    [Fact]
    public async Task What_nobody_starts_is_what_a_killed_launcher_left_and_goes()
    {
        var directory = _room.Surroundings.Directories.Pod("young", PodName.NewId(TimeProvider.System));
        Directory.CreateDirectory(directory);
        using (LaunchHold.Take(directory))
        {
            Assert.Equal("young starting", await StateAsync());
            await RefusedAsync("rm", "young");
        }
        Assert.StartsWith("young damaged", await StateAsync(), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, await _room.RunAsync("rm", "young"));
        Assert.False(Directory.Exists(directory));
    }

    /// <summary>Two seconds pass between two looks at it.</summary>
    private sealed class Hurried : TimeProvider
    {
        private long _passed;

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Add(ref _passed, 2 * TimestampFrequency);
    }
}
