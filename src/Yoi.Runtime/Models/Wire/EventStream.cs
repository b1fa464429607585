using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Yoi.Runtime.Models.Wire;

/// <summary>Turns an answer's bytes into events of the message, as they arrive and however they are cut.</summary>
internal static class EventStream
{
    /// <summary>Borne silence once the message is whole but for the provider's formal end.</summary>
    private const int GraceMs = 5_000;

    /// <summary>What is quoted of the parser's words, which quote the provider's bytes.</summary>
    private const int LongestWords = 300;

    /// <exception cref="ModelException">The stream or its content is bad, or a limit of time passed.</exception>
    internal static async IAsyncEnumerable<ModelEvent> ReadAsync(
        BoundedStream bytes, MessageStream message, Deadline deadline, [EnumeratorCancellation] CancellationToken ct)
    {
        var parser = SseParser.Create(bytes, (name, data) =>
        {
            bytes.EventTaken();
            message.Take(name, data);
            return true;
        });
        await using var items = parser.EnumerateAsync(deadline.Token).GetAsyncEnumerator(deadline.Token);
        while (!message.Whole && await NextAsync(items, bytes, message, deadline, ct))
        {
            if (message.CanEnd)
                bytes.SilenceMs = Math.Min(bytes.SilenceMs, GraceMs);
            while (message.Events.TryDequeue(out var next))
                yield return next;
        }
        while (message.Events.TryDequeue(out var next))
            yield return next;
        if (!message.CanEnd)
            throw new ModelException(ModelFailure.Incomplete, "the provider's stream ended before the message was whole", produced: false, retryable: true, broke: true);
        yield return message.Complete();
    }

    private static async Task<bool> NextAsync(
        IAsyncEnumerator<SseItem<bool>> items, BoundedStream bytes, MessageStream message, Deadline deadline, CancellationToken ct)
    {
        try
        {
            return await items.MoveNextAsync();
        }
        catch (JsonException e)
        {
            // What a cut connection leaves of an event is no JSON either.
            if (bytes.Ended)
                return false;
            throw new ModelException(ModelFailure.Malformed, $"the provider sent an event that is no JSON: {ProviderError.Plain(e.Message, LongestWords)}", produced: false, retryable: true, e);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested && deadline.Failure is { } failure)
        {
            if (message.CanEnd)
                return false;
            throw failure;
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            ct.ThrowIfCancellationRequested();
            if (message.CanEnd)
                return false;
            throw new ModelException(ModelFailure.Incomplete, $"the provider's stream was cut: {ProviderError.Plain(e.Message, LongestWords)}", produced: false, retryable: true, e, broke: true);
        }
    }
}
