using System.Text;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

public sealed class AgentsMdTests : IDisposable
{
    private readonly FileRoom _room = new();

    public void Dispose() => _room.Dispose();

    private IReadOnlyList<AgentsFile> Find(string cwd) => AgentsMd.Find(_room.Files, _room.W + cwd);

    [Fact]
    public void The_nearest_has_the_last_word_and_its_parents_come_before_it()
    {
        _room.Put("AGENTS.md", "outer");
        _room.Put("a/b/AGENTS.md", "inner");
        _room.Put("a/b/c/AGENTS.md", "too deep");
        _room.Put("a/other/AGENTS.md", "beside");
        Assert.Equal([new(_room.W + "/AGENTS.md", "outer", null), new(_room.W + "/a/b/AGENTS.md", "inner", null)], Find("/a/b"));
        Assert.Equal(["outer"], Find("/a").Select(file => file.Text));
    }

    [Fact, Trait("case", "P02")]
    public void What_the_scope_does_not_show_says_nothing()
    {
        File.WriteAllText(_room.Root + "/AGENTS.md", "above the scope");
        File.WriteAllText(_room.O + "/AGENTS.md", "outside");
        _room.Put("AGENTS.md", "outer");
        _room.Put("link/x", "");
        _room.Link("link/AGENTS.md", _room.O + "/AGENTS.md");
        _room.Link("relative/AGENTS.md", "../../O/AGENTS.md");
        _room.Link("proc/AGENTS.md", "/proc/self/environ");
        _room.Link("inside/AGENTS.md", "../AGENTS.md");
        _room.Put("denied/AGENTS.md", "denied");
        _room.Deny(new ScopeRule(_room.W + "/denied", Permission.Read));
        foreach (var directory in (string[])["/link", "/relative", "/proc", "/denied"])
            Assert.Equal(["outer"], Find(directory).Select(file => file.Text));
        Assert.Equal(["outer", "outer"], Find("/inside").Select(file => file.Text));
    }

    [Fact, Trait("case", "P02")]
    public void Above_the_scope_nothing_is_looked_for_though_it_leads_into_it()
    {
        _room.Put("a/AGENTS.md", "inside");
        _room.Link("AGENTS.md", "a/AGENTS.md");
        File.CreateSymbolicLink(_room.Root + "/AGENTS.md", _room.W + "/a/AGENTS.md");
        Assert.Equal(["inside"], Find("").Select(file => file.Text));
        _room.Allow(new ScopeRule(_room.Root, Permission.Read));
        Assert.Equal(["inside", "inside"], Find("").Select(file => file.Text));
    }

    [Fact, Trait("case", "P16")]
    public void What_is_no_text_is_left_out()
    {
        _room.Put("fifo/x", "");
        Assert.Equal(0, Native.MakeNode(_room.W + "/fifo/AGENTS.md", 0x11b6));
        _room.Put("directory/AGENTS.md/x", "");
        _room.Put("binary/AGENTS.md", [0x7f, (byte)'E', (byte)'L', (byte)'F', 0]);
        Assert.Empty(Find("/fifo"));
        Assert.Empty(Find("/directory"));
        var binary = Assert.Single(Find("/binary"));
        Assert.Equal(("", $"AGENTS.md ({_room.W}/binary/AGENTS.md) is a binary file (ELF program or library); it was left out"), (binary.Text, binary.Warning));
    }

    [Theory, Trait("case", "G11")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_long_file_is_cut_between_two_characters_and_that_is_said(int offset)
    {
        _room.Put("AGENTS.md", new string('a', AgentsMd.MaxBytes - offset) + "😀😀");
        var file = Assert.Single(Find(""));
        Assert.Equal($"AGENTS.md ({_room.W}/AGENTS.md) exceeded 65536 bytes; the tail was truncated", file.Warning);
        Assert.Equal(new string('a', AgentsMd.MaxBytes - offset) + (offset == 4 ? "😀" : ""), file.Text);
        Assert.InRange(Encoding.UTF8.GetByteCount(file.Text), AgentsMd.MaxBytes - 3, AgentsMd.MaxBytes);
    }
}
