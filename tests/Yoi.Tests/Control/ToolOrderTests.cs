using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Control;

public sealed class ToolOrderTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Calls_run_beside_each_other_and_their_results_stand_in_call_order()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        pod.Model.Call(new("a", "Gate", "{}"), new("b", "Gate", "{}"), new("c", "Gate", "{}"));
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("hi"));
        for (var i = 0; i < 3; i++) await tool.Begun.WaitAsync(Limit, TestContext.Current.CancellationToken); // All three have begun, none has ended.
        tool.Gate.Release(3);

        await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal(["a", "b", "c"], Results(pod).Select(result => result.CallId));
    }

    [Fact]
    public async Task Calls_on_one_path_run_in_call_order()
    {
        var tool = new GatedTool("Gate", new ToolOrder.OnPath("/w/f", Writes: true));
        await using var pod = await ControlledPod.CreateAsync(tool);
        pod.Model.Call(new("a", "Gate", "{}"), new("b", "Gate", "{}"));
        pod.Model.Say("done");
        tool.Gate.Release(2);
        await pod.AskAsync(new Method.Run("hi"));

        await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal(["begin a", "end a", "begin b", "end b"], tool.Log);
    }

    [Fact]
    public async Task A_barrier_runs_alone()
    {
        var beside = new GatedTool("Beside", ToolOrder.Beside);
        var alone = new GatedTool("Alone", ToolOrder.Alone);
        await using var pod = await ControlledPod.CreateAsync(beside, alone);
        pod.Model.Call(new("a", "Beside", "{}"), new("b", "Alone", "{}"), new("c", "Beside", "{}"));
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("hi"));
        await beside.Begun.WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.Empty(alone.Log);
        beside.Gate.Release();
        await alone.Begun.WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.DoesNotContain("begin c", beside.Log);
        alone.Gate.Release();
        beside.Gate.Release();

        await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal(["begin a", "end a", "begin c", "end c"], beside.Log);
    }

    [Fact, Trait("case", "V07")]
    public async Task Each_id_gets_exactly_one_result_whatever_the_call_looks_like()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        tool.Gate.Release(100);
        var calls = Enumerable.Range(0, 70).Select(i => new AssistantBlock.ToolCall("id" + i, i switch { 1 => "NoSuchTool", _ => "Gate" }, i switch { 2 => "{not json", 3 => "[1]", 4 => "", _ => "{}" }));
        pod.Model.Call([.. calls]);
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("hi"));

        await pod.SeeAsync<Entry.RunEnded>();
        var results = Results(pod);
        Assert.Equal(Enumerable.Range(0, 70).Select(i => "id" + i), results.Select(result => result.CallId));
        Assert.Contains("not found", results[1].Summary, StringComparison.Ordinal);
        Assert.Contains("not valid JSON", results[2].Summary, StringComparison.Ordinal);
        Assert.Contains("JSON object", results[3].Summary, StringComparison.Ordinal);
        Assert.False(results[4].IsError);
        Assert.Contains("at most 64", results[69].Summary, StringComparison.Ordinal);
        Assert.Equal(ToolRunner.MaxCalls - 3, tool.Log.Count(line => line.StartsWith("begin", StringComparison.Ordinal)));
    }

    [Theory, Trait("case", "G11")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Text_is_cut_between_runes(int room)
    {
        var cut = ToolRunner.Cut("ab😀cd", 2 + room);
        Assert.Equal(room < 4 ? "ab" : "ab😀", cut);
    }

    private static List<Entry.ToolResult> Results(ControlledPod pod) => [.. pod.Records().Select(r => r.Entry).OfType<Entry.ToolResult>()];
}
