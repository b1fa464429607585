using System.Text.Json;
using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>What a Pod sends unasked: <c>{"event":NAME,"data":{…}}</c>, without data for the bare ones.</summary>
public abstract record Event
{
    private Event() { }

    // ---- the base protocol ----

    /// <summary>A model request begins.</summary>
    public sealed record TurnStart(int Turn) : Event;

    /// <summary>A model request ended; <c>finished</c> or <c>paused</c>.</summary>
    public sealed record TurnEnd(int Turn, string Result) : Event;

    /// <summary>A piece of streaming text.</summary>
    public sealed record TextDelta(string Text) : Event;

    /// <summary>A text block is whole and in the journal.</summary>
    public sealed record TextDone(string Text) : Event;

    /// <summary>The model begins to write a call.</summary>
    public sealed record ToolCallStart(string Id, string Name) : Event;

    /// <summary>A piece of a call's arguments.</summary>
    public sealed record ToolCallArgsDelta(string Id, string Json) : Event;

    /// <summary>A call is whole and in the journal.</summary>
    public sealed record ToolCallDone(string Id, string Name, string Arguments) : Event;

    /// <summary>The result of a call, after it is in the journal.</summary>
    public sealed record ToolResult(string Id, string Output, bool IsError) : Event;

    /// <summary>Tokens of the turn.</summary>
    public sealed record UsageReport(
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long? InputTokens,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] long? OutputTokens) : Event;

    /// <summary>A run ended well: <c>finished</c>, <c>paused</c> or <c>limit_reached</c>.</summary>
    public sealed record RunEnd(string Result) : Event;

    /// <summary>A method was refused, or a run failed. Codes: see <see cref="ErrorCode"/>.</summary>
    public sealed record Error(string Code, string Message) : Event;

    /// <summary>The answer to <c>get_history</c>.</summary>
    public sealed record History(IReadOnlyList<HistoryItem> Items, Greeting Greeting) : Event;

    /// <summary>A warning or error for the user.</summary>
    public sealed record Notification(string Level, string Source, string Message, long TimestampMs) : Event;

    /// <summary>The Pod ends.</summary>
    public sealed record Shutdown : Event;

    // ---- ours, sent only after attach ----

    /// <summary>A journal entry. The line has the same members as in the journal.</summary>
    public sealed record Appended(long Seq, DateTimeOffset Time, string Kind, JsonElement Entry) : Event;

    /// <summary>A piece of text that streams and is no fact yet.</summary>
    /// <param name="Seq">Seq of the last entry when the message began; its own entry comes behind it.</param>
    /// <param name="Block">Number of the block in the message.</param>
    /// <param name="Offset">Characters (UTF-16) of this block sent before. 0 begins the block anew.</param>
    /// <param name="Type"><c>text</c>, <c>thinking</c> or <c>tool_call</c> (then Text is a piece of the arguments).</param>
    /// <param name="Name">Tool's name, with the first piece of a call.</param>
    /// <param name="CallId">The call that the piece belongs to.</param>
    public sealed record Delta(long Seq, int Block, int Offset, string Type, string Text, string? Name = null, string? CallId = null) : Event;

    /// <summary>Entries were left out because the client read too slowly; attach again from <paramref name="NextSeq"/>.</summary>
    public sealed record Gap(long NextSeq) : Event;
}

/// <summary>Codes of <see cref="Event.Error"/> and of error replies.</summary>
public static class ErrorCode
{
    // The six of the base protocol; a base client is sent no others.
    /// <summary>A run is going on; <c>queue</c> would have worked.</summary>
    public const string AlreadyRunning = "already_running";
    /// <summary>There is no run.</summary>
    public const string NotRunning = "not_running";
    /// <summary>No run is paused or was interrupted.</summary>
    public const string NotPaused = "not_paused";
    /// <summary>The model's provider failed; ends a run.</summary>
    public const string ProviderError = "provider_error";
    /// <summary>A tool failed.</summary>
    public const string ToolError = "tool_error";
    /// <summary>Anything else; the message says what.</summary>
    public const string Internal = "internal";

    // Ours, in replies only.
    /// <summary>No JSON object, wrong types or missing members; the message says which.</summary>
    public const string InvalidRequest = "invalid_request";
    /// <summary>There is no such method; candidates are those that exist.</summary>
    public const string UnknownMethod = "unknown_method";
    /// <summary>The line is longer than <see cref="WireCodec.MaxLineBytes"/>; the connection closes.</summary>
    public const string LineTooLong = "line_too_long";
    /// <summary>The line is nested deeper than <see cref="YoiJson.MaxDepth"/>.</summary>
    public const string TooDeep = "too_deep";
    /// <summary>The Pod serves as many clients as it takes; the connection closes.</summary>
    public const string TooManyConnections = "too_many_connections";
    /// <summary>No version of the protocol in common; the message names the command that helps.</summary>
    public const string VersionMismatch = "version_mismatch";
    /// <summary>A child's token does not allow it, or proves nothing.</summary>
    public const string NotAllowed = "not_allowed";
    /// <summary>The Pod ends and takes no new work.</summary>
    public const string Stopping = "stopping";
    /// <summary>The Pod was not brought back; nothing was changed.</summary>
    public const string NotRestored = "not_restored";
    /// <summary>It could not be journalled, so it was not done.</summary>
    public const string DiskError = "disk_error";
}

/// <summary>An item of the base protocol's history.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Message), "message")]
[JsonDerivedType(typeof(ToolCall), "tool_call")]
[JsonDerivedType(typeof(ToolResult), "tool_result")]
public abstract record HistoryItem
{
    private HistoryItem() { }

    /// <summary>Text of the user or the assistant.</summary>
    public sealed record Message(string Role, IReadOnlyList<ContentPart> Content) : HistoryItem;

    /// <summary>A call.</summary>
    public sealed record ToolCall(string CallId, string Name, string Arguments) : HistoryItem;

    /// <summary>A call's result.</summary>
    public sealed record ToolResult(string CallId, string Summary, string? Content = null) : HistoryItem;
}

/// <summary>A text part; <c>type</c> is always <c>text</c>.</summary>
public sealed record ContentPart(string Text, string Type = "text");

/// <summary>Who answers: part of <see cref="Event.History"/>.</summary>
public sealed record Greeting(
    string PodName, string Cwd, string Provider, string Model, string ScopeSummary, IReadOnlyList<string> Tools, string? SandboxLevel = null);
