using Yoi.Protocol;

namespace Yoi.Runtime.Models;

/// <summary>A model. Implementations must be safe to call again after a failure; one request at a time.</summary>
internal interface IModel : IDisposable
{
    /// <summary>
    /// Streams one message. The last event is <see cref="ModelEvent.Completed"/>; nothing comes after it.
    /// Repeats, a bounded number of times, what may be repeated: a try that failed before anything was produced, and one whose stream broke
    /// (told by <see cref="ModelEvent.WaitsForRetry"/>). Throws <see cref="ModelException"/> otherwise.
    /// </summary>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> was cancelled.</exception>
    IAsyncEnumerable<ModelEvent> StreamAsync(ModelRequest request, CancellationToken ct);
}

/// <summary>All that a request is made of. The bytes sent are a pure function of this.</summary>
internal sealed record ModelRequest(ModelChoice Choice, string System, IReadOnlyList<ToolSchema> Tools, IReadOnlyList<ModelMessage> Messages);

/// <summary>A message of a request. User and assistant alternate; tool results come first in the message behind their calls.</summary>
internal abstract record ModelMessage
{
    private ModelMessage() { }

    /// <summary>Results of the calls of the message before, in call order, then texts.</summary>
    internal sealed record User(IReadOnlyList<ModelToolResult> Results, IReadOnlyList<string> Texts) : ModelMessage;

    /// <summary>What the model said, unchanged.</summary>
    internal sealed record Assistant(IReadOnlyList<AssistantBlock> Blocks) : ModelMessage;
}

/// <summary>One call's result as the model reads it.</summary>
internal sealed record ModelToolResult(string CallId, string Text, bool IsError);

/// <summary>What a model streams.</summary>
internal abstract record ModelEvent
{
    private ModelEvent() { }

    /// <summary>A piece of a text block.</summary>
    internal sealed record TextDelta(int Block, string Text) : ModelEvent;

    /// <summary>A piece of reasoning.</summary>
    internal sealed record ThinkingDelta(int Block, string Text) : ModelEvent;

    /// <summary>A call begins.</summary>
    internal sealed record ToolCallStart(int Block, string CallId, string Name) : ModelEvent;

    /// <summary>A piece of a call's arguments.</summary>
    internal sealed record ToolArgumentsDelta(int Block, string CallId, string Json) : ModelEvent;

    /// <summary>
    /// The provider reported tokens before the end (kept for a cancelled message). A later one replaces an earlier one.
    /// It is no part of the message: a try that handed out nothing else may be repeated.
    /// </summary>
    internal sealed record UsageSoFar(Usage Usage) : ModelEvent;

    /// <summary>
    /// A try failed and is repeated. Told if somebody who watches would notice the wait, and always if something was handed out.
    /// </summary>
    /// <param name="Tries">Tries made so far.</param>
    /// <param name="Anew">Deltas were handed out: the message begins anew, and they are no part of it.</param>
    internal sealed record WaitsForRetry(string Failure, TimeSpan Wait, int Tries, int MaxTries, bool Anew) : ModelEvent;

    /// <summary>The message is whole.</summary>
    /// <param name="CutOff">True if it ended at the output limit: a last, unfinished call is not among the blocks.</param>
    /// <param name="DroppedCall">Name of that unfinished call.</param>
    internal sealed record Completed(
        IReadOnlyList<AssistantBlock> Blocks, Usage? Usage, string? StopReason, bool CutOff = false, string? DroppedCall = null) : ModelEvent;
}

/// <summary>What went wrong at the provider.</summary>
internal enum ModelFailure { Connect, Timeout, RateLimited, Overloaded, Server, Refused, Authentication, BadRequest, ContextOverflow, Malformed, Incomplete, Empty }

/// <summary>The provider failed for good: retries, where they made sense, are used up.</summary>
/// <param name="message">Never holds the key. Begins like <c>Client error: API error (status: 529) [overloaded_error]: …</c> where the provider spoke.</param>
/// <param name="produced">True if deltas of the failed message were already handed out.</param>
/// <param name="retryable">True if asking again may help.</param>
/// <param name="retryAfter">How long the provider asks to wait, if it does.</param>
/// <param name="broke">True if the provider just went away or fell silent. Only such a failure is repeated when deltas were handed out.</param>
internal sealed class ModelException(
    ModelFailure kind, string message, bool produced, bool retryable, Exception? inner = null, TimeSpan? retryAfter = null, bool broke = false)
    : Exception(message, inner)
{
    internal ModelFailure Kind { get; } = kind;
    internal bool Produced { get; } = produced;
    internal bool Retryable { get; } = retryable;
    internal TimeSpan? RetryAfter { get; } = retryAfter;
    internal bool Broke { get; } = broke;
}
