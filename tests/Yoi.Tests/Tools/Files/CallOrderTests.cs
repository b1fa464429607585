using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Tests.Control;

namespace Yoi.Tests.Tools.Files;

/// <summary>The calls of one message, as a real run makes them.</summary>
public sealed class CallOrderTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task Calls_on_one_file_happen_in_call_order_however_it_is_spelled()
    {
        Directory.CreateDirectory(_room.W + "/d");
        _room.Link("link", "d");
        string[] spellings = ["d/f", "link/f", $"{_room.W}/d/../link//f", "./d/./f"];
        var calls = new List<AssistantBlock.ToolCall> { Call("Write", ("file_path", "link/f"), ("content", "0\n")) };
        for (var i = 0; i < 50; i++)
            calls.Add(Call("Edit", ("file_path", spellings[i % spellings.Length]), ("old_string", $"{i}\n"), ("new_string", $"{i + 1}\n")));
        calls.Add(Call("Read", ("file_path", "d/f")));

        var results = await RunAsync([.. calls]);
        Assert.All(results, result => Assert.False(result.IsError, result.Summary));
        Assert.Equal("     1\t50\n", results[^1].Content);
        Assert.Equal(calls.Select(call => call.CallId), results.Select(result => result.CallId));
    }

    [Fact]
    public async Task A_search_sees_the_writes_before_it_and_not_those_behind_it()
    {
        for (var i = 0; i < 10; i++)
        {
            var results = await RunAsync(
                Call("Write", ("file_path", $"d/a{i}"), ("content", $"needle {i}")),
                Call("Grep", ("pattern", $"needle {i}"), ("path", "d")),
                Call("Glob", ("pattern", $"{_room.W}/d/*{i}")),
                Call("Write", ("file_path", $"d/b{i}"), ("content", $"needle {i}")),
                Call("Read", ("file_path", $"d/b{i}")));
            Assert.Equal(($"d/a{i}\n", $"d/a{i}\n", $"     1\tneedle {i}\n"), (results[1].Content, results[2].Content, results[4].Content));
        }
    }

    private async Task<IReadOnlyList<Entry.ToolResult>> RunAsync(params AssistantBlock.ToolCall[] calls)
    {
        await using var pod = await ControlledPod.CreateAsync([.. ((string[])["Read", "Write", "Edit", "Glob", "Grep"]).Select(_room.Tool)]);
        pod.Model.Call(calls);
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("go"));
        await pod.SeeAsync<Entry.RunEnded>();
        return [.. pod.Records().Select(record => record.Entry).OfType<Entry.ToolResult>()];
    }

    private static AssistantBlock.ToolCall Call(string tool, params (string, JsonNode?)[] arguments) =>
        new(Guid.NewGuid().ToString("n"), tool, FileRoom.Json(arguments).GetRawText());
}
