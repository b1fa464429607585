using System.Text;
using System.Text.Json.Serialization.Metadata;

namespace Yoi.Protocol;

/// <summary>One named case of a closed hierarchy.</summary>
/// <param name="name">On the wire and in journals.</param>
/// <param name="type">The case.</param>
/// <param name="bare">True if the case carries no members, so that nothing is written for it.</param>
public sealed class Kind(string name, Type type, bool bare = false)
{
    private readonly byte[] _nameBytes = Encoding.ASCII.GetBytes(name);
    private JsonTypeInfo? _json;

    /// <summary>On the wire and in journals.</summary>
    public string Name => name;

    internal ReadOnlySpan<byte> NameBytes => _nameBytes;

    /// <summary>The case.</summary>
    public Type Type => type;

    /// <summary>True if the case carries no members, so that nothing is written for it.</summary>
    public bool Bare => bare;

    /// <summary>How the case is read and written. Made when first needed: each costs time and memory, and a Pod at rest has met few.</summary>
    public JsonTypeInfo Json => _json ??= YoiJson.Default.GetTypeInfo(type) ?? throw new InvalidOperationException($"{nameof(YoiJson)} does not name {type}");
}

/// <summary>The names of a closed hierarchy's cases: the one place where a name meets its type.</summary>
public sealed class Kinds
{
    private readonly Dictionary<string, Kind> _byName = new(StringComparer.Ordinal);
    private readonly Dictionary<Type, Kind> _byType = [];
    private readonly Kind[][] _byLength;

    private Kinds(params Kind[] kinds)
    {
        _byLength = new Kind[kinds.Max(kind => kind.Name.Length) + 1][];
        for (var length = 0; length < _byLength.Length; length++) _byLength[length] = [.. kinds.Where(kind => kind.Name.Length == length)];
        foreach (var kind in kinds)
        {
            _byName.Add(kind.Name, kind);
            _byType.Add(kind.Type, kind);
        }
    }

    /// <summary>All cases in declaration order.</summary>
    public IEnumerable<Kind> All => _byName.Values;

    /// <summary>All names in declaration order.</summary>
    public IEnumerable<string> Names => _byName.Keys;

    /// <summary>The case called <paramref name="name"/>, or null.</summary>
    public Kind? Named(string name) => _byName.GetValueOrDefault(name);

    /// <summary>The same by the name's bytes, without making text of them.</summary>
    internal Kind? Named(ReadOnlySpan<byte> name)
    {
        foreach (var kind in name.Length < _byLength.Length ? _byLength[name.Length] : [])
            if (name.SequenceEqual(kind.NameBytes)) return kind;
        return null;
    }

    /// <summary>The case of <paramref name="value"/>.</summary>
    /// <exception cref="KeyNotFoundException">The case is in no table.</exception>
    public Kind Of(object value) => _byType[value.GetType()];

    /// <summary>Journal entries. <see cref="Entry.Unknown"/> has no name of its own.</summary>
    public static Kinds Entries { get; } = new(
        new("pod_created", typeof(Entry.PodCreated)),
        new("prompt", typeof(Entry.Prompt)),
        new("process_started", typeof(Entry.ProcessStarted)),
        new("scope_changed", typeof(Entry.ScopeChanged)),
        new("pod_ended", typeof(Entry.PodEnded)),
        new("repaired", typeof(Entry.Repaired)),
        new("input", typeof(Entry.Input)),
        new("notify", typeof(Entry.Notify)),
        new("run_start", typeof(Entry.RunStart)),
        new("turn_start", typeof(Entry.TurnStart)),
        new("assistant", typeof(Entry.Assistant)),
        new("tool_result", typeof(Entry.ToolResult)),
        new("correction", typeof(Entry.Correction)),
        new("run_paused", typeof(Entry.RunPaused)),
        new("run_resumed", typeof(Entry.RunResumed)),
        new("run_end", typeof(Entry.RunEnded)),
        new("notification", typeof(Entry.Notification)),
        new("lend_intended", typeof(Entry.LendIntended)),
        new("child_spawned", typeof(Entry.ChildSpawned)),
        new("spawn_failed", typeof(Entry.SpawnFailed)),
        new("child_ended", typeof(Entry.ChildEnded)),
        new("child_handed_over", typeof(Entry.ChildHandedOver)),
        new("news", typeof(Entry.News)),
        new("command_started", typeof(Entry.CommandStarted)),
        new("command_ended", typeof(Entry.CommandEnded)));

    /// <summary>Methods a client may call.</summary>
    public static Kinds Methods => OfMethods.All;

    /// <summary>Events a Pod sends. The last three go only to attached clients.</summary>
    public static Kinds Events => OfEvents.All;

    /// <summary>Results of requests. The name is not on the wire: the method decides the case.</summary>
    public static Kinds Results => OfResults.All;

    // Each made when it is first asked for: a Pod at rest has loaded the types of entries only, none of what is said on the wire.
    private static class OfMethods
    {
        internal static Kinds All { get; } = new(
            new("run", typeof(Method.Run)),
            new("notify", typeof(Method.Notify)),
            new("resume", typeof(Method.Resume), bare: true),
            new("cancel", typeof(Method.Cancel), bare: true),
            new("shutdown", typeof(Method.Shutdown), bare: true),
            new("get_history", typeof(Method.GetHistory), bare: true),
            new("hello", typeof(Method.Hello)),
            new("status", typeof(Method.Status), bare: true),
            new("read", typeof(Method.Read)),
            new("attach", typeof(Method.Attach)),
            new("pause", typeof(Method.Pause), bare: true),
            new("restore", typeof(Method.Restore)),
            new("poke", typeof(Method.Poke)));
    }

    private static class OfEvents
    {
        internal static Kinds All { get; } = new(
            new("turn_start", typeof(Event.TurnStart)),
            new("turn_end", typeof(Event.TurnEnd)),
            new("text_delta", typeof(Event.TextDelta)),
            new("text_done", typeof(Event.TextDone)),
            new("tool_call_start", typeof(Event.ToolCallStart)),
            new("tool_call_args_delta", typeof(Event.ToolCallArgsDelta)),
            new("tool_call_done", typeof(Event.ToolCallDone)),
            new("tool_result", typeof(Event.ToolResult)),
            new("usage", typeof(Event.UsageReport)),
            new("run_end", typeof(Event.RunEnd)),
            new("error", typeof(Event.Error)),
            new("history", typeof(Event.History)),
            new("notification", typeof(Event.Notification)),
            new("shutdown", typeof(Event.Shutdown), bare: true),
            new("entry", typeof(Event.Appended)),
            new("delta", typeof(Event.Delta)),
            new("gap", typeof(Event.Gap)));
    }

    private static class OfResults
    {
        internal static Kinds All { get; } = new(
            new("accepted", typeof(ReplyResult.Accepted)),
            new("done", typeof(ReplyResult.Done)),
            new("welcome", typeof(ReplyResult.Welcome)),
            new("status", typeof(ReplyResult.Status)),
            new("page", typeof(ReplyResult.Page)),
            new("attached", typeof(ReplyResult.Attached)),
            new("history", typeof(ReplyResult.History)));
    }
}
