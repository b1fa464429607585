using System.Text;
using System.Text.Json;
using Yoi.Protocol;
using Yoi.Runtime.Journal;
using Yoi.Runtime.Scopes;

namespace Yoi.Runtime.Tools;

/// <summary>
/// Runs the calls of one message: beside each other where that is safe, same-file writes in call order, barriers alone.
/// The one place where exceptions become results. Every call gets exactly one result, journalled in call order.
/// </summary>
/// <param name="before">Waited for before each call: what the call is to know of.</param>
internal sealed class ToolRunner(IReadOnlyList<Tool> tools, JournalWriter journal, Func<CancellationToken, Task>? before = null)
{
    /// <summary>Most bytes of a result's content that reach the model.</summary>
    internal const int MaxContentBytes = 48 * 1024;

    /// <summary>Most calls of one message that are run; the rest is refused.</summary>
    internal const int MaxCalls = 64;

    private const int MaxBeside = 8;
    private readonly Dictionary<string, Tool> _tools = tools.ToDictionary(tool => tool.Schema.Name, StringComparer.Ordinal);

    /// <summary>What runs now, for <c>status</c>; null between calls.</summary>
    internal string? Running { get; private set; }

    /// <summary>Tells a tool that the model has begun to write a call of it.</summary>
    internal void Expect(string tool) => _tools.GetValueOrDefault(tool)?.Expect();

    /// <summary>Runs all calls and journals their results.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; every call has its result all the same.</exception>
    /// <exception cref="JournalException">A result could not be written; no further call is begun.</exception>
    internal async Task RunAsync(IReadOnlyList<AssistantBlock.ToolCall> calls, CancellationToken ct)
    {
        // A journal that fails must stop the calls that have not begun.
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var running = Schedule(calls, broken.Token);
        try
        {
            for (var i = 0; i < calls.Count; i++)
            {
                Running = $"tool:{calls[i].Name}";
                var outcome = await running[i];
                Failpoint.Pass(Failpoints.ToolBeforeResult);
                await JournalAsync(calls[i], outcome, last: i == calls.Count - 1);
            }
        }
        finally
        {
            Running = null;
            await broken.CancelAsync();
            await Task.WhenAll(running);
        }
        ct.ThrowIfCancellationRequested();
    }

    private List<Task<ToolOutcome>> Schedule(IReadOnlyList<AssistantBlock.ToolCall> calls, CancellationToken ct)
    {
        var begun = new List<Task<ToolOutcome>>();
        var onPaths = new List<(ToolOrder.OnPath Order, Task Task)>();
        var beside = new SemaphoreSlim(MaxBeside);
        Task barrier = Task.CompletedTask;
        foreach (var (call, index) in calls.Select((call, index) => (call, index)))
        {
            var (tool, parsed, refusal) = Prepare(call, index);
            var order = refusal is null ? tool!.Order(parsed!.Arguments) : ToolOrder.Beside;
            Task earlier = order switch
            {
                ToolOrder.Barrier => Task.WhenAll(begun),
                ToolOrder.OnPath mine => Task.WhenAll(onPaths.Where(other => Touch(mine, other.Order)).Select(other => other.Task).Append(barrier)),
                _ => barrier,
            };
            var task = refusal is not null ? Task.FromResult(refusal) : RunOneAsync(tool!, parsed!, earlier, beside, ct);
            begun.Add(task);
            if (order is ToolOrder.Barrier) barrier = task;
            if (order is ToolOrder.OnPath path) onPaths.Add((path, task));
        }
        return begun;
    }

    private static bool Touch(ToolOrder.OnPath a, ToolOrder.OnPath b) =>
        (a.Writes || b.Writes) && (ScopePath.IsAtOrBelow(a.Path, b.Path) || ScopePath.IsAtOrBelow(b.Path, a.Path));

    private (Tool? Tool, ToolCall? Call, ToolOutcome? Refusal) Prepare(AssistantBlock.ToolCall call, int index)
    {
        if (index >= MaxCalls)
            return Refuse($"not run: one message may make at most {MaxCalls} calls; send the rest in the next message");
        if (!_tools.TryGetValue(call.Name, out var tool))
            return Refuse($"Tool '{call.Name}' not found; there are: {string.Join(", ", _tools.Keys)}");
        try
        {
            using var arguments = JsonDocument.Parse(call.Arguments.Length == 0 ? "{}" : call.Arguments);
            return arguments.RootElement.ValueKind == JsonValueKind.Object
                ? (tool, new ToolCall(call.CallId, call.Name, arguments.RootElement.Clone()), null)
                : Refuse($"not run: the arguments of {call.Name} must be a JSON object");
        }
        catch (JsonException e)
        {
            return Refuse($"not run: the arguments of {call.Name} are not valid JSON: {e.Message}");
        }

        static (Tool?, ToolCall?, ToolOutcome?) Refuse(string why) => (null, null, new ToolOutcome(why, IsError: true));
    }

    private async Task<ToolOutcome> RunOneAsync(Tool tool, ToolCall call, Task earlier, SemaphoreSlim beside, CancellationToken ct)
    {
        await earlier;
        try
        {
            await beside.WaitAsync(ct);
            try
            {
                if (before is not null) await before(ct);
                // File tools work synchronously on handles: off to the pool, so that the calls beside them begin.
                return await Task.Run(() => tool.RunAsync(call, ct), ct);
            }
            finally
            {
                beside.Release();
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return new ToolOutcome($"{call.Name} was cancelled before it ended", IsError: true);
        }
        catch (Exception e) when (e is ToolFailure or PathException or ScopeException)
        {
            return new ToolOutcome(e.Message, IsError: true);
        }
        catch (Exception e) when (e is not JournalException)
        {
            return new ToolOutcome($"{call.Name} failed: {e.GetType().Name}: {e.Message}", IsError: true);
        }
    }

    private async Task JournalAsync(AssistantBlock.ToolCall call, ToolOutcome outcome, bool last)
    {
        var content = outcome.Content;
        if (content is not null && Encoding.UTF8.GetByteCount(content) is var bytes && bytes > MaxContentBytes)
        {
            var kept = Cut(content, MaxContentBytes);
            content = $"{kept}\n\n[truncated: {bytes - Encoding.UTF8.GetByteCount(kept)} bytes dropped, refine your query]";
            await journal.AppendAsync(Durability.Written, new Entry.Notification("warn", "worker",
                $"tool `{call.Name}` output truncated from {bytes} to {Encoding.UTF8.GetByteCount(kept)} bytes (limit {MaxContentBytes})"));
        }
        await journal.AppendAsync(last ? Durability.Synced : Durability.Written,
            new Entry.ToolResult(call.CallId, call.Name, WellFormed(outcome.Summary), content is null ? null : WellFormed(content), outcome.IsError, Told: outcome.Told));
    }

    /// <summary>The longest prefix of at most <paramref name="maxBytes"/> UTF-8 bytes that ends between two runes.</summary>
    internal static string Cut(string text, int maxBytes)
    {
        var bytes = 0;
        var end = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            if (bytes + rune.Utf8SequenceLength > maxBytes) break;
            bytes += rune.Utf8SequenceLength;
            end += rune.Utf16SequenceLength;
        }
        return text[..Math.Min(end, text.Length)];
    }

    /// <summary>Text without lone surrogates: no JSON and no provider takes them.</summary>
    internal static string WellFormed(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return text;
        var whole = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes()) whole.Append(rune.ToString());
        return whole.ToString();
    }
}
