using Xunit;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>The executable is replaced or removed while a Pod runs that was started from it.</summary>
public sealed class ReplacedProgramTests : IAsyncDisposable
{
    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    private async Task ShellAsync(string script)
    {
        await using var shell = _room.Start("/bin/sh", ["-c", script]);
        shell.EndInput();
        (await shell.EndAsync()).Expect(0);
    }

    private async Task SayAsync(string text)
    {
        (await _room.RunAsync("send", "lead", text)).Expect(0);
        (await _room.RunAsync("wait", "lead")).Expect(0);
    }

    private string Spawn(string name)
    {
        Directory.CreateDirectory($"{_room.Project}/{name}");
        return $$"""CALL SpawnPod {"name":"{{name}}","task":"hello","scope":[{"target":"{{_room.Project}}/{{name}}","permission":"write"}]}""";
    }

    [Fact, Trait("case", "T08")]
    public async Task A_Pod_spawns_when_its_program_was_replaced_and_when_it_was_removed_or_says_so_and_leaves_nothing()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        var bin = _room.Root + "/bin";
        await ShellAsync($"mkdir {bin} && cp -p {Path.GetDirectoryName(YoiRoom.Program)}/* {bin}/ 2>/dev/null; test -x {bin}/{Path.GetFileName(YoiRoom.Program)}");
        var program = $"{bin}/{Path.GetFileName(YoiRoom.Program)}";
        await using (var start = _room.Start(program, ["start", "lead", "--write", "."]))
        {
            start.EndInput();
            (await start.EndAsync()).Expect(0);
        }

        await ShellAsync($"cp -p {program} {program}.next && mv {program}.next {program}");
        await SayAsync(Spawn("kid"));
        (await _room.RunAsync("wait", "kid")).Expect(0);
        Assert.Single(_room.Journal("lead").OfType<Entry.ChildSpawned>());
        Assert.Single(_room.Journal("kid").OfType<Entry.RunEnded>(), run => run.Reason == RunEnd.Completed);

        File.Delete(program);
        await SayAsync(Spawn("late"));
        var result = _room.Journal("lead").OfType<Entry.ToolResult>().Last();
        // A native program lives on as the image of those that run; any other needs the files beside it.
        var spawned = result.IsError ? 1 : 2;
        if (result.IsError) Assert.Contains($"{program} was removed from disk", result.Summary, StringComparison.Ordinal);
        else (await _room.RunAsync("wait", "late")).Expect(0);
        Assert.Equal(spawned, _room.Journal("lead").OfType<Entry.ChildSpawned>().Count());
        Assert.Equal(1 + spawned, Directory.GetDirectories(_room.Directories.Pods).Length);
        await SayAsync($$"""CALL Write {"file_path":"{{_room.Project}}/late/own.txt","content":"x"}""");
        Assert.Equal(result.IsError, File.Exists($"{_room.Project}/late/own.txt")); // What was to be lent is back, or is lent.
        (await _room.RunAsync("stop", "lead")).Expect(0);
    }
}
