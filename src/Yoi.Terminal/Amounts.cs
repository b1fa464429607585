using System.Globalization;
using Yoi.Protocol;

namespace Yoi.Terminal;

/// <summary>Numbers and times as people read them. Always the same, whatever the locale.</summary>
internal static class Amounts
{
    internal static string Tokens(long? tokens) => tokens switch
    {
        null => "-",
        < 1000 => tokens.Value.ToString(CultureInfo.InvariantCulture),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{tokens / 1000.0:0.#}k"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{tokens / 1_000_000.0:0.##}M"),
    };

    internal static string Bytes(long bytes) => bytes switch
    {
        < 1 << 10 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.#} KiB"),
        < 1 << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.#} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1073741824.0:0.##} GiB"),
    };

    internal static string Span(TimeSpan time) => time switch
    {
        { TotalSeconds: < 10 } => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, time.TotalSeconds):0.0} s"),
        { TotalSeconds: < 60 } => $"{(int)time.TotalSeconds} s",
        { TotalMinutes: < 60 } => $"{(int)time.TotalMinutes} min {time.Seconds} s",
        { TotalHours: < 24 } => $"{(int)time.TotalHours} h {time.Minutes} min",
        _ => $"{(int)time.TotalDays} d {time.Hours} h",
    };

    internal static string Ago(DateTimeOffset? then, DateTimeOffset now) =>
        then is not { } time ? "-" : now - time < TimeSpan.FromSeconds(1) ? "now" : Roughly(now - time) + " ago";

    internal static string Roughly(TimeSpan time) => time switch
    {
        { TotalMinutes: < 1 } => $"{(int)time.TotalSeconds} s",
        { TotalHours: < 1 } => $"{(int)time.TotalMinutes} min",
        { TotalDays: < 1 } => $"{(int)time.TotalHours} h",
        _ => $"{(int)time.TotalDays} d",
    };

    internal static string Count(int count, string one, string? many = null) => $"{count} {(count == 1 ? one : many ?? one + "s")}";

    /// <summary>A value of a closed enumeration as the wire and the journal name it.</summary>
    internal static string Name(RunEnd reason) => Snake(reason.ToString());

    /// <inheritdoc cref="Name(RunEnd)"/>
    internal static string Name(PodEnd reason) => Snake(reason.ToString());

    /// <inheritdoc cref="Name(RunEnd)"/>
    internal static string Name(PodState state) => Snake(state.ToString());

    private static string Snake(string name) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
}
