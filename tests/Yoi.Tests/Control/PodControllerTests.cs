using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;
using Yoi.Runtime.Tools;

namespace Yoi.Tests.Control;

public sealed class PodControllerTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    private static AssistantBlock.ToolCall Call(string id, string name = "Gate") => new(id, name, "{}");

    [Fact]
    public async Task A_run_is_journalled_from_input_to_end()
    {
        await using var pod = await ControlledPod.CreateAsync();
        pod.Model.Say("hello");

        Assert.IsType<ReplyResult.Accepted>(await pod.AskAsync(new Method.Run("hi")));
        await pod.SeeAsync<Entry.RunEnded>();

        Assert.Equal(["pod_created", "prompt", "input", "run_start", "turn_start", "assistant", "run_end"],
            pod.Records().Select(record => Kinds.Entries.Of(record.Entry).Name));
        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>()).Reason);
    }

    [Fact]
    public async Task Each_method_is_refused_in_the_states_where_it_means_nothing()
    {
        await using var pod = await ControlledPod.CreateAsync();
        Assert.Equal(ErrorCode.NotPaused, await pod.RefusedAsync(new Method.Resume()));
        Assert.Equal(ErrorCode.NotRunning, await pod.RefusedAsync(new Method.Cancel()));
        Assert.Equal(ErrorCode.NotRunning, await pod.RefusedAsync(new Method.Pause()));

        pod.Model.Stall();
        await pod.AskAsync(new Method.Run("hi"));
        Assert.Equal(PodState.Running, pod.Controller.Status().State);
        Assert.Equal(ErrorCode.AlreadyRunning, await pod.RefusedAsync(new Method.Run("again")));
        Assert.Equal(ErrorCode.AlreadyRunning, await pod.RefusedAsync(new Method.Resume()));

        await pod.AskAsync(new Method.Cancel());
        await pod.SeeAsync<Entry.RunEnded>();
        await pod.AskAsync(new Method.Shutdown());
        Assert.Equal(ErrorCode.Stopping, await pod.RefusedAsync(new Method.Run("late")));
    }

    [Fact]
    public async Task A_notice_starts_a_run_of_an_idle_pod_and_is_in_its_request()
    {
        await using var pod = await ControlledPod.CreateAsync();
        pod.Model.Say("noted");

        await pod.AskAsync(new Method.Notify("child-1", "turn done"));
        await pod.SeeAsync<Entry.RunEnded>();

        var user = Assert.IsType<ModelMessage.User>(Assert.Single(Assert.Single(pod.Model.Requests).Messages));
        Assert.Equal(["[notice from child-1] turn done"], user.Texts);
    }

    [Fact, Trait("case", "T16")]
    public async Task A_notice_that_arrives_while_the_last_answer_streams_starts_one_more_run()
    {
        await using var pod = await ControlledPod.CreateAsync();
        await pod.AskAsync(new Method.Run("hi"));
        await pod.Model.Asked.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await pod.AskAsync(new Method.Notify("child-1", "done"));
        pod.Model.Say("first");
        pod.Model.Say("second");

        await pod.SeeAsync<Entry.RunEnded>(nth: 2);

        Assert.Equal(2, pod.Model.Requests.Count);
        Assert.Equal(2, pod.Records().Count(record => record.Entry is Entry.RunStart));
    }

    [Fact]
    public async Task Who_hears_of_the_end_of_a_run_is_not_refused_the_next_one()
    {
        await using var pod = await ControlledPod.CreateAsync();
        await using var feed = pod.Journal.Subscribe(1, 64 << 20);
        await pod.AskAsync(new Method.Run("0"));
        pod.Model.Say("fine");
        var runs = 0;
        await foreach (var item in feed.ReadAsync(TestContext.Current.CancellationToken))
        {
            if (item is not FeedItem.Record { Value.Entry: Entry.RunEnded }) continue;
            if (++runs == 200) break;
            pod.Model.Say("fine");
            await pod.AskAsync(new Method.Run($"{runs}")); // Refused with already_running if the end is told before it is so.
        }
        Assert.Equal(200, pod.Records().Count(record => record.Entry is Entry.RunStart));
    }

    [Fact]
    public async Task A_notice_of_a_run_that_was_cancelled_wakes_nobody_and_is_told_with_the_next()
    {
        await using var pod = await ControlledPod.CreateAsync();
        await pod.AskAsync(new Method.Run("hi"));
        await pod.Model.Asked.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await pod.AskAsync(new Method.Notify("child-1", "first"));
        await pod.AskAsync(new Method.Cancel());
        await pod.SeeAsync<Entry.RunEnded>();
        await Eventually.Holds(() => pod.Controller.Status().State == PodState.Idle);
        Assert.Single(pod.Model.Requests);

        pod.Model.Say("fine");
        await pod.AskAsync(new Method.Notify("child-1", "second"));
        await pod.SeeAsync<Entry.RunEnded>(nth: 2);
        Assert.Equal(["hi", "[notice from child-1] first", "[notice from child-1] second"], Assert.IsType<ModelMessage.User>(pod.Model.Requests[1].Messages[^1]).Texts);
    }

    [Fact, Trait("case", "T16")]
    public async Task A_paused_pod_keeps_a_notice_and_runs_nothing_until_it_is_resumed()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        pod.Model.Call(Call("a"));
        await pod.AskAsync(new Method.Run("hi"));
        await tool.Begun.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await pod.AskAsync(new Method.Pause());
        tool.Gate.Release();
        await pod.SeeAsync<Entry.RunPaused>();

        await pod.AskAsync(new Method.Notify("child-1", "done"));
        Assert.Equal(PodState.Paused, pod.Controller.Status().State);
        Assert.Single(pod.Model.Requests);

        pod.Model.Say("fine");
        await pod.AskAsync(new Method.Resume());
        var end = await pod.SeeAsync<Entry.RunEnded>();
        Assert.Equal((0, 2), (end.Run, end.Turns));
        Assert.Contains("[notice from child-1] done", Assert.IsType<ModelMessage.User>(pod.Model.Requests[1].Messages[^1]).Texts);
    }

    [Fact]
    public async Task Queued_inputs_each_start_a_run_in_the_order_in_which_they_came()
    {
        await using var pod = await ControlledPod.CreateAsync();
        await pod.AskAsync(new Method.Run("one"));
        Assert.True(Assert.IsType<ReplyResult.Accepted>(await pod.AskAsync(new Method.Run("two", SendMode.Queue))).Queued);
        Assert.True(Assert.IsType<ReplyResult.Accepted>(await pod.AskAsync(new Method.Run("three", SendMode.Queue))).Queued);
        pod.Model.Say("1");
        pod.Model.Say("2");
        pod.Model.Say("3");

        await pod.SeeAsync<Entry.RunEnded>(nth: 3);

        Assert.Equal(["one", "two", "three"],
            pod.Model.Requests.Select(request => Assert.Single(Assert.IsType<ModelMessage.User>(request.Messages[^1]).Texts)));
    }

    [Theory, Trait("case", "T20")]
    [InlineData("accepted")]
    [InlineData("before the first event")]
    [InlineData("streaming")]
    [InlineData("between tools")]
    [InlineData("in a tool")]
    public async Task Cancel_works_at_every_await_and_the_next_run_is_unaffected(string where)
    {
        var tool = new GatedTool("Gate", where == "between tools" ? ToolOrder.Alone : ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        using var held = new SemaphoreSlim(0);
        var calls = 0;
        Task HoldAsync(CancellationToken ct)
        {
            held.Release();
            return new TaskCompletionSource().Task.WaitAsync(ct);
        }
        if (where == "accepted") pod.BeforeTurn = HoldAsync;
        if (where == "between tools") pod.BeforeCall = ct => ++calls == 2 ? HoldAsync(ct) : Task.CompletedTask;
        if (where == "between tools") tool.Gate.Release();
        if (where == "streaming") pod.Model.Stall(new ModelEvent.TextDelta(0, "Hel"), new ModelEvent.UsageSoFar(new Usage(10, 1)));
        if (where is "in a tool" or "between tools") pod.Model.Call(Call("a"), Call("b"));
        await pod.AskAsync(new Method.Run("hi"));
        var reached = where switch { "accepted" or "between tools" => held, "in a tool" => tool.Begun, _ => pod.Model.Asked };
        Assert.True(await reached.WaitAsync(Limit, TestContext.Current.CancellationToken));

        var asked = TimeProvider.System.GetTimestamp();
        await pod.AskAsync(new Method.Cancel());
        var end = await pod.SeeAsync<Entry.RunEnded>();
        Assert.InRange(TimeProvider.System.GetElapsedTime(asked), TimeSpan.Zero, TimeSpan.FromSeconds(5)); // A second, the case says; a loaded machine is no fault.
        Assert.Equal((RunEnd.Cancelled, "human"), (end.Reason, end.By));
        if (where == "accepted") Assert.Empty(pod.Model.Requests);
        if (where == "streaming")
            Assert.Equal("Hel", Assert.IsType<AssistantBlock.Text>(Assert.Single((await pod.SeeAsync<Entry.Assistant>(a => a.Partial)).Blocks)).Value);
        if (where is "in a tool" or "between tools")
            Assert.Equal([("a", where == "in a tool"), ("b", true)], pod.Records().Select(r => r.Entry).OfType<Entry.ToolResult>().Select(result => (result.CallId, result.IsError)));
        if (where == "between tools") Assert.Equal(["begin a", "end a"], tool.Log);

        pod.BeforeTurn = _ => Task.CompletedTask;
        pod.Model.Say("back");
        await pod.AskAsync(new Method.Run("again"));
        Assert.Equal(RunEnd.Completed, (await pod.SeeAsync<Entry.RunEnded>(nth: 2)).Reason);
    }

    [Fact, Trait("case", "T19")]
    public async Task A_provider_failure_ends_the_run_with_its_kind_and_never_as_completed()
    {
        foreach (var kind in Enum.GetValues<ModelFailure>())
        {
            await using var pod = await ControlledPod.CreateAsync();
            pod.Model.Fail(new ModelException(kind, "no", produced: false, retryable: false));
            await pod.AskAsync(new Method.Run("hi"));
            var end = await pod.SeeAsync<Entry.RunEnded>();
            Assert.Equal(kind == ModelFailure.ContextOverflow ? RunEnd.ContextOverflow : RunEnd.ProviderError, end.Reason);
            Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.Assistant);
        }
    }

    [Fact, Trait("case", "V06")]
    public async Task A_call_that_was_cut_off_is_not_run_and_the_model_is_told_at_most_twice()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(tool);
        for (var i = 0; i < 3; i++) pod.Model.Answer(new ModelEvent.Completed([], new Usage(1, 1), "max_tokens", CutOff: true, DroppedCall: "Gate"));
        await pod.AskAsync(new Method.Run("hi"));

        var end = await pod.SeeAsync<Entry.RunEnded>();

        Assert.Equal(RunEnd.ProviderError, end.Reason);
        Assert.Equal(3, pod.Model.Requests.Count);
        Assert.Empty(tool.Log);
        Assert.Contains("cut off", Assert.IsType<ModelMessage.User>(pod.Model.Requests[1].Messages[^1]).Texts[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_limit_of_turns_ends_a_run_with_every_call_answered()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        await using var pod = await ControlledPod.CreateAsync(new PodLimits(TurnsPerRun: 2), tool);
        tool.Gate.Release(10);
        pod.Model.Call(Call("a"));
        pod.Model.Call(Call("b"));
        await pod.AskAsync(new Method.Run("hi"));

        Assert.Equal((RunEnd.TurnLimit, 2), await pod.SeeAsync<Entry.RunEnded>() is var end ? (end.Reason, end.Turns) : default);
        Assert.Equal(["a", "b"], pod.Records().Select(r => r.Entry).OfType<Entry.ToolResult>().Select(result => result.CallId));
    }

    [Fact, Trait("case", "G06")]
    public async Task A_crash_during_parallel_calls_closes_each_as_unknown_and_runs_none_again()
    {
        var tool = new GatedTool("Gate", ToolOrder.Beside);
        var pod = await ControlledPod.CreateAsync(tool);
        pod.Model.Call(Call("a"), Call("b"), Call("c"));
        await pod.AskAsync(new Method.Run("hi"));
        for (var i = 0; i < 3; i++) await tool.Begun.WaitAsync(Limit, TestContext.Current.CancellationToken);

        await using var again = await pod.ReopenAsync();
        Assert.Equal(PodState.Paused, again.Controller.Status().State);
        Assert.Equal(RunEnd.Interrupted, (await again.SeeAsync<Entry.RunEnded>()).Reason);
        again.Model.Say("I looked");
        await again.AskAsync(new Method.Resume());
        await again.SeeAsync<Entry.RunEnded>(nth: 2);

        var results = again.Records().Select(r => r.Entry).OfType<Entry.ToolResult>().ToList();
        Assert.Equal(["a", "b", "c"], results.Select(result => result.CallId));
        Assert.All(results, result => Assert.True(result is { OutcomeUnknown: true, IsError: true }));
        Assert.Equal(3, tool.Log.Count(line => line.StartsWith("begin", StringComparison.Ordinal)));
    }

    [Fact, Trait("case", "C15")]
    public async Task A_held_run_that_is_cancelled_and_resumed_at_once_is_one_of_the_two()
    {
        await using var pod = await ControlledPod.CreateAsync(new GatedTool("Gate", ToolOrder.Beside));
        for (var run = 0; run < 20; run++)
        {
            await pod.AskAsync(new Method.Run("hi"));
            await pod.AskAsync(new Method.Pause());
            pod.Model.Call(Call("a", "NoTool")); // Behind the pause: a turn that had ended before it would be followed by one that nobody answers.
            await pod.SeeAsync<Entry.RunPaused>(nth: run + 1);

            var cancelled = pod.AskAsync(new Method.Cancel());
            var code = await pod.RefusedAsync(new Method.Resume()).WaitAsync(Limit, TestContext.Current.CancellationToken);
            await cancelled;

            Assert.Contains(code, new[] { ErrorCode.AlreadyRunning, ErrorCode.NotPaused });
            Assert.Equal(PodState.Idle, pod.Controller.Status().State);
        }
        Assert.Equal(20, pod.Records().Count(record => record.Entry is Entry.RunEnded { Reason: RunEnd.Cancelled, By: "human" }));
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.RunResumed);
    }

    [Fact]
    public async Task A_held_run_is_not_given_up_behind_the_end_of_its_pod()
    {
        await using var pod = await ControlledPod.CreateAsync(new GatedTool("Gate", ToolOrder.Beside));
        await pod.AskAsync(new Method.Run("hi"));
        await pod.AskAsync(new Method.Pause());
        pod.Model.Call(Call("a", "NoTool"));
        await pod.SeeAsync<Entry.RunPaused>();

        await pod.AskAsync(new Method.Shutdown());
        Assert.Equal(ErrorCode.Stopping, await pod.RefusedAsync(new Method.Cancel()));
        await pod.Controller.Completion.WaitAsync(Limit, TestContext.Current.CancellationToken);

        Assert.IsType<Entry.PodEnded>(pod.Records()[^1].Entry);
    }

    [Fact]
    public async Task An_end_that_fails_by_our_own_mistake_ends_the_process_and_keeps_nobody_waiting()
    {
        await using var pod = await ControlledPod.CreateAsync();
        pod.BeforeEnd = () => throw new InvalidOperationException("a mistake");

        await pod.AskAsync(new Method.Shutdown());

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => pod.Controller.Completion.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Equal("a mistake", failure.Message);
        Assert.DoesNotContain(pod.Records(), record => record.Entry is Entry.PodEnded); // The next process finds it as it was.
    }

    [Fact]
    public async Task A_run_that_fails_by_our_own_mistake_ends_the_process_and_is_found_interrupted()
    {
        var pod = await ControlledPod.CreateAsync();
        pod.Model.Break(new InvalidOperationException("a mistake"));

        await pod.AskAsync(new Method.Run("hi"));
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => pod.Controller.Completion.WaitAsync(Limit, TestContext.Current.CancellationToken));

        Assert.Equal("a mistake", failure.Message);
        await using var again = await pod.ReopenAsync();
        Assert.Equal(RunEnd.Interrupted, (await again.SeeAsync<Entry.RunEnded>()).Reason);
        Assert.Equal(PodState.Paused, again.Controller.Status().State);
    }
}
