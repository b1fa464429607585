using System.Diagnostics;
using System.Security.Cryptography;
using Xunit;
using Yoi.Protocol;
using Yoi.Shared;
using static Yoi.EndToEnd.Minds;

namespace Yoi.EndToEnd;

/// <summary>
/// The main job on real input: a repository of several thousand files (core-js, as npm serves it), a key-less
/// OpenAI-compatible server on loopback, a parent and two children that each change something real and try it with node.
/// </summary>
[Trait("runs", "commands")]
public sealed class RepositoryTests : IAsyncDisposable
{
    private const string Repository = "core-js@3.51.0";
    private readonly YoiRoom _room = new();

    public RepositoryTests() => YoiRoom.SkipWithoutSandbox();

    public ValueTask DisposeAsync() => _room.DisposeAsync();

    [Fact]
    public async Task A_parent_and_two_children_change_a_real_repository_and_the_scope_comes_back()
    {
        Needs.Programs("npm", "node"); // To fetch it, and to try it.
        var tree = await FetchAsync();
        var before = Hashes(tree);
        Assert.True(before.Count > 3000, $"only {before.Count} files");
        var minds = new Minds()
            .Of("lead",
                Calls(("Glob", new { pattern = "**/*.js" }), ("Grep", new { pattern = "is not a function", output_mode = "count", head_limit = 0 })),
                Calls(
                    ("SpawnPod", new { name = "inner", task = "better words in internals", scope = new[] { new { target = "internals", permission = "write" } } }),
                    ("SpawnPod", new { name = "outer", task = "a new module", scope = new[] { new { target = "modules", permission = "write" }, new { target = "full", permission = "write" } } })),
                Call("WaitForPods", new { until = "all" }),
                Call("Bash", new { command = "node -p \"require('./modules/yoi.pod')\"" }), // Both are lent.
                Calls(("ReadPodOutput", new { name = "inner" }), ("ReadPodOutput", new { name = "outer" })),
                Calls(("StopPod", new { name = "inner" }), ("StopPod", new { name = "outer" }), ("Read", new { file_path = tree + "/package.json" })),
                Calls(
                    ("Edit", new { file_path = tree + "/package.json", old_string = "\"version\": \"3.51.0\"", new_string = "\"version\": \"3.51.1\"" }),
                    ("Bash", new { command = "node -p \"require('./package.json').version + require('./full').parseInt('7')\"" }),
                    ("Grep", new { pattern = "is no function", output_mode = "files_with_matches" })),
                Answer.Says("Both are done."))
            .Of("inner",
                Calls(("Grep", new { pattern = "tryToString", path = tree }), ("Read", new { file_path = tree + "/internals/a-callable.js" })),
                Calls(
                    ("Edit", new { file_path = tree + "/internals/a-callable.js", old_string = "is not a function", new_string = "is no function" }),
                    ("Write", new { file_path = tree + "/modules/not-mine.js", content = "x" }),
                    ("Bash", new { command = $"node -e \"try {{ require('{tree}/internals/a-callable')(1) }} catch (e) {{ console.log(e.message) }}\"; echo x > {tree}/modules/not-mine.js" })),
                Answer.Says("internals say it better"))
            .Of("outer",
                Calls(("Glob", new { pattern = "modules/es.array.*.js" }), ("Read", new { file_path = tree + "/full/index.js" })),
                Calls(
                    ("Write", new { file_path = tree + "/modules/yoi.pod.js", content = "'use strict';\nmodule.exports = 'Pod';\n" }),
                    ("Edit", new { file_path = tree + "/full/index.js", old_string = "'use strict';", new_string = "'use strict';\nrequire('../modules/yoi.pod');" }),
                    ("Edit", new { file_path = tree + "/internals/a-callable.js", old_string = "TypeError", new_string = "Error", replace_all = true }),
                    ("Bash", new { command = $"node -p \"require('{tree}/modules/yoi.pod')\" && touch {tree}/modules/yoi.pod.js" })),
                Answer.Says("there is a module more"));
        await using var server = await ModelServer.StartAsync(minds.Answer);
        _room.UseModel(server);
        var ran = (await _room.RunAsync("run", "--cwd", tree, "--name", "lead", "--output-format", "json", "improve it")).Expect(0);
        Assert.Equal(("Both are done.", "completed", 1), (
            ran.Json.GetProperty("result").GetString(), ran.Json.GetProperty("end").GetString(), ran.Json.GetProperty("runs").GetInt32()));

        var after = Hashes(tree);
        Assert.Equal(
            ["full/index.js", "internals/a-callable.js", "modules/yoi.pod.js", "package.json"],
            after.Where(file => before.GetValueOrDefault(file.Key) != file.Value).Select(file => file.Key).Order(StringComparer.Ordinal));
        Assert.Equal(before.Count + 1, after.Count);
        Assert.Contains("+ ' is no function');", File.ReadAllText(tree + "/internals/a-callable.js"), StringComparison.Ordinal);

        var lead = Results("lead");
        var scripts = before.Keys.Count(path => path.EndsWith(".js", StringComparison.Ordinal));
        Assert.Contains(scripts.ToString(), lead[0].Summary, StringComparison.Ordinal);
        // While something in it is lent, level partial cannot hold the lender's scope, and says so.
        Assert.All(lead, result => Assert.Equal(YoiRoom.IsPartial && result == lead.First(one => one.Name == "Bash"), result.IsError));
        Assert.Equal(["Pod", "3.51.17"], lead.Where(result => result.Name == "Bash").Select(result => result.IsError ? "Pod" : result.Content));
        if (YoiRoom.IsPartial) Assert.Matches("is lent to (inner|outer) and lies in", lead.First(result => result.IsError).Summary);
        Assert.Equal("Found 1 file(s)", lead[^1].Summary);
        var (inner, outer) = (Results("inner"), Results("outer"));
        Assert.Equal([false, false, false, true, true], inner.Select(result => result.IsError));
        Assert.StartsWith("1 is no function", inner[^1].Content, StringComparison.Ordinal);
        Assert.Equal([false, false, false, false, true, false], outer.Select(result => result.IsError));
        Assert.Equal("Pod", outer[^1].Content);
        Assert.Equal(["inner", "outer"], _room.Journal("lead").OfType<Entry.ChildSpawned>().Select(child => child.Child));
        Assert.Equal(["inner", "outer"], _room.Journal("lead").OfType<Entry.ChildEnded>().Select(child => child.Child));
        Assert.All(new[] { "lead", "inner", "outer" }, name => Assert.Equal(PodEnd.Stopped, ((Entry.PodEnded)_room.Journal(name)[^1]).Reason));
        Assert.Equal("[]", (await _room.RunAsync("scopes", "--json")).Expect(0).Out.Trim());
        Assert.DoesNotContain(server.Requests, request => request.Headers.ContainsKey("authorization"));
        Assert.Empty(_room.Processes());
    }

    private List<Entry.ToolResult> Results(string pod) => [.. _room.Journal(pod).OfType<Entry.ToolResult>()];

    /// <summary>Fetches the package by npm, as its user would, and unpacks it.</summary>
    private async Task<string> FetchAsync()
    {
        var info = new ProcessStartInfo("/bin/sh", ["-c", $"npm pack --silent --cache cache {Repository} && tar xzf core-js-*.tgz"]) { WorkingDirectory = _room.Root, RedirectStandardError = true, RedirectStandardOutput = true };
        await using var fetch = new YoiProcess(info);
        (await fetch.EndAsync()).Expect(0);
        return _room.Root + "/package";
    }

    private static Dictionary<string, string> Hashes(string tree) => Directory.GetFiles(tree, "*", SearchOption.AllDirectories)
        .ToDictionary(file => Path.GetRelativePath(tree, file), file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))));
}
