using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Models;
using Yoi.Runtime.Tools;

namespace Yoi.Runtime.Turns;

/// <summary>How a run came to rest.</summary>
internal abstract record RunOutcome
{
    private RunOutcome() { }

    internal sealed record Ended(RunEnd Reason, string? Detail = null) : RunOutcome;

    /// <summary>Held after a turn, as was asked.</summary>
    internal sealed record Held : RunOutcome;
}

/// <summary>What ends a run that does not end by itself.</summary>
/// <param name="Turns">Model requests in one run.</param>
internal sealed record RunLimits(int Turns, CircleGuard Circles, TokenBudget Tokens)
{
    /// <summary>The end of a run that has had so many turns; null if it may go on.</summary>
    /// <exception cref="JournalException">What the tree has used is not known.</exception>
    internal RunOutcome.Ended? Reached(int turns)
    {
        if (turns >= Turns) return new(RunEnd.TurnLimit, $"{turns} turns; raise it with --max-turns or limits.turns_per_run");
        if (Circles.Turns >= CircleGuard.EndAfter) return new(RunEnd.TurnLimit, $"it went in circles: {Circles.Turns} turns brought nothing new, the same calls had the same results");
        return Tokens.Check() is { } words ? new(RunEnd.Budget, words) : null;
    }
}

/// <summary>
/// Works one run: ask the model, run the tools, repeat. Every fact is in the journal before anything is done with it;
/// cancel works at every await and leaves each call with exactly one result.
/// </summary>
/// <param name="beforeTurn">Called before each request, so that news of children is told in it.</param>
internal sealed class TurnLoop(
    JournalWriter journal, Conversation conversation, IModel model, ToolRunner tools, RunLimits limits, Func<CancellationToken, Task> beforeTurn)
{
    private const int MaxCutOffs = 2;

    private static readonly string Circling =
        $"[yoi] Your last {CircleGuard.WarnAfter} turns made the same calls and had the same results. Do something else, or say what keeps you; the run ends if this goes on. "
        + "To wait for Pods use WaitForPods.";

    /// <summary>Works until the model is done, a limit, a failure or <paramref name="pauseAsked"/>.</summary>
    /// <param name="nextTurn">Number of the next turn over the Pod's life.</param>
    /// <param name="turnsBefore">Turns of this run before it was paused.</param>
    /// <exception cref="OperationCanceledException">Cancelled; what was said so far is committed, each call has its result.</exception>
    /// <exception cref="JournalException">The journal cannot be written.</exception>
    internal async Task<RunOutcome> RunAsync(int nextTurn, int turnsBefore, Func<bool> pauseAsked, CancellationToken ct)
    {
        // A budget that others have used up meanwhile ends the run before it asks anything.
        if (limits.Tokens.Check() is { } words) return new RunOutcome.Ended(RunEnd.Budget, words);
        var cutOffs = 0;
        for (var turns = turnsBefore; ; nextTurn++)
        {
            await beforeTurn(ct);
            ModelEvent.Completed message;
            try
            {
                message = await AskAsync(nextTurn, ct);
                limits.Tokens.Tell();
            }
            catch (ModelException e)
            {
                return Failed(e);
            }
            turns++;
            var calls = message.Blocks.OfType<AssistantBlock.ToolCall>().ToList();
            if (calls.Count > 0)
            {
                await tools.RunAsync(calls, ct);
            }
            else if (!message.CutOff)
            {
                return new RunOutcome.Ended(RunEnd.Completed);
            }
            if (message.CutOff && await CorrectAsync(message, ++cutOffs) is { } failed) return failed;
            if (limits.Reached(turns) is { } limit) return limit;
            if (limits.Circles.Turns == CircleGuard.WarnAfter) await journal.AppendAsync(Durability.Written, new Entry.Correction(Circling));
            if (pauseAsked()) return new RunOutcome.Held();
        }
    }

    private async Task<ModelEvent.Completed> AskAsync(int turn, CancellationToken ct)
    {
        var start = await journal.AppendAsync(Durability.Written, new Entry.TurnStart(turn));
        var request = conversation.RequestAt(start[0].Seq);
        var inFlight = new MessageInFlight(journal);
        try
        {
            var message = await StreamAsync(request, inFlight, ct);
            await journal.AppendAsync(Durability.Synced, new Entry.Assistant(turn, message.Blocks, message.Usage, message.StopReason));
            return message;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            await CommitPartialAsync(turn, inFlight, "cancelled");
            throw;
        }
        catch (ModelException)
        {
            await CommitPartialAsync(turn, inFlight, "failed");
            throw;
        }
    }

    private async Task<ModelEvent.Completed> StreamAsync(ModelRequest request, MessageInFlight inFlight, CancellationToken ct)
    {
        await foreach (var streamed in model.StreamAsync(request, ct))
        {
            inFlight.Take(streamed);
            if (streamed is ModelEvent.ToolCallStart start) tools.Expect(start.Name);
            if (streamed is ModelEvent.Completed completed) return completed;
            if (streamed is ModelEvent.WaitsForRetry waits)
            {
                var when = waits.Wait.TotalSeconds < 1 ? "" : $" in {Math.Round(waits.Wait.TotalSeconds)} s";
                await journal.AppendAsync(Durability.Written,
                    new Entry.Notification("warn", "worker", $"{waits.Failure}; asking again{when} (try {waits.Tries + 1} of {waits.MaxTries})"));
            }
        }
        throw new ModelException(ModelFailure.Incomplete, "the stream ended before the message did", inFlight.Produced, retryable: true);
    }

    private async Task CommitPartialAsync(int turn, MessageInFlight inFlight, string why)
    {
        var text = inFlight.Text();
        if (text.Count == 0 && inFlight.Usage is null) return;
        await journal.AppendAsync(Durability.Synced, new Entry.Assistant(turn, text, inFlight.Usage, why, Partial: true));
    }

    private static RunOutcome.Ended Failed(ModelException e) => e.Kind == ModelFailure.ContextOverflow
        ? new(RunEnd.ContextOverflow, e.Message)
        : new(RunEnd.ProviderError, $"{Words(e.Kind)}: {e.Message}");

    private static string Words(ModelFailure kind) => kind switch
    {
        ModelFailure.Connect => "connect",
        ModelFailure.Timeout => "timeout",
        ModelFailure.RateLimited => "rate_limited",
        ModelFailure.Overloaded => "overloaded",
        ModelFailure.Server => "server",
        ModelFailure.Refused => "refused",
        ModelFailure.Authentication => "authentication",
        ModelFailure.BadRequest => "bad_request",
        ModelFailure.Malformed => "malformed",
        ModelFailure.Incomplete => "incomplete",
        ModelFailure.Empty => "empty",
        _ => "provider",
    };

    /// <summary>Tells the model that its message was cut off at the output limit, a bounded number of times.</summary>
    private async Task<RunOutcome.Ended?> CorrectAsync(ModelEvent.Completed message, int cutOffs)
    {
        if (cutOffs > MaxCutOffs)
            return new RunOutcome.Ended(RunEnd.ProviderError, "output limit: the model's messages were cut off again and again; raise max_output_tokens");
        var text = message.DroppedCall is { } name
            ? $"[yoi] Your call of {name} was cut off at the output limit and was not run. Send it again in smaller pieces."
            : "[yoi] Your message was cut off at the output limit. Go on from where it stopped.";
        await journal.AppendAsync(Durability.Synced, new Entry.Correction(text));
        return null;
    }
}
