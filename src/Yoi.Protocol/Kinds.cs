using System.Text.Json.Serialization.Metadata;

namespace Yoi.Protocol;

/// <summary>One named case of a closed hierarchy.</summary>
/// <param name="Bare">True if the case carries no members, so that nothing is written for it.</param>
public sealed record Kind(string Name, Type Type, JsonTypeInfo Json, bool Bare = false);

/// <summary>The names of a closed hierarchy's cases: the one place where a name meets its type.</summary>
public sealed class Kinds
{
    private readonly Dictionary<string, Kind> _byName = new(StringComparer.Ordinal);
    private readonly Dictionary<Type, Kind> _byType = [];

    private Kinds(params Kind[] kinds)
    {
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

    /// <summary>The case of <paramref name="value"/>.</summary>
    /// <exception cref="KeyNotFoundException">The case is in no table.</exception>
    public Kind Of(object value) => _byType[value.GetType()];

    /// <summary>Journal entries. <see cref="Entry.Unknown"/> has no name of its own.</summary>
    public static Kinds Entries { get; } = new(
        new("pod_created", typeof(Entry.PodCreated), YoiJson.Default.PodCreated),
        new("prompt", typeof(Entry.Prompt), YoiJson.Default.Prompt),
        new("process_started", typeof(Entry.ProcessStarted), YoiJson.Default.ProcessStarted),
        new("scope_changed", typeof(Entry.ScopeChanged), YoiJson.Default.ScopeChanged),
        new("pod_ended", typeof(Entry.PodEnded), YoiJson.Default.PodEnded),
        new("repaired", typeof(Entry.Repaired), YoiJson.Default.Repaired),
        new("input", typeof(Entry.Input), YoiJson.Default.Input),
        new("notify", typeof(Entry.Notify), YoiJson.Default.Notify),
        new("run_start", typeof(Entry.RunStart), YoiJson.Default.RunStart),
        new("turn_start", typeof(Entry.TurnStart), YoiJson.Default.TurnStart),
        new("assistant", typeof(Entry.Assistant), YoiJson.Default.Assistant),
        new("tool_result", typeof(Entry.ToolResult), YoiJson.Default.ToolResult),
        new("correction", typeof(Entry.Correction), YoiJson.Default.Correction),
        new("run_paused", typeof(Entry.RunPaused), YoiJson.Default.RunPaused),
        new("run_resumed", typeof(Entry.RunResumed), YoiJson.Default.RunResumed),
        new("run_end", typeof(Entry.RunEnded), YoiJson.Default.RunEnded),
        new("notification", typeof(Entry.Notification), YoiJson.Default.Notification),
        new("lend_intended", typeof(Entry.LendIntended), YoiJson.Default.LendIntended),
        new("child_spawned", typeof(Entry.ChildSpawned), YoiJson.Default.ChildSpawned),
        new("spawn_failed", typeof(Entry.SpawnFailed), YoiJson.Default.SpawnFailed),
        new("child_ended", typeof(Entry.ChildEnded), YoiJson.Default.ChildEnded),
        new("news", typeof(Entry.News), YoiJson.Default.News),
        new("command_started", typeof(Entry.CommandStarted), YoiJson.Default.CommandStarted),
        new("command_ended", typeof(Entry.CommandEnded), YoiJson.Default.CommandEnded));

    /// <summary>Methods a client may call.</summary>
    public static Kinds Methods { get; } = new(
        new("run", typeof(Method.Run), YoiJson.Default.Run),
        new("notify", typeof(Method.Notify), YoiJson.Default.MethodNotify),
        new("resume", typeof(Method.Resume), YoiJson.Default.Resume, Bare: true),
        new("cancel", typeof(Method.Cancel), YoiJson.Default.Cancel, Bare: true),
        new("shutdown", typeof(Method.Shutdown), YoiJson.Default.Shutdown, Bare: true),
        new("get_history", typeof(Method.GetHistory), YoiJson.Default.GetHistory, Bare: true),
        new("hello", typeof(Method.Hello), YoiJson.Default.Hello),
        new("status", typeof(Method.Status), YoiJson.Default.Status, Bare: true),
        new("read", typeof(Method.Read), YoiJson.Default.Read),
        new("attach", typeof(Method.Attach), YoiJson.Default.Attach),
        new("pause", typeof(Method.Pause), YoiJson.Default.Pause, Bare: true),
        new("poke", typeof(Method.Poke), YoiJson.Default.Poke));

    /// <summary>Events a Pod sends. The last three go only to attached clients.</summary>
    public static Kinds Events { get; } = new(
        new("turn_start", typeof(Event.TurnStart), YoiJson.Default.EventTurnStart),
        new("turn_end", typeof(Event.TurnEnd), YoiJson.Default.TurnEnd),
        new("text_delta", typeof(Event.TextDelta), YoiJson.Default.TextDelta),
        new("text_done", typeof(Event.TextDone), YoiJson.Default.TextDone),
        new("tool_call_start", typeof(Event.ToolCallStart), YoiJson.Default.ToolCallStart),
        new("tool_call_args_delta", typeof(Event.ToolCallArgsDelta), YoiJson.Default.ToolCallArgsDelta),
        new("tool_call_done", typeof(Event.ToolCallDone), YoiJson.Default.ToolCallDone),
        new("tool_result", typeof(Event.ToolResult), YoiJson.Default.EventToolResult),
        new("usage", typeof(Event.UsageReport), YoiJson.Default.UsageReport),
        new("run_end", typeof(Event.RunEnd), YoiJson.Default.EventRunEnd),
        new("error", typeof(Event.Error), YoiJson.Default.Error),
        new("history", typeof(Event.History), YoiJson.Default.EventHistory),
        new("notification", typeof(Event.Notification), YoiJson.Default.EventNotification),
        new("shutdown", typeof(Event.Shutdown), YoiJson.Default.EventShutdown, Bare: true),
        new("entry", typeof(Event.Appended), YoiJson.Default.Appended),
        new("delta", typeof(Event.Delta), YoiJson.Default.Delta),
        new("gap", typeof(Event.Gap), YoiJson.Default.Gap));

    /// <summary>Results of requests. The name is not on the wire: the method decides the case.</summary>
    public static Kinds Results { get; } = new(
        new("accepted", typeof(ReplyResult.Accepted), YoiJson.Default.Accepted),
        new("done", typeof(ReplyResult.Done), YoiJson.Default.Done),
        new("welcome", typeof(ReplyResult.Welcome), YoiJson.Default.Welcome),
        new("status", typeof(ReplyResult.Status), YoiJson.Default.ReplyStatus),
        new("page", typeof(ReplyResult.Page), YoiJson.Default.Page),
        new("attached", typeof(ReplyResult.Attached), YoiJson.Default.Attached),
        new("history", typeof(ReplyResult.History), YoiJson.Default.ReplyHistory));
}
