using System.Text.Json.Serialization;

namespace Yoi.Protocol;

/// <summary>Why a run ended. Never merged, never guessed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RunEnd>))]
public enum RunEnd
{
    /// <summary>The model ended its turn; at least one assistant entry was committed.</summary>
    [JsonStringEnumMemberName("completed")] Completed,
    /// <summary>The limit of turns in one run was reached.</summary>
    [JsonStringEnumMemberName("turn_limit")] TurnLimit,
    /// <summary>The token budget was used up.</summary>
    [JsonStringEnumMemberName("budget")] Budget,
    /// <summary>Somebody cancelled it; the entry says who.</summary>
    [JsonStringEnumMemberName("cancelled")] Cancelled,
    /// <summary>A limit of time passed.</summary>
    [JsonStringEnumMemberName("timeout")] Timeout,
    /// <summary>The model's provider failed; the entry's detail has the kind and the provider's words.</summary>
    [JsonStringEnumMemberName("provider_error")] ProviderError,
    /// <summary>The conversation no longer fits the model's context.</summary>
    [JsonStringEnumMemberName("context_overflow")] ContextOverflow,
    /// <summary>The journal could not be written.</summary>
    [JsonStringEnumMemberName("disk_error")] DiskError,
    /// <summary>The Pod died in this run; found when the journal was opened again.</summary>
    [JsonStringEnumMemberName("interrupted")] Interrupted,
}

/// <summary>Why a Pod ended. Never merged, never guessed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PodEnd>))]
public enum PodEnd
{
    /// <summary>Somebody stopped it; <c>by</c> says who.</summary>
    [JsonStringEnumMemberName("stopped")] Stopped,
    /// <summary>It ended by itself with exit code 0.</summary>
    [JsonStringEnumMemberName("exited")] Exited,
    /// <summary>It ended with another exit code or a signal; the detail names it.</summary>
    [JsonStringEnumMemberName("crashed")] Crashed,
    /// <summary>It was killed; the detail says why.</summary>
    [JsonStringEnumMemberName("killed")] Killed,
    /// <summary>It is gone and nobody saw how; the detail says what is known.</summary>
    [JsonStringEnumMemberName("lost")] Lost,
}

/// <summary>What a Pod does now.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PodState>))]
public enum PodState
{
    /// <summary>Alive, waiting for input.</summary>
    [JsonStringEnumMemberName("idle")] Idle,
    /// <summary>Working on a run.</summary>
    [JsonStringEnumMemberName("running")] Running,
    /// <summary>A run is held after a turn, or was interrupted by a crash.</summary>
    [JsonStringEnumMemberName("paused")] Paused,
    /// <summary>Ending; takes no new work.</summary>
    [JsonStringEnumMemberName("stopping")] Stopping,
}
