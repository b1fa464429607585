using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Control;
using Yoi.Runtime.Models;
using Yoi.Shared;

namespace Yoi.Tests.Control;

public sealed class InterleavingTests(ITestOutputHelper output)
{
    private static readonly string[] Codes =
        [ErrorCode.AlreadyRunning, ErrorCode.NotRunning, ErrorCode.NotPaused];

    [Fact, Trait("case", "C15")]
    public async Task Methods_in_any_order_from_many_clients_never_make_two_runs_at_once_and_lose_no_input()
    {
        var seed = Seed();
        output.WriteLine($"YOI_SEED={seed}");
        await using var pod = await ControlledPod.CreateAsync();
        using var stopTalking = new CancellationTokenSource();
        var talking = TalkAsync(pod.Model, new Random(seed), stopTalking.Token);
        var accepted = new HashSet<string>();
        var clients = Enumerable.Range(0, 8).Select(n => ClientAsync(pod, new Random(seed + n), $"c{n}", Slice.Of(250, 1250))).ToList();
        foreach (var inputs in await Task.WhenAll(clients)) accepted.UnionWith(inputs);
        await RestAsync(pod);
        // What the storm did not bring about comes about now, one after the other; that all did is asserted below.
        for (var i = 0; i < 1000 && !HasAllKinds(pod); i++)
        {
            await pod.AskAsync(new Method.Run($"last-{i}"));
            accepted.Add($"last-{i}");
            await AskInAnyStateAsync(pod, i % 4 == 0 ? new Method.Cancel() : new Method.Pause());
            await RestAsync(pod);
        }
        await stopTalking.CancelAsync();
        await talking;

        var entries = pod.Records().Select(record => record.Entry).ToList();
        Assert.False(EndsInARun(entries));
        var journalled = entries.OfType<Entry.Input>().Select(input => input.Text).ToList();
        Assert.Equal(journalled.Count, journalled.Distinct().Count());
        Assert.Superset(accepted, journalled.ToHashSet());
        Assert.DoesNotContain(journalled, text => !accepted.Contains(text));
        Assert.True(HasAllKinds(pod), "no run was paused, or none cancelled, or none completed");
    }

    /// <summary>The one that is given, to have a storm again; else any.</summary>
    internal static int Seed() => int.TryParse(Environment.GetEnvironmentVariable("YOI_SEED"), out var given) ? given : Random.Shared.Next();

    /// <summary>Never two runs at once, and no turn outside one; true if the last has no end.</summary>
    internal static bool EndsInARun(IReadOnlyList<Entry> entries)
    {
        var open = false;
        foreach (var entry in entries)
        {
            if (entry is Entry.RunStart) { Assert.False(open, "two runs at once"); open = true; }
            if (entry is Entry.RunEnded) { Assert.True(open, "an end without a run"); open = false; }
            if (entry is Entry.TurnStart or Entry.Assistant) Assert.True(open, "a turn outside a run");
        }
        return open;
    }

    /// <summary>Until the Pod is idle; a run that is held is given up.</summary>
    private static async Task RestAsync(ControlledPod pod)
    {
        do await Eventually.Holds(() => pod.Controller.Status() is { State: PodState.Paused } or { State: PodState.Idle, QueuedInputs: 0 }, TimeSpan.FromMinutes(3));
        while (await WasPausedAsync(pod)); // The last run may have been asked to pause, and a queued one after it.
    }

    private static async Task<bool> WasPausedAsync(ControlledPod pod)
    {
        if (pod.Controller.Status().State != PodState.Paused) return false;
        await pod.AskAsync(new Method.Cancel());
        return true;
    }

    /// <summary>The run may have ended before it is asked.</summary>
    private static async Task AskInAnyStateAsync(ControlledPod pod, Method method)
    {
        try
        {
            await pod.AskAsync(method);
        }
        catch (RefusedException e)
        {
            Assert.Equal(ErrorCode.NotRunning, e.Code);
        }
    }

    private static bool HasAllKinds(ControlledPod pod)
    {
        var entries = pod.Records().Select(record => record.Entry).ToList();
        return entries.Exists(entry => entry is Entry.RunPaused)
            && entries.Exists(entry => entry is Entry.RunEnded { Reason: RunEnd.Cancelled })
            && entries.Exists(entry => entry is Entry.RunEnded { Reason: RunEnd.Completed });
    }

    /// <summary>Sends random methods and returns the inputs that were accepted.</summary>
    private static async Task<List<string>> ClientAsync(ControlledPod pod, Random random, string name, int rounds)
    {
        var accepted = new List<string>();
        for (var i = 0; i < rounds; i++)
        {
            var text = $"{name}-{i}";
            Method method = random.Next(7) switch
            {
                0 or 1 => new Method.Run(text),
                2 => new Method.Run(text, SendMode.Queue),
                3 => new Method.Notify(name, text),
                4 => new Method.Cancel(),
                5 => new Method.Pause(),
                _ => new Method.Resume(),
            };
            try
            {
                await pod.AskAsync(method);
                if (method is Method.Run) accepted.Add(text);
            }
            catch (RefusedException e)
            {
                Assert.Contains(e.Code, Codes);
            }
            if (random.Next(3) == 0) await Task.Yield();
        }
        return accepted;
    }

    /// <summary>Answers whatever is asked: a text, a call of a tool that does not exist, or a failure.</summary>
    private static async Task TalkAsync(TestModel model, Random random, CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await model.Asked.WaitAsync(ct);
                switch (random.Next(4))
                {
                    case 0: model.Call(new AssistantBlock.ToolCall(Guid.NewGuid().ToString("n"), "NoTool", "{}")); break;
                    case 1: model.Fail(new ModelException(ModelFailure.Server, "no", produced: false, retryable: false)); break;
                    default: model.Say("ok"); break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }
}
