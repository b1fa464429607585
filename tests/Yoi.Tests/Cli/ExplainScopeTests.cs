using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Sandbox;
using Yoi.Terminal;

namespace Yoi.Tests.Cli;

public sealed class ExplainScopeTests : IDisposable
{
    private readonly CliRoom _room = new();

    public void Dispose() => _room.Dispose();

    [Fact]
    public async Task What_a_Pod_could_and_could_not_do_is_told_without_a_task_a_model_or_a_start()
    {
        Assert.Equal(0, await _room.RunAsync("run", "--explain-scope", "--sandbox", "tools-only", "--deny-write", "kept", "--max-children", "3"));
        foreach (var line in new[]
        {
            $"writes    {_room.Cwd}", "reads     what it writes, and the platform set", $"denied    writing {_room.Cwd}/kept", $"denied: writing in {_room.Cwd}: .git/hooks, .git/config,",
            "/usr", "network   none for its commands", "Bash      none, because the sandbox level is tools-only", "3 living children", "1024 processes",
        }) Assert.Contains(line, _room.Out, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_room.Surroundings.Directories.State));
        Assert.Equal(2, await _room.RunAsync("run", "--json", "task"));
    }

    [Fact]
    public void A_level_without_namespaces_is_not_said_to_hide_names_nor_to_have_a_loopback()
    {
        foreach (var level in new[] { "kernel", "partial" })
        {
            var drawn = new StringWriter();
            new ExplainedScope("/w", [new("/w", Permission.Write)], [], [], Network: false, level, null, [], [], new(), new()).Draw(new Screen(drawn, TextWriter.Null));
            Assert.Equal(level == "kernel", drawn.ToString().Contains("does not exist for it", StringComparison.Ordinal));
            Assert.Equal(level == "kernel", drawn.ToString().Contains("but a loopback", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task The_same_as_an_object_tells_built_in_denies_from_others()
    {
        Assert.Equal(0, await _room.RunAsync("run", "--explain-scope", "--json", "--sandbox", "tools-only", "--network", "--write", "..", "--deny-read", "../private"));
        using var document = JsonDocument.Parse(_room.Out);
        var root = document.RootElement;
        var denies = root.GetProperty("deny").EnumerateArray().ToDictionary(deny => deny.GetProperty("rule").GetProperty("target").GetString()!, deny => deny.GetProperty("built_in").GetBoolean());
        Assert.False(denies[_room.Root + "/private"]);
        Assert.True(denies[_room.Root + "/.ssh"]);
        Assert.True(root.GetProperty("network").GetBoolean());
        Assert.Contains("/usr", root.GetProperty("platform_set").EnumerateArray().Select(path => path.GetString()));
        Assert.Equal("write", root.GetProperty("allow")[0].GetProperty("permission").GetString());
        Assert.Equal(200, root.GetProperty("limits").GetProperty("turns_per_run").GetInt32());
    }

    [Fact]
    public void What_the_kernel_cannot_hold_and_where_commands_can_do_less_is_told_beforehand()
    {
        PodReach Of(params ScopeRule[] allow) => PodReach.Of(SandboxPolicy.Of(
            new(new(allow, []), [], 1), PlatformSet.Find(_room.Root, "/usr/bin", network: false), _room.Surroundings.Directories, _room.Root, network: false), SandboxLevel.Kernel);
        File.WriteAllText(_room.Cwd + "/f", "x");
        Assert.Null(Of(new ScopeRule(_room.Cwd, Permission.Write)).NoBash);
        Assert.Equal("Bash: in a sandbox (level kernel) that holds exactly this scope; no network", Of(new ScopeRule(_room.Cwd, Permission.Write)).Text);
        Assert.Contains("name the directories that are meant", Of(new ScopeRule("/", Permission.Read)).Text, StringComparison.Ordinal);
        Assert.Contains("`sed -i` fails", Of(new ScopeRule(_room.Cwd + "/f", Permission.Write)).Text, StringComparison.Ordinal);
        Assert.Contains("can only read its files", Of(new ScopeRule(_room.Cwd, Permission.Write, Recursive: false)).Text, StringComparison.Ordinal);
    }
}
