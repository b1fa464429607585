using System.Text.Json;
using Yoi.Protocol;

namespace Yoi.Runtime.Tools;

/// <summary>What may run beside what, within the calls of one message.</summary>
internal abstract record ToolOrder
{
    private ToolOrder() { }

    /// <summary>Beside anything but barriers.</summary>
    internal sealed record Parallel : ToolOrder;

    /// <summary>In call order with other calls at, above or below the path, if one of the two writes; beside the rest.</summary>
    internal sealed record OnPath(string Path, bool Writes) : ToolOrder;

    /// <summary>Alone: everything before it has ended, nothing after it has begun.</summary>
    internal sealed record Barrier : ToolOrder;

    internal static ToolOrder Beside { get; } = new Parallel();
    internal static ToolOrder Alone { get; } = new Barrier();
}

/// <summary>A tool. One instance a Pod; called from several tasks at once unless its order says otherwise.</summary>
internal abstract class Tool
{
    /// <summary>Name, description and parameters, as the model is told.</summary>
    internal abstract ToolSchema Schema { get; }

    /// <summary>How this call stands to the others of its message. Must not throw on bad arguments: they run alone or beside.</summary>
    internal virtual ToolOrder Order(JsonElement arguments) => ToolOrder.Beside;

    /// <summary>
    /// The model has begun to write a call of this: what takes time and depends on nothing that it will say can be begun. The call may never
    /// come. Must neither wait nor throw.
    /// </summary>
    internal virtual void Expect() { }

    /// <summary>Runs one call. What the model can mend is a <see cref="ToolFailure"/>; ToolRunner makes it a result.</summary>
    internal abstract Task<ToolOutcome> RunAsync(ToolCall call, CancellationToken ct);
}

/// <summary>One call of one message. <paramref name="Arguments"/> is the parsed JSON object.</summary>
internal sealed record ToolCall(string CallId, string Name, JsonElement Arguments);

/// <summary>What a call came to.</summary>
/// <param name="Summary">One or two lines; kept for good.</param>
/// <param name="Content">The bulk; may be pruned later. ToolRunner caps it.</param>
/// <param name="Told">Cursors that this result moves.</param>
internal sealed record ToolOutcome(string Summary, string? Content = null, bool IsError = false, IReadOnlyList<Told>? Told = null);

/// <summary>The model asked for something that cannot be; the message says what happened and what to try.</summary>
internal sealed class ToolFailure(string message) : Exception(message);
