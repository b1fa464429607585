using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Tools;
using Yoi.Runtime.Turns;

namespace Yoi.Tests.Control;

/// <summary>What ends a run that does not end by itself: circles and the token budget of a tree.</summary>
public sealed class RunLimitTests : IDisposable
{
    private readonly string _room = Directory.CreateTempSubdirectory("yoi-limits-").FullName;

    public void Dispose() => Directory.Delete(_room, recursive: true);

    [Theory, Trait("case", "V08")]
    [InlineData(1), InlineData(2)]
    public async Task A_model_that_goes_in_circles_is_told_and_then_its_run_ends_with_a_reason(int kinds)
    {
        await using var pod = await ControlledPod.CreateAsync(new Echo());
        for (var turn = 0; turn < 100; turn++) pod.Model.Call(Call(turn, turn % kinds));
        await pod.AskAsync(new Method.Run("go"));

        var end = await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal(RunEnd.TurnLimit, end.Reason);
        Assert.Contains("it went in circles: 24 turns brought nothing new", end.Detail, StringComparison.Ordinal);
        Assert.Equal(kinds + CircleGuard.EndAfter, end.Turns);
        Assert.Equal(kinds + CircleGuard.EndAfter, pod.Model.Requests.Count);
        var told = Assert.Single(pod.Records(), record => record.Entry is Entry.Correction);
        Assert.Contains("Your last 8 turns made the same calls", ((Entry.Correction)told.Entry).Text, StringComparison.Ordinal);
        Assert.Equal(kinds + CircleGuard.WarnAfter, pod.Records().Count(record => record.Seq < told.Seq && record.Entry is Entry.Assistant));
    }

    [Fact, Trait("case", "V08")]
    public async Task A_model_whose_calls_bring_something_new_now_and_then_goes_on()
    {
        await using var pod = await ControlledPod.CreateAsync(new Echo());
        for (var turn = 0; turn < 60; turn++) pod.Model.Call(Call(turn, turn % 7 == 0 ? turn : 0));
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("go"));

        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>()).Reason);
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.Correction);
    }

    [Fact, Trait("case", "V09")]
    public async Task A_tree_that_has_used_up_its_tokens_asks_its_model_no_more()
    {
        var pod = await ControlledPod.CreateAsync(new PodLimits(Tokens: 45), new Echo());
        for (var turn = 0; turn < 9; turn++) pod.Model.Call(Call(turn, turn));
        await pod.AskAsync(new Method.Run("go"));
        var end = await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal((RunEnd.Budget, 3, 3), (end.Reason, end.Turns, pod.Model.Requests.Count)); // 15 tokens a request.
        Assert.Equal("the tree has used 45 of 45 tokens; raise it with --max-tokens or limits.tokens", end.Detail);

        await using var again = await pod.ReopenAsync();
        File.Delete(again.Directory + "/tokens/0123"); // Said anew from the journal.
        await again.AskAsync(new Method.Run("once more"));
        Assert.Equal((RunEnd.Budget, 0), ((await again.SeeAsync<Entry.RunEnded>(nth: 2)).Reason, again.Model.Requests.Count));
    }

    [Fact, Trait("case", "V09")]
    public async Task What_the_others_of_the_tree_have_used_counts()
    {
        await using var pod = await ControlledPod.CreateAsync(new PodLimits(Tokens: 1000), new Echo());
        pod.Model.Call(Call(0, 0));
        pod.Model.Say("done");
        await pod.AskAsync(new Method.Run("go"));
        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>()).Reason);

        var other = new TokenBudget(pod.Directory + "/tokens", "4567", 1000);
        Used(other, new Usage(900, 71));
        Assert.Equal("the tree has used 1001 of 1000 tokens; raise it with --max-tokens or limits.tokens", other.Check());
        await pod.AskAsync(new Method.Run("once more"));
        Assert.Equal((RunEnd.Budget, 2), ((await pod.SeeAsync<Entry.RunEnded>(nth: 2)).Reason, pod.Model.Requests.Count));
    }

    [Theory, Trait("case", "V09")]
    [InlineData(null, null, 10)]
    [InlineData(-500L, -500L, 0)]
    [InlineData(7L, null, 17)]
    [InlineData(7L, 3L, 10)]
    public void Usage_that_is_missing_is_counted_by_the_answer_and_a_negative_one_gives_nothing_back(long? input, long? output, int counted)
    {
        var budget = new TokenBudget(_room + "/tokens", "1", 1);
        Used(budget, new Usage(input, output));
        Assert.Equal(counted == 0 ? null : $"the tree has used {counted} of 1 tokens; raise it with --max-tokens or limits.tokens", budget.Check());
    }

    [Fact, Trait("case", "V09")]
    public void A_file_that_is_no_Pod_s_own_word_ends_the_run_and_not_the_Pod()
    {
        var budget = new TokenBudget(_room + "/tokens", "1", 1000);
        Assert.Null(budget.Check());
        File.WriteAllText(_room + "/elsewhere", "5");
        File.CreateSymbolicLink(_room + "/tokens/2", _room + "/elsewhere");
        Assert.Contains("symbolic link", Assert.Throws<JournalException>(budget.Check).Message, StringComparison.Ordinal);
    }

    [Fact, Trait("case", "V09")]
    public void Without_a_budget_nothing_is_written()
    {
        var budget = new TokenBudget(_room + "/tokens", "1", null);
        Used(budget, new Usage(long.MaxValue / 2, 1));
        Assert.Null(budget.Check());
        Assert.False(Directory.Exists(_room + "/tokens"));
    }

    /// <summary>An answer of forty bytes, for which the provider says this.</summary>
    private static void Used(TokenBudget budget, Usage usage) =>
        budget.Apply(new JournalRecord(1, DateTimeOffset.UnixEpoch, new Entry.Assistant(0, [new AssistantBlock.Text(new string('x', 40))], usage, null), 0, 0, ""));

    private static AssistantBlock.ToolCall Call(int turn, int argument) => new($"id{turn}", "Echo", $$"""{"say":{{argument}}}""");

    /// <summary>Says what it is given.</summary>
    private sealed class Echo : Tool
    {
        internal override ToolSchema Schema { get; } = new("Echo", "a test's tool", JsonDocument.Parse("""{"type":"object"}""").RootElement);

        internal override ToolOrder Order(JsonElement arguments) => ToolOrder.Beside;

        internal override Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct) => Task.FromResult(new ToolOutcome(call.Arguments.GetRawText()));
    }
}
