using Xunit;
using Yoi.Runtime.Scopes;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Tools.Files;
using Yoi.Tests.Scopes;

namespace Yoi.Tests.Tools.Files;

/// <summary>The tools of a Pod that runs, while the real table changes under it.</summary>
public sealed class ScopeChangeTests : IDisposable
{
    private readonly ScopeRoom _table = new();
    private readonly string _w;
    private readonly List<IDisposable> _open = [];

    public ScopeChangeTests() => _w = Directory.CreateDirectory(_table.Root + "/W/a").Parent!.FullName;

    public void Dispose()
    {
        _open.ForEach(one => one.Dispose());
        _table.Dispose();
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_lent_and_returned_holds_from_the_next_call_on_in_tools_and_table_alike()
    {
        var (lead, child) = (_table.Row("lead", $"write:{_w}"), _table.Row("child", $"write:{_w}/a"));
        await _table.Table.AcquireAsync(lead, Ct);
        var (mine, its) = (ToolsOf(lead), ToolsOf(child));
        Assert.Equal("", await Write(mine, "a/f"));
        Assert.Contains("Nothing may be written in this scope", await Write(its, "a/f"), StringComparison.Ordinal);

        var generation = await _table.Table.LendAsync(lead.PodId, child, Ct);
        Assert.Equal($"{_w}/a/f is lent to `child`: it can be read here, not written. Ask `child` with SendToPod, or take it back with StopPod.", await Write(mine, "a/f"));
        Assert.NotEqual("", await Write(its, "a/f")); // Pending: nobody writes there.
        Assert.Contains("written", await Read(mine, "a/f"), StringComparison.Ordinal);
        Assert.Equal("", await Write(mine, "other"));

        await _table.Table.AdoptAsync(child.PodId, generation, Environment.ProcessId, Ct);
        Assert.Equal("", await Write(its, "a/f"));
        Assert.Contains("is lent to `child`", await Write(mine, "a/f"), StringComparison.Ordinal);
        Assert.Contains("outside allowed scope", await Write(its, "other"), StringComparison.Ordinal);

        await _table.Table.ReleaseAsync(child.PodId, Ct);
        Assert.Contains("Nothing may be written in this scope", await Write(its, "a/f"), StringComparison.Ordinal);
        Assert.Equal("", await Write(mine, "a/f"));
        Assert.Equal(Access.Write, _table.Table.Read().PolicyOf(lead.PodId).AccessAt(_w + "/a/f"));

        await _table.Table.ReleaseAsync(lead.PodId, Ct);
        Assert.Contains("outside allowed scope", await Write(mine, "a/f"), StringComparison.Ordinal);
        Assert.Contains("outside allowed scope", await Read(mine, "a/f"), StringComparison.Ordinal);
    }

    [Fact, Trait("case", "T24")]
    public async Task A_deny_on_what_is_lent_and_returned_a_hundred_times_is_still_there()
    {
        File.WriteAllText(_w + "/a/shut", "closed");
        var lead = _table.Row("lead", $"write:{_w}", $"-write:{_w}/a/shut", $"-write:{_w}/b");
        await _table.Table.AcquireAsync(lead, Ct);
        var tools = ToolsOf(lead);
        for (var i = 0; i < 100; i++)
        {
            var child = _table.Row("child", i % 2 == 0 ? $"write:{_w}/a" : $"read:{_w}/b", $"-write:{_w}/a/shut", $"-write:{_w}/b");
            await _table.Table.AdoptAsync(child.PodId, await _table.Table.LendAsync(lead.PodId, child, Ct), Environment.ProcessId, Ct);
            if (i is 0 or 99) Assert.NotEqual("", await Write(ToolsOf(child), i == 0 ? "a/shut" : "b/f"));
            await _table.Table.ReleaseAsync(child.PodId, Ct);
        }
        Assert.Equal("", await Write(tools, "a/f"));
        Assert.Contains($"may be read, not written (deny write:{_w}/a/shut)", await Write(tools, "a/shut"), StringComparison.Ordinal);
        Assert.Contains($"may be read, not written (deny write:{_w}/b)", await Write(tools, "b/f"), StringComparison.Ordinal);
        Assert.Equal("closed", File.ReadAllText(_w + "/a/shut"));
        Assert.Equal(lead.Scope.Deny, _table.Table.Read().Find(lead.PodId)!.Scope.Deny);
    }

    [Fact, Trait("case", "T37")]
    public async Task A_write_that_waits_while_its_directory_is_lent_is_refused()
    {
        var (lead, child) = (_table.Row("lead", $"write:{_w}"), _table.Row("child", $"write:{_w}/a"));
        await _table.Table.AcquireAsync(lead, Ct);
        using var scope = new LiveScope(_table.Directories, lead.PodId);
        using var files = new ScopedFiles(scope, _w);
        var tools = FileTools.All(files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
        Task<string> late;
        using (await scope.HoldLendingAsync(Ct))
        {
            late = Write(tools, "a/late");
            await _table.Table.LendAsync(lead.PodId, child, Ct);
            Assert.False(late.IsCompleted);
        }
        Assert.Contains("is lent to `child`", await late, StringComparison.Ordinal);
        Assert.False(File.Exists(_w + "/a/late"));
    }

    private Dictionary<string, Tool> ToolsOf(TableRow row)
    {
        var scope = new LiveScope(_table.Directories, row.PodId);
        var files = new ScopedFiles(scope, _w);
        _open.AddRange([files, scope]);
        return FileTools.All(files, TimeProvider.System).ToDictionary(tool => tool.Schema.Name);
    }

    /// <summary>The refusal; empty if it was written.</summary>
    private static async Task<string> Write(Dictionary<string, Tool> tools, string path)
    {
        try
        {
            await Call(tools["Read"], ("file_path", path));
        }
        catch (ToolFailure)
        {
            // Not there yet, or not to be read: the write will tell.
        }
        try
        {
            await Call(tools["Write"], ("file_path", path), ("content", "written\n"));
            return "";
        }
        catch (ToolFailure e)
        {
            return e.Message;
        }
    }

    private static async Task<string> Read(Dictionary<string, Tool> tools, string path)
    {
        try
        {
            return (await Call(tools["Read"], ("file_path", path))).Content!;
        }
        catch (ToolFailure e)
        {
            return e.Message;
        }
    }

    private static Task<ToolOutcome> Call(Tool tool, params (string, System.Text.Json.Nodes.JsonNode?)[] arguments) =>
        tool.RunAsync(new ToolCall("call", tool.Schema.Name, FileRoom.Json(arguments)), Ct);
}
