using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Tests.Cli;
using Yoi.Tests.Socket;

namespace Yoi.Tests.Spawning;

/// <summary>Pods are started from a file, outside every sandbox: whoever may write that file needs no other way out.</summary>
[Trait("case", "S19")]
public sealed class OwnProgramTests
{
    private static readonly string Directory = AppContext.BaseDirectory.TrimEnd('/');

    [Theory, InlineData(true), InlineData(false)]
    public async Task It_is_not_written_also_without_the_other_built_in_denies(bool builtIn)
    {
        using var room = new CliRoom();
        System.IO.Directory.CreateDirectory(room.Surroundings.Directories.Config);
        await File.WriteAllTextAsync(room.Surroundings.Directories.Config + "/yoi.jsonc", $$"""{ "scope": { "built_in_denies": {{(builtIn ? "true" : "false")}} } }""", ServedRoom.Ct);
        Assert.Equal(0, await room.RunAsync("run", "--explain-scope", "--json", "--sandbox", "tools-only", "--write", Path.GetDirectoryName(Directory)!));
        using var document = JsonDocument.Parse(room.Out);
        var denies = document.RootElement.GetProperty("deny").EnumerateArray().Select(deny => deny.GetProperty("rule").GetProperty("target").GetString()!).ToList();
        Assert.Contains(Directory, denies);
        Assert.Equal(builtIn, denies.Contains(Path.GetDirectoryName(Directory) + "/.envrc"));
    }

    [Fact]
    public async Task A_Pod_that_could_write_it_starts_no_other()
    {
        await using var pod = await RealPod.StartAsync(change: document => document with
        {
            Scope = document.Scope with { Allow = [.. document.Scope.Allow, new ScopeRule(Path.GetDirectoryName(RealPod.Yoi)!, Permission.Write)] },
        });
        System.IO.Directory.CreateDirectory(pod.Root.Work + "/sub");
        await using var human = await pod.ClientAsync();
        await human.RunAsync($$"""CALL SpawnPod {"name": "kid", "task": "hi", "scope": [{"target": "{{pod.Root.Work}}/sub", "permission": "write"}]}""", ct: ServedRoom.Ct);
        await Eventually.Holds(() => pod.Records().Any(record => record.Entry is Entry.ToolResult), RealPod.Patience);
        var result = pod.Records().Select(record => record.Entry).OfType<Entry.ToolResult>().Single();
        Assert.True(result.IsError);
        Assert.Contains(RealPod.Yoi + ", which Pods are started from, lies in the writable scope", result.Summary, StringComparison.Ordinal);
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.ChildSpawned);
        Assert.Empty((await human.StatusAsync(ServedRoom.Ct)).Lent); // What was lent for it is back.
    }
}
