using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>Places where things are missing: no home, no rights, no disk, no Pod any more.</summary>
[Trait("runs", "commands")]
public sealed class HardshipTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task What_a_killed_Pod_said_and_did_can_be_read_and_its_name_used_again()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var started = (await _room.RunAsync("start", "dead", "--task", "hello", "--json")).Expect(0).Json;
        (await _room.RunAsync("wait", "dead")).Expect(0);
        using (var process = System.Diagnostics.Process.GetProcessById(started.GetProperty("pid").GetInt32()))
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        Assert.Equal("dead", (await _room.PodsAsync())["dead"].GetProperty("state").GetString());
        Assert.Equal("Hello from the mock.\n", (await _room.RunAsync("read", "dead")).Expect(0).Out);
        Assert.Contains("> hello", (await _room.RunAsync("log", "dead")).Expect(0).Out, StringComparison.Ordinal);
        Assert.Contains("its end is not recorded", (await _room.RunAsync("attach", "dead")).Expect(3).Error, StringComparison.Ordinal);
        Assert.Contains("`yoi stop dead`", (await _room.RunAsync("rm", "dead")).Expect(3).Error, StringComparison.Ordinal);
        (await _room.RunAsync("start", "dead")).Expect(0);
        Assert.StartsWith("dead: stopped", (await _room.RunAsync("stop", "dead")).Expect(0).Out, StringComparison.Ordinal);
        Assert.StartsWith("dead: had ended already: lost", (await _room.RunAsync("stop", started.GetProperty("id").GetString()!)).Expect(0).Out, StringComparison.Ordinal);
        (await _room.RunAsync("rm", "--all-ended")).Expect(0);
        Assert.Empty(await _room.PodsAsync());
    }

    [Fact]
    public async Task Stop_on_a_full_disk_says_that_the_Pod_has_ended_and_what_could_not_be_recorded()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var started = (await _room.RunAsync("start", "filled", "--json")).Expect(0).Json;
        using (var process = System.Diagnostics.Process.GetProcessById(started.GetProperty("pid").GetInt32()))
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        _room.Variable("YOI_FAILPOINT", "table.write:enospc");
        var said = (await _room.RunAsync("stop", "filled")).Expect(7).Error;
        Assert.Contains("filled has ended, and nothing of it can write any more", said, StringComparison.Ordinal);
        Assert.Contains("No space left on device", said, StringComparison.Ordinal);
        _room.Variable("YOI_FAILPOINT", null);
        var row = (await _room.RunAsync("stop", "filled", "--json")).Expect(0).Json[0];
        Assert.Equal(_room.Project, row.GetProperty("returned")[0].GetProperty("target").GetString());

        (await _room.RunAsync("start", "next")).Expect(0);
        Assert.Equal(_room.Project, (await _room.RunAsync("stop", "next", "--json")).Expect(0).Json[0].GetProperty("returned")[0].GetProperty("target").GetString());
    }

    [Fact]
    public async Task Without_HOME_a_run_works_where_YOI_HOME_says()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        _room.Variable("HOME", null);
        Assert.Contains("Hello from the mock.", (await _room.RunAsync("run", "hi")).Expect(0).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_waits_for_a_busy_provider_is_told_why_and_for_how_long()
    {
        await using var server = await ModelServer.StartAsync();
        server.Enqueue(Answer.Fails(429, "rate_limit_error", "slow down") with { Headers = new Dictionary<string, string> { ["Retry-After"] = "1" } });
        _room.UseModel(server);
        var ran = (await _room.RunAsync("run", "--name", "patient", "hi")).Expect(0);
        Assert.Contains("Hello from the mock.", ran.Out, StringComparison.Ordinal);
        Assert.Contains("slow down; asking again in 1 s (try 2 of ", ran.Error, StringComparison.Ordinal);
        Assert.Single(_room.Journal("patient").OfType<Entry.Notification>());
    }

    [Fact]
    public async Task A_state_directory_that_cannot_be_made_is_named()
    {
        await using var server = await ModelServer.StartAsync();
        var file = _room.Write("file", "no directory");
        _room.Variable("YOI_HOME", file + "/y");
        var failed = (await _room.RunAsync("run", "--model", "openai/m", "--base-url", server.OpenAiBaseUrl, "hi")).Expect(1);
        Assert.Contains($"{file}/y/state", failed.Error, StringComparison.Ordinal);
        Assert.Contains("set HOME or YOI_HOME to a directory that you may write", failed.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", failed.Error, StringComparison.Ordinal);
        Assert.Equal("no Pods; `yoi run TASK` starts one\n", (await _room.RunAsync("ps")).Expect(0).Out);
    }

    [Fact]
    public async Task An_ordinary_user_without_a_home_can_do_it_too()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        _room.Variable("HOME", "/nonexistent");
        (await AsOrdinaryUserAsync("run", "--name", "nobody", $"CALL Write {{\"file_path\":\"{_room.Project}/made.txt\",\"content\":\"x\"}}")).Expect(0);
        Assert.Equal("x", _room.Read("project/made.txt"));
        Assert.Equal(RunEnd.Completed, _room.Journal("nobody").OfType<Entry.RunEnded>().Single().Reason);
        (await AsOrdinaryUserAsync("doctor")).Expect(0);
    }

    /// <summary>Root becomes somebody else, to whom it gives the room, and in it the program: that may lie where only root may look. An ordinary user is one.</summary>
    private async Task<YoiResult> AsOrdinaryUserAsync(params string[] args)
    {
        if (Environment.UserName != "root") return await _room.RunAsync(args);
        await using (var give = _room.Start("/bin/sh", ["-c", $"mkdir -p {_room.Root}/bin && cp -p {Path.GetDirectoryName(YoiRoom.Program)}/* {_room.Root}/bin/ 2>/dev/null; chown -R 65534:65534 {_room.Root}"]))
            (await give.EndAsync()).Expect(0);
        await using var process = _room.Start("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups", $"{_room.Root}/bin/{Path.GetFileName(YoiRoom.Program)}", .. args]);
        process.EndInput();
        return await process.EndAsync();
    }

    [Theory, Trait("case", "P19")]
    [InlineData("chmod 0111 .git/hooks; chmod 0555 .git .")]
    [InlineData("chmod 0600 .git")]
    public async Task A_hook_that_an_ordinary_users_command_locks_away_is_moved_all_the_same(string locking)
    {
        YoiRoom.SkipWithoutSandbox();
        Needs.Programs("git");
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var command = $"git init -q .; echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; {locking}";
        (await AsOrdinaryUserAsync("run", $"CALL Bash {{\"command\":\"{command}\"}}")).Expect(0);
        Assert.False(File.Exists(_room.Project + "/.git/hooks/pre-commit"));
        Assert.True(File.Exists(_room.Project + "/.git/hooks/pre-commit.sample")); // The positive control: it ran.
        Assert.Equal("evil\n", _room.Read("project/.yoi/quarantine/1-0-pre-commit"));
    }
}
