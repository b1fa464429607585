using System.Text.Json;

namespace Yoi.Protocol;

/// <summary>The one line that answers a line with an <c>id</c>: <c>{"id":…,"result":{…}}</c> or <c>{"id":…,"error":{…}}</c>.</summary>
/// <param name="Id">The request's id as it was sent (JSON text: a string of at most 128 characters, or an integer).</param>
public sealed record Reply(JsonElement Id, ReplyResult? Result, ReplyError? Error);

/// <summary>Why a request was refused.</summary>
/// <param name="Code">One of <see cref="ErrorCode"/>.</param>
/// <param name="Message">What happened and what to do.</param>
/// <param name="Candidates">Ids, names or methods that would have worked, where that applies.</param>
public sealed record ReplyError(string Code, string Message, IReadOnlyList<string>? Candidates = null);

/// <summary>What a request came to.</summary>
public abstract record ReplyResult
{
    private ReplyResult() { }

    /// <summary>It is in the journal, on disk, as this seq.</summary>
    public sealed record Accepted(long Seq, bool Queued = false) : ReplyResult;

    /// <summary>It was done; nothing more to say.</summary>
    public sealed record Done : ReplyResult;

    /// <summary>The answer to <c>hello</c>.</summary>
    public sealed record Welcome(int Version, string Pod, string PodId, string Program, IReadOnlyList<string> Methods) : ReplyResult;

    /// <summary>The answer to <c>status</c>.</summary>
    public sealed record Status(PodStatus Pod) : ReplyResult;

    /// <summary>The answer to <c>read</c>: entries in order, and the cursor behind the last.</summary>
    public sealed record Page(IReadOnlyList<Event.Appended> Entries, long NextSeq, long NextOffset, bool HasMore, PodState State) : ReplyResult;

    /// <summary>The answer to <c>attach</c>: entries up to <paramref name="HeadSeq"/> are replay, what follows is live.</summary>
    public sealed record Attached(long FromSeq, long HeadSeq) : ReplyResult;

    /// <summary>The answer to <c>get_history</c> with an id.</summary>
    public sealed record History(IReadOnlyList<HistoryItem> Items, Greeting Greeting) : ReplyResult;
}

/// <summary>What a Pod does now and what it has used.</summary>
/// <param name="WaitingFor"><c>model</c>, <c>tool:NAME</c>, or null.</param>
/// <param name="LastActivity">Time of the newest entry.</param>
/// <param name="HeadSeq">Seq of the newest entry.</param>
/// <param name="SandboxLevel"><c>kernel</c>, <c>partial</c> or <c>tools-only</c>.</param>
/// <param name="UnreadNews">News of children that no entry tells yet.</param>
/// <param name="Damaged">Where the journal was found damaged when this process opened it; null if it was whole.</param>
public sealed record PodStatus(
    string PodId, string Name, PodState State, int Pid, string Cwd, string Provider, string Model, string SandboxLevel,
    ScopeRules Scope, IReadOnlyList<LentRules> Lent, SpawnerRef? Spawner, IReadOnlyList<ChildRef> Children,
    string? WaitingFor, DateTimeOffset LastActivity, long HeadSeq, Totals Totals, int QueuedInputs, int UnreadNews, string? Damaged = null);

/// <summary>A child as its spawner's journal knows it.</summary>
public sealed record ChildRef(string Name, string PodId, bool Ended);
