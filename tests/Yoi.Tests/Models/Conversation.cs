using System.Text.Json;
using Xunit;
using Yoi.Protocol;
using Yoi.Runtime.Models;
using Yoi.Runtime.Models.Wire;
using Yoi.Shared;

namespace Yoi.Tests.Models;

/// <summary>Short words for what the tests of this room do all the time.</summary>
internal static class Conversation
{
    internal const string OnAnthropic = ModelFactory.Anthropic;
    internal const string OnOpenAi = ModelFactory.OpenAi;

    internal static readonly ModelTiming Timing = new(MaxTries: 3);

    internal static ToolSchema Tool(string name) => new(name, $"Does {name}.", JsonDocument.Parse("""{"type":"object","properties":{"path":{"type":"string"}}}""").RootElement);

    internal static ModelRequest Ask(string provider, string? baseUrl, params ModelMessage[] messages) =>
        new(new ModelChoice(provider, "mock", baseUrl, MaxOutputTokens: 4096), "You are a Pod.", [Tool("Read"), Tool("Write")], messages);

    internal static ModelMessage User(params string[] texts) => new ModelMessage.User([], texts);

    internal static ModelMessage Result(string id, string text, bool isError = false) => new ModelMessage.User([new ModelToolResult(id, text, isError)], []);

    internal static ModelMessage Said(params AssistantBlock[] blocks) => new ModelMessage.Assistant(blocks);

    internal static string BaseUrl(this ModelServer server, string provider) => provider == OnOpenAi ? server.OpenAiBaseUrl : server.Origin;

    internal static IModel Model(string provider, string baseUrl, string? key = null, ModelTiming? timing = null, TimeProvider? time = null) =>
        ModelFactory.Create(new ModelChoice(provider, "mock", baseUrl), "w1", key, timing ?? Timing, time ?? new ManualTime(runDelays: true));

    /// <summary>All events of one request, and how it failed if it did.</summary>
    internal static async Task<Heard> HearAsync(this IModel model, ModelRequest request, CancellationToken ct)
    {
        List<ModelEvent> events = [];
        try
        {
            await foreach (var next in model.StreamAsync(request, ct))
                events.Add(next);
            return new Heard(events, null);
        }
        catch (ModelException e)
        {
            return new Heard(events, e);
        }
    }

    /// <summary>Asks "hi" over HTTP.</summary>
    internal static async Task<Heard> HearAsync(this ModelServer server, string provider, CancellationToken ct, ModelTiming? timing = null, TimeProvider? time = null, string? key = null)
    {
        using var model = Model(provider, server.BaseUrl(provider), key, timing, time);
        return await model.HearAsync(Ask(provider, server.BaseUrl(provider), User("hi")), ct);
    }

    /// <summary>Reads a stream without HTTP, from bytes that arrive in the given portions.</summary>
    internal static Task<Heard> ReadAsync(IWire wire, Stream stream, CancellationToken ct) => ReadAsync(wire, stream, new ManualTime(), ct);

    internal static async Task<Heard> ReadAsync(IWire wire, Stream stream, TimeProvider time, CancellationToken ct)
    {
        using var deadline = new Deadline(time, ct);
        await using var bytes = new BoundedStream(stream, deadline, Timing);
        List<ModelEvent> events = [];
        try
        {
            await foreach (var next in EventStream.ReadAsync(bytes, wire.Read(Ask(OnAnthropic, null)), deadline, ct))
                events.Add(next);
            return new Heard(events, null);
        }
        catch (ModelException e)
        {
            return new Heard(events, e);
        }
    }
}

/// <summary>What came of one request.</summary>
internal sealed record Heard(List<ModelEvent> Events, ModelException? Failure)
{
    internal ModelEvent.Completed Whole => Failure is null
        ? Assert.IsType<ModelEvent.Completed>(Events[^1])
        : throw new InvalidOperationException($"failed: {Failure}");

    internal ModelException Failed => Failure ?? throw new InvalidOperationException("it did not fail");

    internal string Text => string.Concat(Events.OfType<ModelEvent.TextDelta>().Select(delta => delta.Text));

    internal string Arguments => string.Concat(Events.OfType<ModelEvent.ToolArgumentsDelta>().Select(delta => delta.Json));
}

/// <summary>Bytes that arrive in portions of a given size, or cut in two at a given place.</summary>
internal sealed class PortionStream(byte[] bytes, int portion = int.MaxValue, int? cut = null) : MemoryStream(bytes)
{
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var longest = Math.Min(portion, cut is { } at && Position < at ? at - (int)Position : int.MaxValue);
        return base.ReadAsync(buffer[..Math.Min(buffer.Length, longest)], cancellationToken);
    }
}
