using System.Runtime.CompilerServices;
using Yoi.Protocol;
using Yoi.Runtime.Models.Wire;

namespace Yoi.Runtime.Models.Scripted;

/// <summary>
/// A model that answers from a file. It keeps no state: which reply comes next follows from the conversation alone, so a Pod that
/// was started again goes on where it was.
/// </summary>
internal sealed class ScriptedModel : IModel
{
    private readonly string _file;
    private readonly string _pod;
    private readonly PodScript _script;
    private readonly ScriptedReply[] _inTurn;
    private readonly TimeProvider _time;

    /// <param name="file">The script; null for <see cref="Commands"/> alone.</param>
    /// <exception cref="ModelException">The script cannot be read, or says nothing for this Pod.</exception>
    internal ScriptedModel(string? file, string pod, TimeProvider time)
        : this(file ?? "", file is null ? new Script(new Dictionary<string, PodScript> { [Script.Others] = new([], Commands: true, null) }) : ScriptReader.Read(file), pod, time)
    {
    }

    internal ScriptedModel(string file, Script script, string pod, TimeProvider time)
    {
        (_file, _pod, _time) = (file, pod, time);
        _script = script.Pods.GetValueOrDefault(pod) ?? script.Pods.GetValueOrDefault(Script.Others)
            ?? throw Failed($"script {file} has nothing for the Pod {pod}; it has {string.Join(", ", script.Pods.Keys)}, and no \"{Script.Others}\"");
        _inTurn = [.. _script.Replies.Where(reply => reply.When is null)];
    }

    public async IAsyncEnumerable<ModelEvent> StreamAsync(ModelRequest request, [EnumeratorCancellation] CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var reply = Choose(request.Messages);
        var usage = reply.Usage ?? _script.Usage;
        var events = Events(reply, request.Messages, out var blocks);
        if (events.Count == 0 && reply.Error is { } refusal)
            throw ProviderError.Scripted(refusal.Status, refusal.Type, refusal.Message, produced: false);
        if (usage is not null)
            yield return new ModelEvent.UsageSoFar(usage with { OutputTokens = Math.Min(usage.OutputTokens ?? 0, 1) });
        for (var i = 0; i < events.Count; i++)
        {
            yield return events[i];
            if (i == 0 && reply.StallMs > 0)
                await Task.Delay(TimeSpan.FromMilliseconds(reply.StallMs), _time, ct);
            ct.ThrowIfCancellationRequested();
        }
        if (reply.Error is { } error)
            throw ProviderError.Scripted(error.Status, error.Type, error.Message, produced: true);
        if (reply.Cut)
            throw new ModelException(ModelFailure.Incomplete, "the provider's stream ended before the message was whole", events.Count > 0, retryable: true);
        var cutOff = reply.StopReason == "max_tokens";
        var dropped = cutOff ? blocks.LastOrDefault() as AssistantBlock.ToolCall : null;
        if (dropped is not null)
            blocks.RemoveAt(blocks.Count - 1);
        if (blocks.Count == 0 && dropped is null)
            throw new ModelException(ModelFailure.Empty, "the model ended its message without saying anything", produced: false, retryable: false);
        yield return new ModelEvent.Completed(blocks, usage, reply.StopReason ?? (reply.Calls.Count > 0 ? "tool_use" : "end_turn"), cutOff, dropped?.Name);
    }

    public void Dispose() { }

    /// <summary>
    /// Plays the conversation from its beginning: each message of the model used up the reply that answered it.
    /// </summary>
    private ScriptedReply Choose(IReadOnlyList<ModelMessage> messages)
    {
        var used = 0;
        for (var i = 1; i < messages.Count; i++)
        {
            if (messages[i] is ModelMessage.Assistant && messages[i - 1] is ModelMessage.User asked)
                Next(asked, ref used);
        }
        var newest = messages.Count > 0 && messages[^1] is ModelMessage.User user ? user : new ModelMessage.User([], []);
        var reply = Next(newest, ref used);
        if (reply is null)
        {
            throw Failed($"script {_file} has no reply left for the Pod {_pod} (message {messages.OfType<ModelMessage.Assistant>().Count() + 1} of its model): "
                + "add one, or \"repeat\": true to its last, or \"commands\": true to the Pod");
        }
        if (reply.Expect is { } expected && !expected.Holds(newest))
        {
            throw Failed($"script {_file}, line {reply.Line}: the reply expects {expected}; the model was told: "
                + ProviderError.Plain(string.Join(" | ", newest.Results.Select(result => result.Text).Concat(newest.Texts)), 1_000));
        }
        return reply;
    }

    private ScriptedReply? Next(ModelMessage.User newest, ref int used)
    {
        if (_script.Replies.FirstOrDefault(reply => reply.When?.Holds(newest) == true) is { } outOfTurn)
            return outOfTurn;
        var inTurn = used < _inTurn.Length ? _inTurn[used] : null;
        if (inTurn is { Repeat: false })
            used++;
        return inTurn ?? (_script.Commands ? Commands.Answer(newest) : null);
    }

    private static List<ModelEvent> Events(ScriptedReply reply, IReadOnlyList<ModelMessage> messages, out List<AssistantBlock> blocks)
    {
        List<ModelEvent> events = [];
        blocks = [];
        if (reply.Thinking.Count > 0)
        {
            events.AddRange(reply.Thinking.Select(text => new ModelEvent.ThinkingDelta(0, text)));
            blocks.Add(new AssistantBlock.Thinking(string.Concat(reply.Thinking)));
        }
        if (reply.Text.Count > 0)
        {
            var index = blocks.Count;
            events.AddRange(reply.Text.Select(text => new ModelEvent.TextDelta(index, text)));
            blocks.Add(new AssistantBlock.Text(string.Concat(reply.Text)));
        }
        var earlier = messages.OfType<ModelMessage.Assistant>().Sum(message => message.Blocks.Count(block => block is AssistantBlock.ToolCall));
        foreach (var call in reply.Calls)
        {
            var id = $"toolu_{++earlier:D8}";
            events.Add(new ModelEvent.ToolCallStart(blocks.Count, id, call.Name));
            events.Add(new ModelEvent.ToolArgumentsDelta(blocks.Count, id, call.Arguments));
            blocks.Add(new AssistantBlock.ToolCall(id, call.Name, call.Arguments));
        }
        return events;
    }

    private static ModelException Failed(string message) => new(ModelFailure.BadRequest, message, produced: false, retryable: false);
}
