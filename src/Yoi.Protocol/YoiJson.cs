using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>The generated JSON code for everything that is said on the wire or in a journal.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = false,
    AllowOutOfOrderMetadataProperties = true,
    MaxDepth = MaxDepth)]
[JsonSerializable(typeof(Entry.PodCreated)), JsonSerializable(typeof(Entry.Prompt)), JsonSerializable(typeof(Entry.ProcessStarted))]
[JsonSerializable(typeof(Entry.ScopeChanged)), JsonSerializable(typeof(Entry.PodEnded)), JsonSerializable(typeof(Entry.Repaired))]
[JsonSerializable(typeof(Entry.Input)), JsonSerializable(typeof(Entry.Notify)), JsonSerializable(typeof(Entry.RunStart))]
[JsonSerializable(typeof(Entry.TurnStart)), JsonSerializable(typeof(Entry.Assistant)), JsonSerializable(typeof(Entry.ToolResult))]
[JsonSerializable(typeof(Entry.Correction)), JsonSerializable(typeof(Entry.RunPaused)), JsonSerializable(typeof(Entry.RunResumed))]
[JsonSerializable(typeof(Entry.RunEnded)), JsonSerializable(typeof(Entry.Notification)), JsonSerializable(typeof(Entry.LendIntended))]
[JsonSerializable(typeof(Entry.ChildSpawned)), JsonSerializable(typeof(Entry.SpawnFailed)), JsonSerializable(typeof(Entry.ChildEnded))]
[JsonSerializable(typeof(Entry.ChildHandedOver)), JsonSerializable(typeof(Entry.News)), JsonSerializable(typeof(Entry.CommandStarted)), JsonSerializable(typeof(Entry.CommandEnded))]
[JsonSerializable(typeof(Method.Run)), JsonSerializable(typeof(Method.Notify), TypeInfoPropertyName = "MethodNotify"), JsonSerializable(typeof(Method.Resume))]
[JsonSerializable(typeof(Method.Cancel)), JsonSerializable(typeof(Method.Shutdown)), JsonSerializable(typeof(Method.GetHistory))]
[JsonSerializable(typeof(Method.Hello)), JsonSerializable(typeof(Method.Status)), JsonSerializable(typeof(Method.Read))]
[JsonSerializable(typeof(Method.Attach)), JsonSerializable(typeof(Method.Pause)), JsonSerializable(typeof(Method.Poke)), JsonSerializable(typeof(Method.Restore))]
[JsonSerializable(typeof(Event.TurnStart), TypeInfoPropertyName = "EventTurnStart"), JsonSerializable(typeof(Event.TurnEnd))]
[JsonSerializable(typeof(Event.TextDelta)), JsonSerializable(typeof(Event.TextDone)), JsonSerializable(typeof(Event.ToolCallStart))]
[JsonSerializable(typeof(Event.ToolCallArgsDelta)), JsonSerializable(typeof(Event.ToolCallDone))]
[JsonSerializable(typeof(Event.ToolResult), TypeInfoPropertyName = "EventToolResult"), JsonSerializable(typeof(Event.UsageReport))]
[JsonSerializable(typeof(Event.RunEnd), TypeInfoPropertyName = "EventRunEnd"), JsonSerializable(typeof(Event.Error))]
[JsonSerializable(typeof(Event.History), TypeInfoPropertyName = "EventHistory")]
[JsonSerializable(typeof(Event.Notification), TypeInfoPropertyName = "EventNotification")]
[JsonSerializable(typeof(Event.Shutdown), TypeInfoPropertyName = "EventShutdown")]
[JsonSerializable(typeof(Event.Appended)), JsonSerializable(typeof(Event.Delta)), JsonSerializable(typeof(Event.Gap))]
[JsonSerializable(typeof(ReplyError))]
[JsonSerializable(typeof(ReplyResult.Accepted)), JsonSerializable(typeof(ReplyResult.Done)), JsonSerializable(typeof(ReplyResult.Welcome))]
[JsonSerializable(typeof(ReplyResult.Status), TypeInfoPropertyName = "ReplyStatus"), JsonSerializable(typeof(ReplyResult.Page))]
[JsonSerializable(typeof(ReplyResult.Attached)), JsonSerializable(typeof(ReplyResult.History), TypeInfoPropertyName = "ReplyHistory")]
[JsonSerializable(typeof(HistoryItem.ToolCall), TypeInfoPropertyName = "HistoryToolCall")]
[JsonSerializable(typeof(HistoryItem.ToolResult), TypeInfoPropertyName = "HistoryToolResult")]
[JsonSerializable(typeof(HistoryItem.Message), TypeInfoPropertyName = "HistoryMessage")]
[JsonSerializable(typeof(JsonElement)), JsonSerializable(typeof(long))]
public sealed partial class YoiJson : JsonSerializerContext
{
    /// <summary>Deepest nesting that is read anywhere: lines nested deeper are refused.</summary>
    public const int MaxDepth = 64;

    /// <summary>Writer options of every line: text stays readable, only what JSON demands is escaped.</summary>
    public static JsonWriterOptions Writer { get; } = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };
}
