using Yoi.Protocol;

namespace Yoi.Runtime.Delivery;

/// <summary>How ends are put into words, for the model and for people.</summary>
internal static class NewsText
{
    /// <summary>News of a run's end.</summary>
    internal static string Of(string name, Entry.RunEnded run) =>
        $"pod `{name}` finished its run: {Reason(run)} ({Count(run.Turns, "turn")}). Its output is there for ReadPodOutput.";

    /// <summary>News of a Pod's end.</summary>
    internal static string Of(string name, Entry.PodEnded end) =>
        $"pod `{name}` has ended: {Reason(end.Reason, end.By, end.Detail)}. Its output can still be read with ReadPodOutput; it takes no more messages.";

    /// <summary>A run's end: <c>cancelled by human</c>, <c>provider_error: overloaded</c>.</summary>
    internal static string Reason(Entry.RunEnded run) =>
        Word(run.Reason) + (run.By is { } by ? $" by {by}" : "") + (run.Detail is { Length: > 0 } detail ? $": {detail}" : "");

    /// <summary>A Pod's end: <c>stopped by w5</c>, <c>crashed: signal 9</c>.</summary>
    internal static string Reason(PodEnd reason, string? by, string? detail) =>
        Word(reason) + (by is not null ? $" by {by}" : "") + (detail is { Length: > 0 } ? $": {detail}" : "");

    /// <summary>The word that the journal uses.</summary>
    internal static string Word(RunEnd reason) => reason switch
    {
        RunEnd.Completed => "completed",
        RunEnd.TurnLimit => "turn_limit",
        RunEnd.Budget => "budget",
        RunEnd.Cancelled => "cancelled",
        RunEnd.Timeout => "timeout",
        RunEnd.ProviderError => "provider_error",
        RunEnd.ContextOverflow => "context_overflow",
        RunEnd.DiskError => "disk_error",
        RunEnd.Interrupted => "interrupted",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };

    /// <summary>The word that the journal uses.</summary>
    internal static string Word(PodEnd reason) => reason switch
    {
        PodEnd.Stopped => "stopped",
        PodEnd.Exited => "exited",
        PodEnd.Crashed => "crashed",
        PodEnd.Killed => "killed",
        PodEnd.Lost => "lost",
        _ => throw new ArgumentOutOfRangeException(nameof(reason)),
    };

    private static string Count(int number, string what) => number == 1 ? $"1 {what}" : $"{number} {what}s";
}
