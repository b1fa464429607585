using System.Text;
using System.Text.Json.Nodes;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools;
using Yoi.Tests.Control;

namespace Yoi.Tests.Tools.Files;

/// <summary>Results are whole text, however broken or big the file is: through the tools, the runner and the journal.</summary>
public sealed class TextLimitTests : IDisposable
{
    private const int LongestLine = 2000;

    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Theory, Trait("case", "G11")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task A_long_line_is_cut_between_two_characters(int offset)
    {
        // In characters at Read's limit for a line, in bytes at what is kept of it.
        var lines = new[] { LongestLine, Yoi.Runtime.Tools.Files.LineScanner.MostKept }.Select(limit => new string('a', limit - offset) + "😀😀😀tail\n");
        _room.Put("f", string.Concat(lines));
        var read = (await _room.Run("Read", ("file_path", "f"))).Content!;
        var grep = (await _room.Run("Grep", ("pattern", "tail"), ("output_mode", "content"))).Content!;
        foreach (var text in (string[])[read, grep])
        {
            AssertWhole(text);
            Assert.Equal(2, text.Split("[line cut").Length - 1);
            Assert.DoesNotContain('\ufffd', text);
        }
        Assert.All(read.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.InRange(line.Length, LongestLine - 2, LongestLine + 60));
    }

    [Theory, Trait("case", "G11")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void A_result_is_cut_between_two_characters(int offset)
    {
        var text = new string('a', ToolRunner.MaxContentBytes - offset) + "😀😀tail";
        var cut = ToolRunner.Cut(text, ToolRunner.MaxContentBytes);
        AssertWhole(cut);
        Assert.InRange(Encoding.UTF8.GetByteCount(cut), ToolRunner.MaxContentBytes - 3, ToolRunner.MaxContentBytes);
        Assert.Equal(Math.Min(offset / 4, 2), (cut.Length - cut.TrimEnd("😀"[0], "😀"[1]).Length) / 2);
    }

    [Fact, Trait("case", "G11")]
    public async Task Broken_text_NULs_and_four_mebibytes_of_returns_become_whole_results_in_the_journal()
    {
        _room.Put("broken", [.. "a\xff"u8, 0xff, 0xc3, (byte)'\n', 0xed, 0xa0, 0x80, (byte)'x', (byte)'\n']);
        _room.Put("nul", new string('a', 9000) + "\n\0b\n");
        _room.Put("returns", new string('\r', 4 << 20));
        _room.Put("long", string.Concat(Enumerable.Repeat("needle 😀\n", 40_000)));
        await using var pod = await ControlledPod.CreateAsync([.. ((string[])["Read", "Grep"]).Select(_room.Tool)]);
        pod.Model.Call(
            Call("Read", ("file_path", "broken")), Call("Read", ("file_path", "nul")), Call("Read", ("file_path", "returns")), Call("Read", ("file_path", "long"), ("limit", 40_000)),
            Call("Grep", ("pattern", "needle"), ("output_mode", "content"), ("head_limit", 0)), Call("Grep", ("pattern", "\r"), ("output_mode", "count")));
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("go"));
        await pod.SeeAsync<Entry.RunEnded>();

        var results = pod.Records().Select(record => record.Entry).OfType<Entry.ToolResult>().ToList();
        Assert.All(results, result =>
        {
            Assert.False(result.IsError, result.Summary);
            Assert.InRange(Encoding.UTF8.GetByteCount(result.Content!), 1, ToolRunner.MaxContentBytes);
            AssertWhole(result.Content!);
            Assert.DoesNotContain('\0', result.Content!);
        });
        Assert.Contains("not UTF-8", results[0].Summary, StringComparison.Ordinal);
        Assert.Contains("continue with offset", results[3].Summary, StringComparison.Ordinal);
        Assert.Contains("continue with offset", results[4].Summary, StringComparison.Ordinal);
        Assert.Empty(pod.Records().Select(record => record.Entry).OfType<Entry.Notification>()); // Nothing was cut behind a tool's back.
    }

    private static AssistantBlock.ToolCall Call(string tool, params (string, JsonNode?)[] arguments) =>
        new(Guid.NewGuid().ToString("n"), tool, FileRoom.Json(arguments).GetRawText());

    private static void AssertWhole(string text) => Assert.Equal(text, ToolRunner.WellFormed(text));
}
