using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>What a client may ask of a Pod: <c>{"method":NAME,"params":{…}}</c>, without params for the bare ones.</summary>
public abstract record Method
{
    private Method() { }

    // ---- the base protocol ----

    /// <summary>Starts a run with user text.</summary>
    /// <param name="Mode">What to do if a run is going on.</param>
    /// <param name="From">Name of the sending Pod; null for the human.</param>
    public sealed record Run([property: JsonRequired] string Input, SendMode Mode = SendMode.Reject, string? From = null) : Method;

    /// <summary>Leaves a notice; an idle Pod starts a run with it.</summary>
    public sealed record Notify([property: JsonRequired] string Source, [property: JsonRequired] string Message) : Method;

    /// <summary>Goes on with a paused run.</summary>
    public sealed record Resume : Method;

    /// <summary>Ends the run now.</summary>
    public sealed record Cancel : Method;

    /// <summary>Ends the Pod.</summary>
    public sealed record Shutdown : Method;

    /// <summary>Asks for the conversation and the greeting.</summary>
    public sealed record GetHistory : Method;

    // ---- ours on top of it ----

    /// <summary>The first line of our own clients.</summary>
    /// <param name="MinVersion">Oldest protocol version that the client speaks.</param>
    /// <param name="MaxVersion">Newest protocol version that the client speaks.</param>
    /// <param name="Token">A child's token for its spawner; it allows the upward methods and nothing else.</param>
    /// <param name="Client">Name shown as the author of what the client asks, for example <c>yoi</c>.</param>
    public sealed record Hello(int MinVersion, int MaxVersion, string? Token = null, string? Client = null) : Method;

    /// <summary>Asks what the Pod does now. Answered at once, whatever the Pod does.</summary>
    public sealed record Status : Method;

    /// <summary>Asks for journal entries behind a cursor, a page at a time.</summary>
    /// <param name="MaxBytes">Page size in bytes; at least one entry is returned.</param>
    public sealed record Read(long SinceSeq = 0, long SinceOffset = -1, int MaxBytes = 1 << 20) : Method;

    /// <summary>Sends all entries from a seq on, then what is appended and streamed, without a gap.</summary>
    public sealed record Attach(long FromSeq = 1) : Method;

    /// <summary>Holds the run after the turn.</summary>
    public sealed record Pause : Method;

    /// <summary>Brings an ended Pod back that this one spawned, or that a gone one below it spawned: its scope is lent to it again.</summary>
    /// <param name="WithoutHeld">True: what cannot be lent again is left out; else that is a refusal.</param>
    public sealed record Restore([property: JsonRequired] string PodId, bool WithoutHeld = false) : Method;

    /// <summary>Upward, from a child: something new at this seq of my journal. A lost poke costs nothing.</summary>
    public sealed record Poke([property: JsonRequired] string PodId, [property: JsonRequired] long Seq) : Method;
}

/// <summary>What happens to input that arrives while a run is going on.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SendMode>))]
public enum SendMode
{
    /// <summary>It is refused with <c>already_running</c>.</summary>
    [JsonStringEnumMemberName("reject")] Reject,
    /// <summary>It is journalled and starts a run of its own when the one before it ends.</summary>
    [JsonStringEnumMemberName("queue")] Queue,
}
