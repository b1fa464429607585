using System.Text;
using Xunit;
using Xunit.Sdk;
using Yoi.Protocol;
using Yoi.Shared;

namespace Yoi.EndToEnd;

/// <summary>What a Pod keeps to itself: its key, its memory, its files.</summary>
[Trait("runs", "commands")] // And so as an ordinary user, too.
public sealed class SecretTests : IAsyncDisposable
{
    private const string Canary = "sk-canary-4711-0815";

    private readonly YoiRoom _room = new();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact, Trait("case", "K04")]
    public async Task With_a_umask_of_nothing_everything_is_still_for_its_user_alone()
    {
        await using var server = await ModelServer.StartAsync();
        _room.UseModel(server);
        await using (var started = _room.Start("/bin/sh", ["-c", $"umask 000; exec {YoiRoom.Program} start open --task hello"]))
        {
            started.EndInput();
            (await started.EndAsync()).Expect(0);
        }
        (await _room.RunAsync("wait", "open")).Expect(0);
        string[] made = [_room.Directories.State, _room.Directories.Runtime];
        var open = made.Concat(made.SelectMany(root => Directory.EnumerateFileSystemEntries(root, "*", SearchOption.AllDirectories)))
            .Where(path => (File.GetUnixFileMode(path) & (UnixFileMode)0x3f) != 0).Select(path => $"{path} {File.GetUnixFileMode(path)}").ToList();
        Assert.Empty(open);
        Assert.Contains(Directory.EnumerateFiles(_room.Directories.Runtime), path => path.EndsWith(".sock", StringComparison.Ordinal)); // There was something to look at.
        (await _room.RunAsync("stop", "open")).Expect(0);
    }

    [Fact, Trait("case", "K05")]
    public async Task A_Pod_that_crashes_leaves_no_dump_where_another_process_of_the_same_settings_leaves_one()
    {
        await using var server = await ModelServer.StartAsync(new Minds().Of("broken", Minds.Call("Glob", new { pattern = "*" })).Answer);
        _room.Variable("OPENAI_API_KEY", Canary);
        var dumps = Directory.CreateDirectory(_room.Root + "/dumps").FullName;
        List<string> places = [dumps];
        _room.Variable("DOTNET_DbgEnableMiniDump", "1");
        _room.Variable("DOTNET_DbgMiniDumpType", "1");
        _room.Variable("DOTNET_DbgMiniDumpName", dumps + "/%p.dump");
        _room.Variable("YOI_FAILPOINT", "tool.before_result:crash,stop.shutdown:crash");
        YoiProcess Start(string verb) => _room.Start("/bin/sh", ["-c", $"ulimit -c unlimited; cd {dumps}; exec {YoiRoom.Program} {verb}"]);

        await using (var start = Start($"start broken --cwd {_room.Project} --json --sandbox tools-only --model openai/mock --base-url {server.OpenAiBaseUrl}"))
        {
            start.EndInput();
            var pid = (await start.EndAsync()).Expect(0).Json.GetProperty("pid").GetInt32();
            Assert.Matches("Max core file size +1 +1", File.ReadAllText($"/proc/{pid}/limits")); // No file is so small, and no pipe gets one either.
            Assert.Contains("DOTNET_DbgEnableMiniDump=0", File.ReadAllText($"/proc/{pid}/environ").Split('\0'));
            places.Add(new FileInfo($"/proc/{pid}/cwd").LinkTarget!); // Where the kernel would leave it.
        }
        await _room.RunAsync("send", "broken", "look around");
        await _room.RunAsync("wait", "broken");
        Assert.Empty(_room.Processes());
        Assert.Equal("Bearer " + Canary, Assert.Single(server.Requests).Headers["Authorization"]); // There was a key in its memory.
        Assert.Contains(Directory.EnumerateFiles(_room.Directories.Pods, "stderr*", SearchOption.AllDirectories), file => File.ReadAllText(file).Contains("failpoint tool.before_result", StringComparison.Ordinal));
        Assert.Empty(Dumps());
        IsNowhere(Canary);

        // The control: no Pod, the same program, settings and kind of crash.
        await using (var stop = Start("stop broken"))
        {
            stop.EndInput();
            (await stop.EndAsync()).Expect(134);
        }
        // Debug builds have the runtime's own dumps; of a published binary it is the kernel that leaves one, in the directory of the process or wherever it was told to.
        if (Environment.GetEnvironmentVariable("YOI_BIN") is null || File.ReadAllText("/proc/sys/kernel/core_pattern")[0] is not ('|' or '/')) Assert.NotEmpty(Dumps());
        _room.Variable("YOI_FAILPOINT", null);
        (await _room.RunAsync("stop", "broken")).Expect(0);

        IEnumerable<string> Dumps() => places.SelectMany(Directory.EnumerateFiles)
            .Where(path => path.EndsWith(".dump", StringComparison.Ordinal) || Path.GetFileName(path).StartsWith("core", StringComparison.Ordinal));
    }

    [Fact, Trait("case", "K06"), Trait("case", "K03")]
    public async Task The_key_reaches_root_and_child_and_is_in_no_environment_command_line_or_file()
    {
        await using var server = await ModelServer.StartAsync(new Minds()
            .Of("lead", Minds.Call("SpawnPod", new { name = "helper", task = "hello", scope = new[] { new { target = _room.Project, permission = "read" } } })).Answer);
        _room.Variable("OPENAI_API_KEY", Canary);
        (await _room.RunAsync("start", "lead", "--model", "openai/mock", "--base-url", server.OpenAiBaseUrl, "--task", "go")).Expect(0);
        (await _room.RunAsync("wait", "lead")).Expect(0);
        (await _room.RunAsync("wait", "lead", "helper", "--all")).Expect(0);
        Assert.All(["lead", "helper"], pod => Assert.Contains(server.Requests, request =>
            Minds.Read(request.Body).Pod == pod && request.Headers["Authorization"] == "Bearer " + Canary)); // The positive control.

        var pids = (await _room.PodsAsync()).Values.Select(row => row.GetProperty("pid").GetInt32()).ToList();
        Assert.Equal(2, pids.Count);
        IsNowhere(Canary, [.. pids.SelectMany(pid => new[] { $"/proc/{pid}/environ", $"/proc/{pid}/cmdline" })]);
        (await _room.RunAsync("stop", "lead")).Expect(0);
    }

    [Fact, Trait("case", "K03")]
    public async Task The_key_is_in_no_file_after_tools_that_fail_a_provider_that_repeats_it_and_a_crash()
    {
        const string key = "sk-canary+4711/0815="; // Written otherwise in an address.
        var echo = string.Join(' ', Forms(key));
        Queue<Answer> replies = new([
            Minds.Calls(("Read", new { file_path = _room.Root + "/outside" }), ("Write", new { file_path = _room.Project + "/new", content = "x" })),
            Answer.Fails(400, "invalid_request_error", "no such model for " + echo), Answer.Fails(401, "authentication_error", echo), Minds.Call("Glob", new { pattern = "*" })]);
        await using var server = await ModelServer.StartAsync(_ => replies.Dequeue());
        _room.Variable("OPENAI_API_KEY", key);
        _room.Variable("YOI_FAILPOINT", "file.before_rename:eio,tool.before_result#3:crash");
        List<YoiResult> said = [await _room.RunAsync("start", "told", "--sandbox", "tools-only", "--model", "openai/mock", "--base-url", server.OpenAiBaseUrl, "--task", "go"), await _room.RunAsync("wait", "told")];
        foreach (var _ in (string[])["refused", "crashed"]) said.AddRange([await _room.RunAsync("send", "told", "go on"), await _room.RunAsync("wait", "told")]);

        Assert.Empty(replies);
        Assert.All(server.Requests, request => Assert.Equal("Bearer " + key, request.Headers["Authorization"]));
        var journal = _room.Journal("told");
        Assert.Equal([true, true], journal.OfType<Entry.ToolResult>().Select(result => result.IsError));
        Assert.Contains("/new: Input/output error", journal.OfType<Entry.ToolResult>().Last().Summary, StringComparison.Ordinal);
        Assert.Equal([RunEnd.ProviderError, RunEnd.ProviderError], journal.OfType<Entry.RunEnded>().Select(run => run.Reason));
        Assert.Contains("no such model for", journal.OfType<Entry.RunEnded>().First().Detail, StringComparison.Ordinal);
        Assert.Contains(Directory.EnumerateFiles(_room.Directories.Pods, "stderr*", SearchOption.AllDirectories), file => File.ReadAllText(file).Contains("failpoint tool.before_result", StringComparison.Ordinal));
        _room.Write("said", string.Concat(said.Select(result => result.Out + result.Error)));
        IsNowhere(key);
        _room.Write("planted", Uri.EscapeDataString(key));
        Assert.Throws<DoesNotContainException>(() => IsNowhere(key)); // It would have been found.
        _room.Variable("YOI_FAILPOINT", null);
        (await _room.RunAsync("stop", "told")).Expect(0);
    }

    /// <summary>A key as it is and in the forms in which it travels.</summary>
    private static string[] Forms(string key) => [key, Convert.ToBase64String(Encoding.ASCII.GetBytes(key)).TrimEnd('='), Uri.EscapeDataString(key)];

    /// <summary>In no file of the room, nor in these.</summary>
    private void IsNowhere(string key, params string[] more)
    {
        foreach (var file in more.Concat(Directory.EnumerateFiles(_room.Root, "*", SearchOption.AllDirectories).Where(path => !path.EndsWith(".sock", StringComparison.Ordinal))))
            foreach (var form in Forms(key))
                Assert.DoesNotContain(form, File.ReadAllText(file), StringComparison.Ordinal);
    }
}
